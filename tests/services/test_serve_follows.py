"""`lockgate serve` follows its stage: under load, past a bad version, with a shadow and with a canary."""

import random
import signal
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pandas as pd
import psutil
import pytest
import served_versions
import serving_process
from served_versions import promote_staged, put_in_production, put_in_staging
from serving_process import Answer, Serving, ask, body_of, serving
from sqlalchemy import text

from lockgate.operations import retire, rollback
from lockgate.operations.workspace import Workspace

CLIENTS = 4
SEEDS = {1: 1, 2: 2}  # of each version


@pytest.fixture
def folder(backend: Workspace, trained_project: Callable[[int], Path], tmp_path: Path) -> Path:
    """A folder of this test's own model."""
    return serving_process.folder_for(backend, trained_project(1) / "params.yaml", tmp_path / "a project")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return served_versions.rows().sample(60, random_state=1)


class Load:
    """Clients that ask without a pause, each for one row or for a few."""

    def __init__(self, server: Serving, rows: pd.DataFrame) -> None:
        self.answers: list[tuple[tuple[int, ...], Answer]] = []
        self.stopped = threading.Event()
        self._server, self._rows = server, rows
        self._threads = [threading.Thread(target=self._ask, args=(seed,)) for seed in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self._threads:
            thread.join()

    def seen(self, version: int) -> None:
        """Wait until the version has answered."""
        known = len(self.answers)
        while not any(answer.version == version for _, answer in self.answers[known:]):
            if not all(thread.is_alive() for thread in self._threads):
                raise AssertionError("a client failed")
            self.stopped.wait(0.02)

    def _ask(self, seed: int) -> None:
        draw = random.Random(seed)
        with closing(self._server.connect()) as connection:
            while not self.stopped.is_set():
                places = tuple(draw.choices(range(len(self._rows)), k=draw.choice([1, 1, 1, 5])))
                self.answers.append((places, ask(connection, body_of(self._rows.iloc[list(places)]))))


def test_promote_and_rollback_under_load_fail_no_request_and_mix_no_answers(
    backend: Workspace, folder: Path, rows: pd.DataFrame
) -> None:
    put_in_production(backend, 1)
    put_in_staging(backend, 2)
    with serving(backend, folder) as server, Load(server, rows) as load:
        load.seen(1)
        promote_staged(backend, 2)
        load.seen(2)
        rollback.rollback(backend, served_versions.YES, None)
        load.seen(1)
        rollback.rollback(backend, served_versions.YES, 2)
        load.seen(2)
    assert {answer.status for _, answer in load.answers} == {200}
    expected = {version: served_versions.expected(seed, rows) for version, seed in SEEDS.items()}
    for places, answer in load.answers:
        assert answer.json["predictions"] == [expected[answer.version][place] for place in places]
    logged = _logged(backend, sum(len(places) for places, _ in load.answers))
    assert logged == {
        (answer.headers["x-lockgate-request-id"], row): (answer.version, "served", predicted["prediction"])
        for _, answer in load.answers
        for row, predicted in enumerate(answer.json["predictions"])
    }


def _logged(backend: Workspace, count: int) -> dict[tuple[str, int], tuple[int, str, float]]:
    """The predictions on record; the server has drained its spool when it ends."""
    query = 'SELECT request_id::text, "row", version, role, prediction FROM lockgate.predictions WHERE model = :model'
    with backend.database.transaction() as connection:
        found = connection.execute(text(query), {"model": backend.model}).all()
    assert len(found) == count
    return {(row[0], row[1]): tuple(row[2:]) for row in found}


def test_a_version_that_cannot_be_loaded_leaves_the_one_before_it_and_health_says_so(
    backend: Workspace, folder: Path, rows: pd.DataFrame, home: Path
) -> None:
    put_in_staging(backend, 1)
    with serving(backend, folder, "--stage", "Staging") as server:
        assert server.ask(body_of(rows.head(1))).version == 1
        version = served_versions.registered(backend, 2)
        served_versions.damage(backend, home, version)
        assert put_in_staging(backend, 2) == version
        server.wait_for_line(f"version {version} in Staging cannot be loaded")
        failed = server.get("/health").json["last_failed_switch"]
        assert (failed["version"], "sha256 mismatch" in failed["reason"]) == (version, True)
        answer = server.ask(body_of(rows))
        assert (answer.version, answer.json["predictions"]) == (1, served_versions.expected(1, rows))
        put_in_staging(backend, 3)
        assert server.health_with(version=3)["last_failed_switch"] is None


def test_after_a_retirement_nothing_answers_until_the_next_production(
    backend: Workspace, folder: Path, rows: pd.DataFrame
) -> None:
    put_in_production(backend, 1)
    with serving(backend, folder) as server:
        retire.retire(backend, served_versions.YES)
        server.health_with(ready=False)
        assert (server.get("/health").status, server.ask(body_of(rows)).status) == (503, 503)
        rollback.rollback(backend, served_versions.YES, None)
        server.health_with(ready=True, version=1)
        assert server.ask(body_of(rows)).status == 200


def test_a_shadow_is_logged_and_never_answers(backend: Workspace, folder: Path, rows: pd.DataFrame) -> None:
    put_in_production(backend, 1)
    put_in_staging(backend, 2)
    with serving(backend, folder, "--shadow", "Staging") as server:
        answers = [server.ask(body_of(rows.iloc[[place]])) for place in range(5)]
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=30)
    assert {answer.version for answer in answers} == {1}
    with backend.database.transaction() as connection:
        query = "SELECT request_id::text, role, version, prediction FROM lockgate.predictions WHERE model = :model"
        found = {row[:3]: row[3] for row in connection.execute(text(query), {"model": backend.model})}
    expected = {
        (answer.headers["x-lockgate-request-id"], role, version): served_versions.expected(seed, rows)[place][
            "prediction"
        ]
        for place, answer in enumerate(answers)
        for role, version, seed in (("served", 1, 1), ("shadow", 2, 2))
    }
    assert found == expected


def test_a_canary_answers_its_share_of_the_keys_and_follows_a_new_share(
    backend: Workspace, folder: Path, rows: pd.DataFrame
) -> None:
    put_in_production(backend, 1)
    put_in_staging(backend, 2)
    one_a_key = rows.drop_duplicates("Store")
    with serving(backend, folder, "--canary", "Staging=40") as server:
        first = _versions_by_key(server, one_a_key)
        assert set(first.values()) == {1, 2}
        assert _versions_by_key(server, one_a_key) == first
        assert serving_process.command(backend, folder, "canary", "Staging=70").returncode == 2
        done = serving_process.command(backend, folder, "canary", "Staging=70", "--reason", "no complaints")
        assert done.returncode == 0, done.stderr
        server.health_with(canary_share=70)
        second = _versions_by_key(server, one_a_key)
        assert {key for key, version in first.items() if version == 2} < {k for k, v in second.items() if v == 2}
        shown = serving_process.command(backend, folder, "canary").stdout
        assert "no complaints" in shown and "40 %" in shown and "lockgate serve --canary" in shown
        serving_process.command(backend, folder, "canary", "Staging=0", "--reason", "enough")
        server.health_with(canary_share=0)
        assert set(_versions_by_key(server, one_a_key).values()) == {1}


def _versions_by_key(server: Serving, rows: pd.DataFrame) -> dict[int, int]:
    """The version that answers each key; its numbers are those of this version."""
    found = {}
    for store, one in rows.groupby("Store"):
        answer = server.ask(body_of(one))
        assert answer.json["predictions"] == served_versions.expected(SEEDS[answer.version], one)
        assert (answer.headers.get("x-lockgate-role") == "canary") == (answer.version == 2)
        found[int(store)] = answer.version
    return found


def _is_worker(process: psutil.Process) -> bool:
    return any("spawn_main" in word for word in process.cmdline())


def test_a_killed_worker_is_started_again_and_each_worker_follows_the_stage(
    backend: Workspace, folder: Path, rows: pd.DataFrame
) -> None:
    put_in_production(backend, 1)
    put_in_staging(backend, 2)
    with serving(backend, folder, "--workers", "2") as server:
        server.wait_for_line("2 workers")
        [killed, other] = [each for each in psutil.Process(server.process.pid).children() if _is_worker(each)]
        killed.kill()
        server.wait_for_line("is started again")
        assert server.ask(body_of(rows.head(3))).version == 1
        server.lines.clear()
        server.wait_for_line("answers at")
        promote_staged(backend, 2)
        server.wait_for_line("version 2 (Production) answers")
        server.lines.clear()
        server.wait_for_line("version 2 (Production) answers")
        assert other.is_running()
        metrics = server.get("/metrics").body.decode()
        assert 'lockgate_requests_total{status="200"}' in metrics
        answers = [server.ask(body_of(rows.head(3))) for _ in range(10)]
        assert {answer.version for answer in answers} == {2}
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=60) == 143
        with pytest.raises(OSError):
            server.get("/ping")
