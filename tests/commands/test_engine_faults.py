"""Faults of a Dask cluster during work: the result is right or there is a clear error, never a wrong result."""

import os
import signal
import subprocess
import sys
import time

import dask_processes
import engine_tasks
import pytest
from signals import heeded

from lockgate.engine import choice, dask_cluster
from lockgate.errors import BadConfiguration, Unavailable, WorkerLost
from lockgate.problem.params import EngineParams

SECONDS = 120
LONG_WORK = """if True:
    import sys, engine_tasks
    from lockgate.engine import choice, dask_cluster
    from lockgate.problem.params import EngineParams
    from lockgate.system import exit_codes

    def work():
        with choice.here(EngineParams(kind="dask", address=sys.argv[1]), float(sys.argv[3])) as engine:
            engine.map(engine_tasks.started_and_waiting, range(3), "wait", shared=(sys.argv[2],))

    exit_codes.script(work)
"""


def on(cluster, timeout=SECONDS):
    return choice.here(EngineParams(kind="dask", address=cluster.address), timeout)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers that their nannies start again."""
    with dask_processes.running(tmp_path_factory.mktemp("cluster"), workers=2) as started:
        yield started


@pytest.fixture
def at_work(tmp_path):
    """A function that starts a command on a cluster and waits until two of its three tasks have started."""

    def started(cluster, timeout):
        with on(cluster) as engine:
            engine.client.wait_for_workers(2, SECONDS)
        words = [sys.executable, "-c", LONG_WORK, cluster.address, str(tmp_path), str(timeout)]
        environment = os.environ | {"PYTHONPATH": str(dask_processes.TESTS)}
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=heeded)
        dask_processes.wait_for(lambda: len(list(tmp_path.iterdir())) == 2 or process.poll() is not None)
        assert process.poll() is None, process.stderr.read()
        return process

    return started


def test_after_the_death_of_a_worker_its_task_runs_again_and_the_result_is_right(cluster, tmp_path):
    with on(cluster) as engine:
        assert engine.map(engine_tasks.killed_once, range(6), "read", shared=(str(tmp_path),)) == list(range(6))
    assert [mark.name for mark in tmp_path.iterdir()] == ["1"]


@pytest.mark.long
def test_a_task_under_which_every_worker_dies_is_named(cluster):
    with on(cluster) as engine, pytest.raises(WorkerLost, match="read, part 2 of 3") as refusal:
        engine.map(engine_tasks.always_killed, range(3), "read")
    assert refusal.value.exit_code == 6
    assert "memory" in refusal.value.hint


@pytest.mark.long
def test_a_task_that_takes_more_memory_than_a_worker_has_is_named(tmp_path):
    with dask_processes.running(tmp_path, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as cluster:
        cluster.add_worker("--memory-limit", "400MiB")
        with on(cluster) as engine, pytest.raises(WorkerLost, match="train block, part 2 of 2"):
            engine.map(engine_tasks.memory_taken, range(2), "train block", shared=(2 << 30,))
        assert "exceeded 95% memory budget" in cluster.log()


@pytest.mark.long
def test_the_named_task_is_the_one_that_ran_not_one_that_waited_on_the_same_worker(tmp_path):
    with dask_processes.running(tmp_path) as cluster:
        cluster.add_worker("--memory-limit", "400MiB")
        for which in (0, 3):
            with on(cluster) as engine, pytest.raises(WorkerLost, match=f"train block, part {which + 1} of 8"):
                engine.map(engine_tasks.hungry, range(8), "train block", shared=(which, 2 << 30))


def test_a_file_that_a_worker_does_not_see_is_named(cluster, tmp_path):
    seen_here = tmp_path / "rows.parquet"
    seen_here.touch()
    with on(cluster) as engine, pytest.raises(BadConfiguration, match="a worker does not see") as refusal:
        engine.map(engine_tasks.not_seen, [str(seen_here)], "read")
    assert "shared file system" in refusal.value.hint


def test_a_lost_scheduler_ends_the_work_as_unavailable(tmp_path, at_work):
    with dask_processes.running(tmp_path.parent, workers=2) as cluster:
        process = at_work(cluster, 10)
        cluster.scheduler.kill()
        killed_at = time.monotonic()
        _, said = process.communicate(timeout=SECONDS)
    assert process.returncode == Unavailable.exit_code, said
    assert "error: the connection to the Dask scheduler is lost" in said
    assert time.monotonic() - killed_at < SECONDS / 2


@pytest.mark.long
def test_a_frozen_scheduler_ends_the_work_as_unavailable(tmp_path, at_work):
    with dask_processes.running(tmp_path.parent, workers=2) as cluster:
        process = at_work(cluster, 10)
        cluster.scheduler.send_signal(signal.SIGSTOP)
        _, said = process.communicate(timeout=SECONDS)
    assert (process.returncode, "does not answer within 10 s" in said) == (Unavailable.exit_code, True), said


@pytest.mark.long
def test_a_frozen_worker_is_named_before_any_work(tmp_path, monkeypatch):
    with dask_processes.running(tmp_path, workers=1) as cluster:
        with on(cluster) as engine:
            [(address, process)] = engine.client.run(os.getpid).items()
        monkeypatch.setattr(dask_cluster, "SILENT_SECONDS", 2.0)
        os.kill(process, signal.SIGSTOP)
        with pytest.raises(Unavailable, match=f"a worker does not answer within 2 s.*{address}"), on(cluster):
            pass


@pytest.mark.long
def test_work_without_any_worker_left_ends_as_unavailable(tmp_path, at_work):
    with dask_processes.running(tmp_path.parent, workers=2) as cluster:
        process = at_work(cluster, 10)
        for worker in cluster.workers:
            worker.kill()
        _, said = process.communicate(timeout=SECONDS)
    assert (process.returncode, "has no worker after 10 s" in said) == (Unavailable.exit_code, True), said


@pytest.mark.long
def test_workers_that_pause_for_good_end_the_work(tmp_path, monkeypatch):
    """Their memory is full with what no task can free; Dask alone would wait for ever."""
    monkeypatch.setattr(dask_cluster, "PAUSED_SECONDS", 2.0)
    full = {"DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "0.05"}
    with dask_processes.running(tmp_path) as cluster:
        cluster.add_worker("--memory-limit", "1GiB", **full)
        with choice.here(EngineParams(kind="dask", address=cluster.address), SECONDS, tmp_path) as engine:
            engine.timeout = 2.0
            dask_processes.wait_for(lambda: {each["status"] for each in engine.identities().values()} == {"paused"})
            with pytest.raises(WorkerLost, match="each worker has paused, because its memory is full"):
                engine.map(engine_tasks.scaled, [1, 2], "scale", shared=(7,))


def test_ctrl_c_gives_up_the_tasks_that_wait(cluster, tmp_path, at_work):
    process = at_work(cluster, SECONDS)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=SECONDS)
    assert (process.returncode, said.strip().splitlines()[-1]) == (130, "error: interrupted")
    with on(cluster) as engine:
        engine.client.restart()
        assert engine.map(engine_tasks.scaled, [1, 2], "scale", shared=(7,)) == [7, 14]
    assert len(list(tmp_path.iterdir())) == 2, "the third task has started"
