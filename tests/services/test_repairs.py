"""The doctor on real services: each thing is really broken, found, repaired where that is safe, and gone."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import logged
import pytest
import requests
from raw_model import RawModel
from sqlalchemy import text

from lockgate.database import coverage, intents, storage_use, versions
from lockgate.database.connection import Database
from lockgate.database.intents import Intent
from lockgate.database.versions import Registration
from lockgate.doctor import checks
from lockgate.doctor.context import Site
from lockgate.doctor.report import Examination
from lockgate.errors import IntegrityBroken, StateConflict, Unavailable
from lockgate.lifecycle.moves import Move
from lockgate.lifecycle.stages import Command, Stage
from lockgate.operations import register
from lockgate.operations.stage_files import Build, Receipt
from lockgate.operations.workspace import Workspace
from lockgate.prediction_log.spool import Spool
from lockgate.problem.params import Params, load_params
from lockgate.system.service_urls import Addresses

PROJECT = Path(__file__).parents[2]
PIPELINE = """
stages:
  register:
    cmd: python pipelines/register.py data/prepared build build/version.json
"""
VERSION = """
    INSERT INTO public.registered_models (workspace, name) VALUES ('default', 'm');
    INSERT INTO public.model_versions (workspace, name, version, creation_time, current_stage)
    VALUES ('default', 'm', 1, 1700000000500, 'None');
"""


@pytest.fixture
def alone(database: Database, database_url: str) -> Workspace:
    """A covered model in a database of this test alone, without an MLflow server."""
    coverage.cover(database, "m", "anna")
    return Workspace("m", Addresses("http://127.0.0.1:9", database_url), database, "anna", 2.0)


@pytest.fixture
def model(stack: Addresses) -> RawModel:
    return RawModel(stack, Database(stack.database_url))


@pytest.fixture
def keeper(model: RawModel) -> Workspace:
    """The raw model, as the doctor sees it."""
    return Workspace(model.name, model.where, model.database, "anna", 10.0)


@pytest.fixture
def in_reach() -> Iterator[Path]:
    """A project's folder that everyone may enter; pytest's own folders are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def site(services: Workspace, folder: Path = PROJECT) -> Site:
    return Site(folder, load_params(PROJECT / "params.yaml"), services)


def look(at: Site, name: str, repair: bool = False) -> Examination:
    return checks.examine(at, repair, {name: checks.CHECKERS[name]})


def says(found: Examination) -> list[str]:
    assert [each.refusal for each in found.checked if each.refusal] == []
    return [finding.message for finding in found.findings]


def run_sql(database: Database, *statements: str) -> None:
    with database.transaction() as connection:
        for statement in statements:
            connection.execute(text(statement))


def delete(keeper: Workspace, version: int) -> None:
    """The first step of gc."""
    with keeper.lock() as lock:
        lock.carry_out(Move(version, Stage.NONE, Stage.DELETED, Command.GC, ()), "retention")


# --- all is well, and servers ----------------------------------------------------------------------------------------


def test_of_a_sound_project_nothing_is_found(
    backend: Workspace, validated: Callable[..., object], build: Callable[[int], Build], params: Params, tmp_path: Path
) -> None:
    validated(1)
    receipt = register.register(backend, build(1), params)
    project = build(1).build.parent
    receipt.write(project / "build" / "version.json")
    (project / "dvc.yaml").write_text(PIPELINE)
    found = checks.examine(Site(project, params, backend, every_version=True), repair=True)
    assert [(each.name, list(each.findings), each.refusal) for each in found.checked] == [
        (name, [], None) for name in checks.CHECKERS
    ]
    assert (list(found.repaired), found.ending()) == ([], None)


def test_without_mlflow_all_is_checked_that_needs_only_the_database(alone: Workspace) -> None:
    found = checks.examine(site(alone), repair=False)
    assert [each.name for each in found.checked if each.refusal] == ["MLflow server answers"]
    assert isinstance(found.ending(), Unavailable)


def test_with_both_servers_down_folders_are_checked_still(alone: Workspace, in_reach: Path) -> None:
    nobody = Addresses("http://127.0.0.1:9", "postgresql+psycopg2://lockgate@127.0.0.1:9/lockgate")
    (in_reach / ".lockgate").mkdir(mode=0o755)
    down = replace(alone, addresses=nobody, database=Database(nobody.database_url, 2.0))
    found = checks.examine(site(down, in_reach), repair=False)
    assert [finding.message for finding in found.findings] == [
        f"{in_reach}/.lockgate can be read by all users (mode 755)"
    ]
    assert isinstance(found.ending(), Unavailable)


# --- registry and ledger ---------------------------------------------------------------------------------------------


def test_a_piece_of_the_guard_that_is_missing_is_put_on_again(alone: Workspace) -> None:
    run_sql(alone.database, 'DROP TRIGGER "Lockgate_guard_versions" ON public.model_versions')
    missing = "the trigger Lockgate_guard_versions on public.model_versions is missing"
    assert says(look(site(alone), "guard is whole")) == [missing]
    repaired = look(site(alone), "guard is whole", repair=True)
    assert (says(repaired), repaired.repaired) == ([], ["the guard is installed and complete"])
    assert says(look(site(alone), "guard is whole")) == []


def test_a_table_that_schema_lockgate_lacks_is_made(alone: Workspace) -> None:
    run_sql(alone.database, "DROP TABLE lockgate.request_counts")
    name = "schema lockgate fits"
    assert says(look(site(alone), name)) == ["the table lockgate.request_counts is missing"]
    repaired = look(site(alone), name, repair=True)
    made = "schema lockgate is complete; a table that was missing is empty"
    assert (says(repaired), repaired.repaired) == ([], [made])


def test_a_ledger_row_that_was_changed_is_an_integrity_failure_that_nobody_repairs(alone: Workspace) -> None:
    run_sql(
        alone.database,
        VERSION,
        "UPDATE public.model_versions SET current_stage = 'Archived' WHERE name = 'm'",
    )
    run_sql(
        alone.database,
        "ALTER TABLE lockgate.ledger DISABLE TRIGGER append_only",
        "UPDATE lockgate.ledger SET actor = 'nobody' WHERE model = 'm'",
    )
    found = look(site(alone), "ledger is whole", repair=True)
    assert says(found) == ["m: row 1 (version 1 to Archived) was changed later"]
    assert isinstance(found.ending(), IntegrityBroken)


def test_an_alias_that_was_set_while_the_guard_was_off_follows_its_stage_again(alone: Workspace) -> None:
    run_sql(
        alone.database,
        "ALTER TABLE public.registered_model_aliases DISABLE TRIGGER USER",
        VERSION,
        "INSERT INTO public.registered_model_aliases (workspace, name, alias, version)"
        " VALUES ('default', 'm', 'production', 1)",
    )
    run_sql(alone.database, "ALTER TABLE public.registered_model_aliases ENABLE TRIGGER USER")
    name = "aliases mirror the stages"
    assert says(look(site(alone), name)) == ["alias production points to version 1, the stage is empty"]
    assert says(look(site(alone), name, repair=True)) == []
    assert versions.aliases(alone.database, "m") == {}


def test_a_registry_that_was_emptied_under_its_records_is_said_to_need_a_backup(alone: Workspace) -> None:
    versions.record_version(alone.database, Registration("m", 1, "a" * 64, "run", {}))
    found = look(site(alone), "records are in MLflow", repair=True)
    assert says(found) == ["MLflow's registry was emptied: none of the 1 recorded versions is in it"]
    assert "from one backup" in found.findings[0].hint
    assert isinstance(found.ending(), StateConflict)


def test_a_version_that_points_elsewhere_or_lost_its_run_is_found(model: RawModel, keeper: Workspace) -> None:
    first, second = model.register(), model.register()
    run_id = storage_use.belongings(model.database, model.name, second).run_id
    model.ask("POST", "runs/delete", run_id=run_id)
    run_sql(
        model.database,
        "UPDATE public.model_versions SET source = 'mlflow-artifacts:/x'"
        f" WHERE name = '{model.name}' AND version = {first}",
    )
    assert says(look(site(keeper), "records are in MLflow")) == [
        f"version {first} points to another run or other files than at its registration",
        f"the run of version {second} was deleted",
    ]


def test_an_intent_that_nobody_consumed_is_forgotten_after_ten_minutes(alone: Workspace) -> None:
    for version in (1, 2):
        intents.open_intent(alone.database, Intent("m", version, "None", "Archived", "anna", "why", "reject"))
    run_sql(alone.database, "UPDATE lockgate.intents SET created_at = '2026-01-01 12:00+00' WHERE version = 1")
    assert says(look(site(alone), "no dead intents")) == [
        "anna was about to reject version 1 at 2026-01-01 12:00:00 UTC"
    ]
    repaired = look(site(alone), "no dead intents", repair=True)
    assert (says(repaired), len(repaired.repaired)) == ([], 1)
    with alone.database.transaction() as connection:
        assert list(connection.scalars(text("SELECT version FROM lockgate.intents"))) == [2]


def test_the_run_of_a_killed_registration_is_deleted_with_its_files(model: RawModel, keeper: Workspace) -> None:
    experiment = model.ask("POST", "experiments/create", name=model.name).json()["experiment_id"]
    tags = [{"key": "lockgate.bundle_digest", "value": "a" * 64}]
    run = model.ask("POST", "runs/create", experiment_id=experiment, tags=tags).json()["run"]["info"]
    mine = model.ask("POST", "runs/create", experiment_id=experiment).json()["run"]["info"]
    address = f"{model.where.tracking_uri}/api/2.0/mlflow-artifacts/artifacts/"
    address += run["artifact_uri"].removeprefix("mlflow-artifacts:/") + "/card.json"
    requests.put(address, data=b"{}", timeout=10).raise_for_status()

    found = look(site(keeper), "no dead runs")
    assert says(found) == [f"run {run['run_id']} belongs to a registration that did not finish"]
    assert says(look(site(keeper), "no dead runs", repair=True)) == []
    assert model.ask("GET", "runs/get", run_id=run["run_id"]).status_code == 404
    assert requests.get(address, timeout=10).status_code in (404, 500)
    assert model.ask("GET", "runs/get", run_id=mine["run_id"]).status_code == 200


def test_a_gc_that_was_killed_is_finished(model: RawModel, keeper: Workspace) -> None:
    version = model.register()
    run_id = storage_use.belongings(model.database, model.name, version).run_id
    delete(keeper, version)
    assert says(look(site(keeper), "gc has finished")) == [
        f"version {version} was deleted by gc, but its run or files still exist"
    ]
    repaired = look(site(keeper), "gc has finished", repair=True)
    assert (says(repaired), repaired.repaired) == ([], [f"the run and the files of version {version} deleted"])
    assert model.ask("GET", "runs/get", run_id=run_id).status_code == 404


# --- files and receipts ----------------------------------------------------------------------------------------------


def test_files_that_are_missing_or_changed_are_integrity_failures(
    backend: Workspace, validated: Callable[..., object], home: Path
) -> None:
    validated(1)
    left = storage_use.belongings(backend.database, backend.model, 1)
    folder = home / "artifacts" / left.model_files.removeprefix("mlflow-artifacts:/")
    [booster] = folder.rglob("catboost.cbm")
    whole = booster.read_bytes()

    booster.write_bytes(whole[:-1] + b"!")
    changed = look(site(backend), "files are whole", repair=True)
    assert says(changed) == ["version 1 (Staging): catboost.cbm sha256 mismatch"]
    assert isinstance(changed.ending(), IntegrityBroken)
    booster.unlink()
    assert says(look(site(backend), "files are whole")) == ["version 1 (Staging): catboost.cbm is missing"]
    booster.write_bytes(whole)
    assert says(look(site(backend), "files are whole")) == []
    shutil.move(folder, folder.with_name("away"))
    assert says(look(site(backend), "files are whole")) == [
        "version 1 (Staging): the store no longer has the files of version 1"
    ]
    shutil.move(folder.with_name("away"), folder)


def test_only_all_looks_at_the_files_of_a_version_that_nobody_needs(
    backend: Workspace, validated: Callable[..., object], home: Path
) -> None:
    validated(1, limit=0.001)
    left = storage_use.belongings(backend.database, backend.model, 1)
    shutil.rmtree(home / "artifacts" / left.model_files.removeprefix("mlflow-artifacts:/"))
    assert says(look(site(backend), "files are whole")) == []
    assert len(says(look(replace(site(backend), every_version=True), "files are whole"))) == 1


def test_a_receipt_from_before_the_registry_was_wiped_comes_right(
    backend: Workspace, build: Callable[[int], Build], params: Params
) -> None:
    project = build(1).build.parent
    (project / "dvc.yaml").write_text(PIPELINE)
    path = project / "build" / "version.json"
    kept = register.register(replace(backend, model=f"{backend.model}-before"), build(1), params)
    Receipt(backend.model, 7, kept.run_id, kept.bundle_digest).write(path)
    at = Site(project, params, backend)
    found = look(at, "receipt holds")
    assert says(found) == ["the receipt names version 7, which is not recorded"]
    assert isinstance(found.ending(), StateConflict)
    repaired = look(at, "receipt holds", repair=True)
    assert (says(repaired), repaired.ending()) == ([], None)
    assert repaired.repaired == ["the bundle in the build is now version 1, and the receipt names it"]
    assert Receipt.read(path).version == 1


def test_a_stale_receipt_whose_bundle_is_not_at_hand_needs_the_pipeline(
    backend: Workspace, build: Callable[[int], Build], params: Params
) -> None:
    project = build(1).build.parent
    (project / "dvc.yaml").write_text(PIPELINE)
    Receipt(backend.model, 7, "run", "a" * 64).write(project / "build" / "version.json")
    at = Site(project, params, backend)
    found = look(at, "receipt holds", repair=True)
    assert says(found) == ["the receipt names version 7, which is not recorded"]
    assert found.findings[0].hint.startswith("the build holds another bundle, ")
    assert found.findings[0].hint.endswith("; write it again with: dvc repro")
    (project / "build" / "bundle" / "catboost.cbm").write_bytes(b"cut")
    assert look(at, "receipt holds", repair=True).findings[0].hint.startswith("the build holds no bundle")


def test_a_receipt_of_a_deleted_version_does_not_bring_it_back(
    backend: Workspace, build: Callable[[int], Build], params: Params
) -> None:
    project = build(1).build.parent
    (project / "dvc.yaml").write_text(PIPELINE)
    register.register(backend, build(1), params).write(project / "build" / "version.json")
    delete(backend, 1)
    found = look(Site(project, params, backend), "receipt holds", repair=True)
    assert says(found) == ["the receipt names version 1, which the registry no longer has"]
    assert found.repaired == ()


# --- folders ---------------------------------------------------------------------------------------------------------


def test_modes_of_what_is_ours_are_set_right(alone: Workspace, in_reach: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = in_reach / "shared"
    (in_reach / ".dvc").mkdir()
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(cache))
    home = in_reach / ".lockgate"
    for folder, mode in ((home, 0o755), (home / "artifacts", 0o750), (cache, 0o777)):
        folder.mkdir()
        folder.chmod(mode)
    (home / "stack.json").write_text("{}")
    (home / "stack.json").chmod(0o644)
    (home / "socket").symlink_to("/")
    at = site(alone, in_reach)
    assert says(look(at, "folders are private")) == [
        f"{home} can be read by all users (mode 755)",
        f"{home}/artifacts can be read by its group (mode 750)",
        f"{home}/stack.json can be read by all users (mode 644)",
        f"{cache} can be written by all users (mode 777)",
    ]
    assert says(look(at, "folders are private", repair=True)) == []
    assert stat.S_IMODE((home / "artifacts").stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in (home, home / "stack.json", cache)] == [0o700, 0o600, 0o775]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_what_belongs_to_somebody_else_is_told_and_left_alone(alone: Workspace, in_reach: Path) -> None:
    home = in_reach / ".lockgate"
    home.mkdir()
    home.chmod(0o755)
    os.chown(home, 65534, -1)
    found = look(site(alone, in_reach), "folders are private", repair=True)
    assert says(found) == [f"{home} can be read by all users (mode 755)"]
    assert found.findings[0].hint.startswith("ask its owner, nobody, ")
    assert stat.S_IMODE(home.stat().st_mode) == 0o755


def test_predictions_that_wait_long_in_a_spool_are_named_and_moved(alone: Workspace, tmp_path: Path) -> None:
    late = replace(logged.request(), at=datetime.now(UTC) - timedelta(hours=1))
    folder = tmp_path / ".lockgate" / "spool" / "one of several"
    Spool(folder).append([late, logged.request()])
    at = site(alone, tmp_path)
    [warning] = look(at, "predictions are stored").findings
    assert warning.message.startswith(f"predictions since {late.at:%Y-%m-%d %H:%M} (UTC) wait in {folder}, ")
    found = look(at, "predictions are stored", repair=True)
    assert (says(found), list(found.repaired)) == ([], ["2 predictions are in Postgres now"])


# --- the command -----------------------------------------------------------------------------------------------------


def test_doctor_prints_one_line_a_check_in_80_columns_and_what_it_repaired(
    alone: Workspace, database_url: str, tmp_path: Path
) -> None:
    run_sql(alone.database, "DROP TRIGGER lockgate_guard_aliases ON public.registered_model_aliases")
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    services = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "LOCKGATE_DATABASE_URL": database_url, "COLUMNS": "80"}

    def doctor(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lockgate", "doctor", "--timeout", "2", *words]
        environment = {**os.environ, **services}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)

    found = doctor("--repair")
    lines = found.stdout.splitlines()
    assert found.returncode == 6, found.stderr
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if not line.startswith(" ")] == [
        "MLflow server answers      not checked",
        *(f"{name:<25}  ok" for name in list(checks.CHECKERS)[1:]),
        "repaired: the guard is installed and complete",
    ]
    assert found.stderr.splitlines()[0] == "error: 1 check could not run"
    printed = json.loads(doctor("--json").stdout)
    assert [each["name"] for each in printed["checks"]] == list(checks.CHECKERS)
    assert {each["outcome"] for each in printed["checks"]} == {"ok", "not checked"}
