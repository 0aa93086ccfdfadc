"""The last verified Production answers while the registry is unavailable, and in no other case."""

import os
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import keys
import mlflow
import pandas as pd
import pytest
import yaml

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


@dataclass
class Door:
    """A port before a server: it passes everything on, or accepts and stays silent, or is closed."""

    upstream: tuple[str, int] | str
    is_silent: bool = False
    listening: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    open: list[socket.socket] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.listening.getsockname()[1])

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            self.open.append(client)
            if not self.is_silent:
                threading.Thread(target=self.pass_on, args=(client,), daemon=True).start()

    def pass_on(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX if isinstance(self.upstream, str) else socket.AF_INET)
        with client, server, suppress(OSError, ValueError):  # the test ends, or the other side does
            server.connect(self.upstream)
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    if not (chunk := ready.recv(1 << 16)):
                        return
                    (server if ready is client else client).sendall(chunk)

    def close(self) -> None:
        """Refuse new connections and end the open ones."""
        if self.listening.fileno() >= 0:
            self.listening.shutdown(socket.SHUT_RDWR)
            self.listening.close()
        self.hang_up()

    def fall_silent(self) -> None:
        """Accept, and never answer."""
        self.is_silent = True
        self.hang_up()

    def hang_up(self) -> None:
        for each in self.open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


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
    for status in (401, 403):
        with answering(status) as address, pytest.raises(AccessRefused, match="not authorised"):
            load(replace(here, addresses=Addresses(address, database_url)))
    stranger = database_url.replace(urlsplit(database_url).username or "", "nobody_known")
    with pytest.raises(AccessRefused, match="has no such user"):
        load(replace(here, addresses=Addresses(here.addresses.tracking_uri, stranger), database=Database(stranger)))


def test_a_server_that_only_fails_is_unavailable(here: Workspace, kept: AnsweringVersion) -> None:
    for status in (500, 503, 429):
        with answering(status) as address:
            assert load(replace(here, addresses=Addresses(address, here.addresses.database_url))).degraded


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


class answering:  # noqa: N801 - reads as a clause
    """A server that answers every request with one status."""

    def __init__(self, status: int) -> None:
        self.reply = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()

    def __enter__(self) -> str:
        self.listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            with client:
                client.recv(1 << 16)
                client.sendall(self.reply)

    def __exit__(self, *_: object) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
