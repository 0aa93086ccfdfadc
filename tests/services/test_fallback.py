"""The last verified Production answers while the registry is unavailable, and in no other case."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import keys
import mlflow
import pandas as pd
import pytest
import served_versions
import serving_process
import yaml
from door import Door
from failing_server import answering

from lockgate.bundle import manifest
from lockgate.database.connection import Database
from lockgate.errors import AccessRefused, ArtifactMissing, IntegrityBroken, StateConflict, Unavailable
from lockgate.lifecycle.stages import Stage
from lockgate.operations import answering_version, promote, retire, rollback, verified_copy
from lockgate.operations.answering_version import AnsweringVersion, FallbackTerms
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.load_version import Opened
from lockgate.operations.workspace import Workspace
from lockgate.system.service_urls import Addresses

YES = MoveRequest("reviewed", dry_run=False, confirm=lambda move: None)
TERMS = FallbackTerms()
PATIENT = 600.0  # seconds of one call; a fallback does not wait for it
NOT_PATIENT = 60.0


@pytest.fixture
def doors(stack: Addresses) -> Iterator[tuple[Door, Door]]:
    """Doors before the MLflow server and before Postgres."""
    url = urlsplit(stack.tracking_uri)
    query = parse_qs(urlsplit(stack.database_url).query)
    found = Door((url.hostname, url.port)), Door(f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}")
    for door in found:
        threading.Thread(target=door.serve, daemon=True).start()
    yield found
    for door in found:
        door.close()
        for each in door.open:
            each.close()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The folder of local files of this test."""
    found = tmp_path / ".lockgate"
    found.mkdir(mode=0o700)
    return found


@pytest.fixture
def here(backend: Workspace, passed, doors, own: Path) -> Workspace:
    """Version 1 in Production, asked through the doors; its copy is kept in `own`."""
    verdict = passed(1)
    promote.promote(backend, YES, 1, verdict.digests.policy_digest, None)
    mlflow_door, database_door = doors
    url = urlsplit(backend.addresses.database_url)
    through = Addresses(
        f"http://127.0.0.1:{mlflow_door.port}",
        f"{url.scheme}://{url.username}@127.0.0.1:{database_door.port}{url.path}",
    )
    return replace(
        backend, addresses=through, database=Database(through.database_url, PATIENT), timeout=PATIENT, home=own
    )


@pytest.fixture
def kept(here: Workspace) -> AnsweringVersion:
    """The version as the registry gave it; its copy is there now."""
    return load(here)


def load(workspace: Workspace, chosen: Stage | int = Stage.PRODUCTION, terms: FallbackTerms = TERMS):
    return answering_version.load(workspace, chosen, terms)


def copy_of(workspace: Workspace) -> Path:
    found = verified_copy.place(workspace)
    assert found is not None
    return found


def test_production_is_kept_private_and_is_not_degraded(here: Workspace, kept: AnsweringVersion) -> None:
    assert (kept.version, kept.degraded, kept.remarks) == (1, None, ())
    path = copy_of(here)
    assert [each.stat().st_mode & 0o777 for each in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o700]
    assert list(path.parent.iterdir()) == [path]


def test_another_stage_or_number_keeps_no_copy(here: Workspace, passed) -> None:
    passed(2)
    for chosen in (Stage.STAGING, 2):
        assert load(here, chosen).version == 2
    assert not copy_of(here).exists()


@pytest.mark.parametrize(
    "down", ["both", *(pytest.param(one, marks=pytest.mark.long) for one in ("mlflow", "postgres"))]
)
@pytest.mark.parametrize("way", [Door.close, Door.fall_silent])
def test_an_unavailable_registry_is_replaced_by_the_copy_however_long_a_call_may_take(
    here: Workspace, kept: AnsweringVersion, doors: tuple[Door, Door], down: str, way: Callable[[Door], None]
) -> None:
    for door in {"mlflow": doors[:1], "postgres": doors[1:], "both": doors}[down]:
        way(door)
    started = time.monotonic()
    found = load(replace(here))
    assert time.monotonic() - started < NOT_PATIENT
    assert (found.version, found.opened.digest, found.stage) == (1, kept.opened.digest, Stage.PRODUCTION)
    assert str(found.degraded).startswith("version 1, verified ")
    assert "ago, because " in str(found.degraded)
    asked = pd.DataFrame(PROBE)
    assert found.forecaster.predict(asked).tolist() == kept.forecaster.predict(asked).tolist()


PROBE: dict[str, list[object]] = {}


@pytest.fixture(autouse=True)
def probe(build) -> None:
    rows = pd.read_parquet(build(1).prepared / "holdout.parquet").drop(columns="Sales").head(5)
    PROBE.update({str(name): list(rows[name]) for name in rows})


def test_the_copy_answers_for_its_own_number_and_for_no_other_choice(
    here: Workspace, passed, doors: tuple[Door, Door]
) -> None:
    passed(2)
    load(here)
    doors[0].close()
    quick = replace(here, timeout=2.0)
    assert load(quick, 1).degraded
    for chosen in (2, Stage.STAGING):
        with pytest.raises(Unavailable):
            load(quick, chosen)


def test_a_refused_login_is_never_replaced_by_the_copy(here: Workspace, kept: AnsweringVersion) -> None:
    database_url = here.addresses.database_url
    for status, body in ((401, b""), (403, b""), (401, b'{"message": "no token"}'), (403, b'{"message": "no token"}')):
        with answering(status, body) as server, pytest.raises(AccessRefused, match="not authorised"):
            load(replace(here, addresses=Addresses(server.address, database_url)))
    with answering(302) as server, pytest.raises(AccessRefused, match="redirects instead of answering"):
        load(replace(here, addresses=Addresses(server.address, database_url)))
    stranger = database_url.replace(urlsplit(database_url).username or "", "nobody_known")
    with pytest.raises(AccessRefused, match="has no such user"):
        load(replace(here, addresses=Addresses(here.addresses.tracking_uri, stranger), database=Database(stranger)))


def test_a_server_that_only_fails_is_unavailable(here: Workspace, kept: AnsweringVersion) -> None:
    for status in (500, 503, 429):
        with answering(status) as server:
            assert load(replace(here, addresses=Addresses(server.address, here.addresses.database_url))).degraded


def test_an_empty_production_is_never_replaced_by_the_copy(here: Workspace, kept: AnsweringVersion, doors) -> None:
    retire.retire(here, YES)
    doors[0].close()
    with pytest.raises(StateConflict, match="is in Production"):
        load(here)


def test_a_version_that_a_rollback_took_out_does_not_answer_again(here: Workspace, passed, doors) -> None:
    second = passed(2)
    promote.promote(here, YES, 2, second.digests.policy_digest, None)
    assert load(here).version == 2
    rollback.rollback(here, YES, None)
    doors[0].close()
    with pytest.raises(Unavailable) as refusal:
        load(here)
    assert "a rollback took this version out of Production" in refusal.value.hint


@pytest.mark.long
def test_an_older_production_answers_and_says_that_it_is_not_the_present_one(here, passed, doors) -> None:
    second = passed(2)
    load(here)
    promote.promote(here, YES, 2, second.digests.policy_digest, None)
    doors[0].close()
    found = load(here)
    assert found.version == 1
    assert str(found.degraded).endswith("; version 2 is in Production now")


@pytest.fixture
def store(here: Workspace, stack: Addresses, home: Path) -> Path:
    """The folder in which the server stores version 1."""
    mlflow.set_tracking_uri(stack.tracking_uri)
    mlflow.set_registry_uri(stack.tracking_uri)
    source = mlflow.MlflowClient().get_model_version(here.model, "1").source.removeprefix("models:/")
    [found] = home.glob(f"artifacts/*/models/{source}/artifacts")
    return found


def test_lost_files_of_production_are_replaced_by_the_copy_with_an_alarm_and_changed_ones_never(
    here: Workspace, kept: AnsweringVersion, store: Path
) -> None:
    booster = store / "artifacts" / "bundle" / "catboost.cbm"
    booster.write_bytes(b"x")
    with pytest.raises(IntegrityBroken, match="sha256 mismatch"):
        load(here)
    shutil.rmtree(store)
    found = load(here)
    assert found.degraded
    assert (found.degraded.alarm, found.opened.digest) == (True, kept.opened.digest)
    assert "the store no longer has the files of version 1" in str(found.degraded)
    with pytest.raises(ArtifactMissing):
        load(here, terms=FallbackTerms(allowed=False))


def test_an_unfit_copy_is_refused_with_the_reason(here, kept, doors, build, tmp_path: Path) -> None:
    doors[0].close()
    with pytest.raises(Unavailable, match=r"does not answer.*are allowed") as old:
        load(here, terms=FallbackTerms(longest_age=timedelta(0)))
    with pytest.raises(Unavailable, match="does not answer"):
        load(replace(here, timeout=2.0), terms=FallbackTerms(allowed=False))
    with pytest.raises(IntegrityBroken, match="is not signed") as unsigned:
        load(replace(here, trusted_keys=(keys.make(tmp_path / "key.pem"),)))
    elsewhere = here.addresses.database_url.replace("127.0.0.1", "localhost")
    with pytest.raises(IntegrityBroken, match="the verified copy is of postgresql"):
        load(replace(here, addresses=Addresses(here.addresses.tracking_uri, elsewhere)))
    assert (old.value.exit_code, unsigned.value.exit_code) == (6, 7)
    other = build(2).bundle
    for version, bundle in ((9, build(1).bundle), (1, other)):  # newer than the registry; another bundle
        verified_copy.keep(here, Opened(version, manifest.digest(bundle), kept.forecaster, {}, bundle), ())
        with pytest.raises(IntegrityBroken, match="is not of this registry"):
            load(here)
    copy_of(here).unlink()
    with pytest.raises(Unavailable, match="does not answer"):
        load(replace(here, timeout=2.0))


@pytest.fixture
def shell(here: Workspace, build, stack: Addresses) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command in a project whose `.lockgate` has the copy, with the doors as its services."""
    folder = build(1).build.parent
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["problem"]["name"] = here.model.removesuffix("-ensemble")
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    (folder / "dvc.yaml").write_text("stages: {}\n")
    services = {
        "MLFLOW_TRACKING_URI": here.addresses.tracking_uri,
        "LOCKGATE_DATABASE_URL": here.addresses.database_url,
    }

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lockgate", *words], cwd=folder, env=os.environ | services, capture_output=True,
            text=True, timeout=300, check=False,
        )  # fmt: skip

    return run


@pytest.mark.long
def test_a_server_behind_a_silent_database_opens_its_port_however_long_a_call_may_take(
    here: Workspace, kept: AnsweringVersion, doors, trained_project, own: Path, tmp_path: Path
) -> None:
    doors[1].fall_silent()
    folder = serving_process.folder_for(here, trained_project(1) / "params.yaml", tmp_path / "a project")
    shutil.copytree(own, folder / ".lockgate")
    rows = served_versions.rows().head(2)
    with serving_process.serving(here, folder, "--timeout", "600") as server:
        answer = server.ask(serving_process.body_of(rows))
    assert answer.json["predictions"] == served_versions.expected(1, rows)
    assert "version 1" in answer.headers["x-lockgate-degraded"]


def test_the_command_says_loudly_that_the_copy_answered(shell, doors, tmp_path: Path) -> None:
    words = ["predict", "--input", "data/prepared/holdout.parquet", "--output", str(tmp_path / "out.csv"), "--force"]
    assert (shell(*words).returncode, shell(*words).stderr) == (0, "")
    before = pd.read_csv(tmp_path / "out.csv")
    doors[1].close()
    result = tmp_path / "result.json"
    done = shell(*words, "--result-json", str(result))
    assert done.returncode == 0
    assert done.stderr.startswith("DEGRADED: version 1, verified ")
    after = pd.read_csv(tmp_path / "out.csv")
    assert set(after["degraded"]) == {done.stderr.partition("\n")[0].removeprefix("DEGRADED: ")}
    pd.testing.assert_frame_equal(after.drop(columns="degraded"), before)
    assert '"degraded": "version 1, verified ' in result.read_text()
    refused = shell(*words, "--no-fallback")
    assert (refused.returncode, refused.stderr[:6]) == (6, "error:")
