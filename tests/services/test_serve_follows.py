"""`lockgate serve` follows its stage: under load, past a bad version, with a shadow and with a canary."""

import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from statistics import median
from time import monotonic

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


@pytest.fixture
def another(backend: Workspace, trained_project: Callable[[int], Path], tmp_path: Path) -> Path:
    """The folder of a second replica: each has a log of its own."""
    return serving_process.folder_for(backend, trained_project(1) / "params.yaml", tmp_path / "another replica")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return served_versions.rows().sample(60, random_state=1)


class Load:
    """Clients that ask without a pause, each for one row or for a few."""

    def __init__(self, server: Serving, rows: pd.DataFrame) -> None:
        self.answers: list[tuple[tuple[int, ...], Answer]] = []
        self.times: list[tuple[float, int]] = []  # of each answer, with its version
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
                answer = ask(connection, body_of(self._rows.iloc[list(places)]))
                self.times.append((monotonic(), answer.version))
                self.answers.append((places, answer))


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


@pytest.mark.long
def test_two_replicas_follow_each_move_within_a_second_of_each_other_and_fail_no_request(
    backend: Workspace, folder: Path, another: Path, rows: pd.DataFrame
) -> None:
    put_in_production(backend, 1)
    put_in_staging(backend, 2)
    with ExitStack() as stack:
        one, two = (stack.enter_context(serving(backend, *words)) for words in ((folder,), (another, "--no-pin")))
        assert [each.get("/health").json["versions"] for each in (one, two)] == [[1], []]
        assert two.ask(body_of(rows.head(1)), X_Lockgate_Version="1").status == 400
        first, second = (stack.enter_context(Load(each, rows)) for each in (one, two))
        apart = [_moved(move, version, first, second) for move, version in _moves(backend)]
    answers = [*first.answers, *second.answers]
    assert {answer.status for _, answer in answers} == {200}
    expected = {version: served_versions.expected(seed, rows) for version, seed in SEEDS.items()}
    for places, answer in answers:
        assert answer.json["predictions"] == [expected[answer.version][place] for place in places]
    print(f"seconds between the replicas, of each move: {[round(each, 3) for each in apart]}; requests: {len(answers)}")
    assert median(apart) < 1.0


def _moves(backend: Workspace) -> Iterator[tuple[Callable[[], object], int]]:
    """Moves of Production, and the version that each of them puts there."""
    yield lambda: promote_staged(backend, 2), 2
    for version in (1, 2, 1, 2):
        yield partial(rollback.rollback, backend, served_versions.YES, version), version


def _moved(move: Callable[[], object], version: int, *replicas: "Load") -> float:
    """Seconds between the first answers of this version by the replicas, after a move."""
    known = [len(each.times) for each in replicas]
    move()
    for each in replicas:
        each.seen(version)
    heard = [each.times[start:] for each, start in zip(replicas, known, strict=True)]
    first = [next(at for at, answered in times if answered == version) for times in heard]
    return max(first) - min(first)


def _logged(backend: Workspace, count: int) -> dict[tuple[str, int], tuple[int, str, float]]:
    """The predictions on record; the server has drained its spool when it ends."""
    query = 'SELECT request_id::text, "row", version, role, prediction FROM lockgate.predictions WHERE model = :model'
    with backend.database.transaction() as connection:
        found = connection.execute(text(query), {"model": backend.model}).all()
    assert len(found) == count
    return {(row[0], row[1]): tuple(row[2:]) for row in found}


def test_a_request_that_names_the_version_before_a_switch_gets_it_for_its_time_and_never_after_a_rollback_of_it(
    backend: Workspace, folder: Path, rows: pd.DataFrame
) -> None:
    put_in_production(backend, 1)
    put_in_staging(backend, 2)
    few = rows.head(3)
    with serving(backend, folder, "--keep-previous", "600") as kept:
        assert kept.ask(body_of(few), X_Lockgate_Version="2").json["versions"] == [1]
        promote_staged(backend, 2)
        assert kept.health_with(version=2)["versions"] == [2, 1]
        answers = {each: kept.ask(body_of(few), X_Lockgate_Version=str(each)) for each in SEEDS}
        assert {each: answer.version for each, answer in answers.items()} == {1: 1, 2: 2}
        for version, answer in answers.items():
            assert answer.json["predictions"] == served_versions.expected(SEEDS[version], few)
        assert answers[1].headers["x-lockgate-stage"] == "Archived"
        assert kept.ask(body_of(few)).version == 2
        assert 'lockgate_pinned_requests_total{answer="previous"} 1.0' in kept.get("/metrics").body.decode()
        rollback.rollback(backend, served_versions.YES, None)
        assert kept.health_with(version=1)["versions"] == [1]
        refused = kept.ask(body_of(few), X_Lockgate_Version="2")
        assert (refused.status, refused.json["versions"]) == (409, [1])
    logged = _logged(backend, 9)
    for version, answer in answers.items():
        assert logged[answer.headers["x-lockgate-request-id"], 0][:2] == (version, "served")


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
    with serving(backend, folder, "--canary", "Staging=50") as server:
        first = _versions_by_key(server, one_a_key)
        assert set(first.values()) == {1, 2}
        assert _versions_by_key(server, one_a_key) == first
        assert serving_process.command(backend, folder, "canary", "Staging=100").returncode == 2
        done = serving_process.command(backend, folder, "canary", "Staging=100", "--reason", "no complaints")
        assert done.returncode == 0, done.stderr
        server.health_with(canary_share=100)
        assert set(_versions_by_key(server, one_a_key).values()) == {2}
        shown = serving_process.command(backend, folder, "canary").stdout
        assert "no complaints" in shown and "50 %" in shown and "lockgate serve --canary" in shown
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


@pytest.mark.long
def test_a_worker_that_stands_still_is_replaced(backend: Workspace, folder: Path, rows: pd.DataFrame) -> None:
    put_in_production(backend, 1)
    with serving(backend, folder, "--workers", "2") as server:
        server.wait_for_line("2 workers")
        [still, _] = [each for each in psutil.Process(server.process.pid).children() if _is_worker(each)]
        still.suspend()
        server.lines.clear()
        server.wait_for_line("stands still; it is killed")
        server.wait_for_line("was killed by signal 9; it is started again")
        server.lines.clear()
        server.wait_for_line("answers at")
        assert [server.ask(body_of(rows.head(3))).version for _ in range(10)] == [1] * 10
        assert not still.is_running()


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
