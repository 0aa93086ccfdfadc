"""gc on a real registry: what it deletes is gone for good, what it keeps is whole, and the history stays."""

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import logged
import mlflow
import pytest
import requests
import yaml
from raw_model import RawModel
from sqlalchemy import text

from lockgate.database import approvals, intents, ledger, predictions, storage_use
from lockgate.database.approvals import Decision, Statement
from lockgate.database.connection import Database
from lockgate.database.intents import Intent
from lockgate.errors import ArtifactMissing, StateConflict, Unavailable
from lockgate.lifecycle import invariants
from lockgate.lifecycle.moves import Move
from lockgate.lifecycle.retention import Rule
from lockgate.lifecycle.stages import Command, Stage
from lockgate.operations import gc, load_version, register, retain_log, status
from lockgate.operations.workspace import Workspace
from lockgate.system.service_urls import Addresses

PROJECT = Path(__file__).parents[2]
ALL_AGES = Rule(keep=1, older_than=timedelta(0))
WHY = "--keep 1 --older-than 0d"
counter = itertools.count(1)
EXPIRED_VERDICT = """
    INSERT INTO lockgate.verdicts
        (model, version, bundle_digest, holdout_digest, policy_digest, outcome, checks, metrics, code_commit, actor,
         decided_at)
    SELECT model, version, bundle_digest, holdout_digest, policy_digest, outcome, checks, metrics, code_commit, actor,
           now() - interval '31 days'
    FROM lockgate.verdicts
    WHERE id = :id
"""
TABLES_OF_RUNS = """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name <> 'model_versions'
      AND column_name IN ('run_uuid', 'run_id', 'source_run_id', 'model_id', 'source_id', 'destination_id')
"""


@pytest.fixture
def model(stack: Addresses) -> RawModel:
    """A model whose versions are judged by a stroke of the pen, named as the command line would name it."""
    return RawModel(stack, Database(stack.database_url), f"gc{next(counter)}-ensemble")


@pytest.fixture
def keeper(model: RawModel) -> Workspace:
    """The same model, as gc sees it."""
    return Workspace(model.name, model.where, model.database, "anna", 10.0)


def collect(backend: Workspace, rule: Rule = ALL_AGES) -> dict[int, str | None]:
    """Run gc; for each version what keeps it, None for those that went."""
    fates = gc.plan(backend, rule)
    done = {fate.version: fate for fate in gc.collect(backend, rule, [f for f in fates if f.goes], WHY)}
    return {fate.version: done.get(fate.version, fate).kept_for for fate in fates}


def put_file(model: RawModel, version: int) -> str:
    """An artifact in the run of a version; its address."""
    files = storage_use.belongings(model.database, model.name, version).run_files
    path = f"{files.removeprefix('mlflow-artifacts:/')}/model/weights.bin"
    address = f"{model.where.tracking_uri}/api/2.0/mlflow-artifacts/artifacts/{path}"
    requests.put(address, data=b"weights", timeout=10).raise_for_status()
    return address


def traces(database: Database, *names: str) -> list[str]:
    """The tables of MLflow that still know one of these runs and logged models."""
    with database.transaction() as connection:
        columns = list(connection.execute(text(TABLES_OF_RUNS)))
        return [
            row.table_name
            for row in columns
            if connection.scalar(
                text(f"SELECT EXISTS (SELECT FROM public.{row.table_name} WHERE {row.column_name} = ANY (:names))"),
                {"names": list(names)},
            )
        ]


def judge_as_expired(model: RawModel, version: int) -> None:
    verdict = model.judge(version)
    with model.database.transaction() as connection:
        connection.execute(text(EXPIRED_VERDICT), {"id": verdict.id})


def lockgate(model: RawModel, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    params["problem"]["name"] = model.name.removesuffix("-ensemble")
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    services = {"MLFLOW_TRACKING_URI": model.where.tracking_uri, "LOCKGATE_DATABASE_URL": model.where.database_url}
    command = [sys.executable, "-m", "lockgate", *words]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **services, "COLUMNS": "80"}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


# --- what goes -------------------------------------------------------------------------------------------------------


def test_a_refused_bundle_goes_with_its_model_run_and_files_and_nothing_else_does(
    backend: Workspace, validated: Callable[..., object], home: Path, build: Callable[..., object], params: object
) -> None:
    validated(1)
    validated(2, limit=0.001)
    files = {path: path.read_bytes() for path in (home / "artifacts").rglob("*") if path.is_file()}
    belongs = storage_use.belongings(backend.database, backend.model, 2)
    names = (belongs.run_id, belongs.model_id)
    assert {"runs", "metrics", "params", "tags", "inputs", "logged_models"} <= set(traces(backend.database, *names))

    assert collect(backend) == {1: "in Staging", 2: None}

    assert traces(backend.database, *names) == []
    left = {path: path.read_bytes() for path in (home / "artifacts").rglob("*") if path.is_file()}
    gone = {path for path in files if any(name in path.parts for name in names)}
    assert len(gone) > 10
    assert left == {path: content for path, content in files.items() if path not in gone}

    with pytest.raises(StateConflict, match=r"version 2 .* was deleted from MLflow at .* by anna \(gc\)"):
        register.register(backend, build(2), params)
    assert register.register(backend, build(1), params).version == 1


def test_deletion_is_a_move_in_the_ledger_and_the_version_can_still_be_looked_at(
    model: RawModel, keeper: Workspace, tmp_path: Path
) -> None:
    version = model.register()
    model.judge(version, "refused")
    assert collect(keeper) == {version: None}
    assert model.ledger_rows() == [(version, "None", "Deleted_Internal", "gc", "anna")]
    assert list(ledger.breaks(ledger.read(model.database, model.name))) == []
    assert invariants.broken(status.facts(keeper)) == []

    shown = lockgate(model, tmp_path, "show", str(version))
    assert shown.returncode == 0, shown.stderr
    assert f"by anna (gc: {WHY})" in shown.stdout.splitlines()[0]
    assert "REFUSED" in shown.stdout
    assert f"{model.name}: 0 versions, and 1 deleted" in lockgate(model, tmp_path, "status").stdout
    assert re.search(r"to Deleted \(gc\) +anna", lockgate(model, tmp_path, "history").stdout)


# --- what stays ------------------------------------------------------------------------------------------------------


def test_what_is_in_use_or_may_be_stays_and_the_rest_goes(model: RawModel, keeper: Workspace) -> None:
    """Versions 1 to 3 served one after the other, and 4 stands in Staging."""
    served = [model.serving()]
    for _ in range(2):
        served.append(model.candidate(against=served[-1]))
        model.transition(served[-1], "Production", archive=True)
    staged = model.candidate(against=served[-1])
    unjudged, risen, refused, expired, approved, rejected = (model.register() for _ in range(6))
    foreign = model.add()
    model.judge(risen)
    model.judge(refused, "refused")
    judge_as_expired(model, expired)
    model.judge(approved)
    yes = Statement(model.name, approved, Decision.APPROVED, "rita", "rita", "fine")
    approvals.record(model.database, yes)
    approvals.record(model.database, Statement(model.name, rejected, Decision.REJECTED, "rita", "rita", "wrong chain"))
    assert collect(keeper) == {
        served[0]: None,
        served[1]: "a rollback may need it",
        served[2]: "in Production",
        staged: "in Staging",
        unjudged: "still a candidate",
        risen: "still a candidate",
        refused: None,
        expired: None,
        approved: "still a candidate",
        rejected: None,
        foreign: "registered outside Lockgate",
    }
    assert set(collect(keeper, Rule(1, timedelta(days=1))).values()) >= {"in Production", "in Staging"}


def test_a_version_that_a_command_is_about_to_move_stays_until_that_command_is_dead(
    model: RawModel, keeper: Workspace
) -> None:
    version = model.register()
    model.judge(version, "refused")
    with keeper.lock() as lock:
        rejection = Intent(model.name, version, "None", "Archived", "anna", "soon", "reject")
        intents.open_intent(model.database, rejection, lock.holder)
        with model.database.transaction() as connection:
            connection.execute(
                text("UPDATE lockgate.intents SET created_at = now() - interval '11 s' WHERE model = :m"),
                {"m": model.name},
            )
        assert [fate.kept_for for fate in gc.plan(keeper, ALL_AGES)] == ["a command is moving it"]
    assert collect(keeper) == {version: None}


def test_a_young_version_stays(model: RawModel, keeper: Workspace) -> None:
    version = model.register()
    model.judge(version, "refused")
    assert collect(keeper, Rule(1, timedelta(hours=1))) == {version: "too young"}


def test_a_version_whose_files_were_copied_into_another_model_stays(model: RawModel, keeper: Workspace) -> None:
    """The UI's button "Promote model" registers the same files under another name."""
    version = model.register()
    model.judge(version, "refused")
    mlflow.set_tracking_uri(model.where.tracking_uri)
    mlflow.set_registry_uri(model.where.tracking_uri)
    client = mlflow.MlflowClient()
    copy = client.copy_model_version(f"models:/{model.name}/{version}", f"copy of {model.name}".replace(" ", "-"))
    assert collect(keeper) == {version: "another version uses its run or files"}
    client.delete_model_version(copy.name, copy.version)
    assert collect(keeper) == {version: None}


def test_a_version_stays_as_long_as_its_predictions_are_on_record(model: RawModel, keeper: Workspace) -> None:
    version = model.register()
    model.judge(version, "refused")
    scorer = replace(logged.SERVED, model=model.name, version=version)
    predictions.insert(keeper.database, [replace(logged.request(scorer=scorer), at=datetime(2020, 1, 1, tzinfo=UTC))])
    assert collect(keeper) == {version: "it gave predictions on record"}
    retain_log.retain(keeper.database, *retain_log.plan(keeper.database, timedelta(days=365)))
    assert collect(keeper) == {version: None}


def test_what_was_judged_anew_after_the_question_stays(model: RawModel, keeper: Workspace) -> None:
    version = model.register()
    model.judge(version, "refused")
    agreed = gc.plan(keeper, ALL_AGES)
    model.judge(version, "passed")
    [fate] = gc.collect(keeper, ALL_AGES, agreed, WHY)
    assert fate.kept_for == "still a candidate"
    assert model.stages() == {version: "None"}


# --- crashes, outages, bystanders ------------------------------------------------------------------------------------


def delete(keeper: Workspace, version: int) -> None:
    with keeper.lock() as lock:
        lock.carry_out(deletion(version), WHY)


def deletion(version: int) -> Move:
    return Move(version, Stage.NONE, Stage.DELETED, Command.GC, ())


@pytest.mark.parametrize("steps", range(5))
def test_a_gc_killed_between_two_steps_is_finished_by_the_next(model: RawModel, keeper: Workspace, steps: int) -> None:
    version = model.register()
    model.judge(version, "refused")
    address = put_file(model, version)
    belongs = storage_use.belongings(model.database, model.name, version)
    done_before = [
        lambda: intents.open_intent(model.database, keeper.intent(deletion(version), WHY)),
        lambda: delete(keeper, version),
        lambda: keeper.registry().hide_run(belongs.run_id),
        lambda: keeper.registry().delete_files(belongs.run_files),
    ]
    for step in done_before[:steps]:
        step()
    is_deleted = steps > 1
    assert collect(keeper, Rule(1, timedelta(days=90)) if is_deleted else ALL_AGES) == {version: None}
    assert requests.get(address, timeout=10).status_code in (404, 500)
    assert traces(model.database, belongs.run_id) == []
    assert model.ledger_rows() == [(version, "None", "Deleted_Internal", "gc", "anna")]
    assert collect(keeper) == {}


def test_what_a_version_deleted_in_mlflow_left_behind_goes_once_it_is_old(model: RawModel, keeper: Workspace) -> None:
    version = model.register()
    address = put_file(model, version)
    run_id = storage_use.belongings(model.database, model.name, version).run_id
    model.ask("DELETE", "model-versions/delete", name=model.name, version=str(version))
    assert collect(keeper, Rule(1, timedelta(hours=1))) == {version: "too young"}
    assert requests.get(address, timeout=10).content == b"weights"
    assert collect(keeper) == {version: None}
    assert requests.get(address, timeout=10).status_code in (404, 500)
    assert traces(model.database, run_id) == []


def test_a_run_that_somebody_else_deleted_is_not_erased(model: RawModel, keeper: Workspace) -> None:
    """MLflow's own gc would take it along."""
    stranger = model.ask("POST", "runs/create", experiment_id="0").json()["run"]["info"]["run_id"]
    model.ask("POST", "runs/delete", run_id=stranger)
    version = model.register()
    model.judge(version, "refused")
    assert collect(keeper) == {version: None}
    assert model.ask("POST", "runs/restore", run_id=stranger).status_code == 200


def test_with_the_server_down_nothing_is_deleted(
    model: RawModel, keeper: Workspace, unreachable: Callable[[Workspace], Workspace]
) -> None:
    version = model.register()
    model.judge(version, "refused")
    with pytest.raises(Unavailable, match="does not answer"):
        collect(unreachable(keeper))
    assert model.stages() == {version: "None"}
    assert model.ledger_rows() == []
    assert collect(keeper) == {version: None}


# --- the command -----------------------------------------------------------------------------------------------------


def test_gc_asks_first_shows_what_it_would_do_and_tells_what_it_did(model: RawModel, tmp_path: Path) -> None:
    version = model.register()
    model.judge(version, "refused")
    words = ("gc", "--older-than", "0d")

    dry = lockgate(model, tmp_path, *words, "--dry-run", "--json")
    assert json.loads(dry.stdout) == [{"version": version, "stage": "None", "kept_for": None, "goes": True}]
    assert model.ledger_rows() == []

    unasked = lockgate(model, tmp_path, *words)
    assert (unasked.returncode, unasked.stderr.splitlines()) == (
        2,
        ["error: confirmation needed, but this is not a terminal", "hint: add --yes to go on without confirmation"],
    )
    assert model.ledger_rows() == []

    done = lockgate(model, tmp_path, *words, "--yes")
    assert (done.returncode, done.stderr) == (0, f"version {version} is deleted\n")
    assert "no rule keeps it" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    again = lockgate(model, tmp_path, *words, "--yes")
    assert (again.returncode, again.stdout) == (0, "nothing to delete\n")


def test_the_files_of_a_version_that_gc_deletes_meanwhile_are_not_called_missing(
    model: RawModel, keeper: Workspace
) -> None:
    record = load_version.recorded(keeper, model.register())
    with pytest.raises(ArtifactMissing, match="no longer has the files"), load_version.fetched(keeper, record):
        pass
    model.transition(1, "Archived")
    assert collect(keeper) == {1: None}
    with pytest.raises(StateConflict, match=f"{model.name} has no version 1"), load_version.fetched(keeper, record):
        pass
