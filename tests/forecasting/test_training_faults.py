"""A fault during a training on a cluster: it ends with a right bundle, or with a clear error and no bundle."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import dask_processes
import numpy as np
import partition_files
import psutil
import pytest
import small_chain
from signals import heeded

from lockgate.bundle import store
from lockgate.engine import choice, collective
from lockgate.errors import Unavailable, WorkerLost
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import EngineParams
from lockgate.training import distributed, fits_on_workers
from lockgate.training.partitions import Source

SECONDS = 180
TOLERANCE = 0.05  # of the metric on the holdout, relative (docs/how-to/dask.md)
VERY_LONG = 10_000_000  # rounds
STATES, JOIN = "states and training rows of the partitions", "training rows of the workers"
FITS = {"lightgbm": "lightgbm, 4709 rows on 2 workers", "xgboost": "xgboost, 4709 rows on 2 workers"}
COMMAND = """if True:
    import os, sys
    import partition_files, small_chain
    from dataclasses import replace
    from functools import partial
    from pathlib import Path
    from lockgate.bundle import store
    from lockgate.engine import choice
    from lockgate.problem.params import EngineParams
    from lockgate.system import exit_codes
    from lockgate.training import distributed, fits_on_workers
    from lockgate.training.partitions import Source

    address, folder, long_fit = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    if long_fit in fits_on_workers.FITS:
        usual = fits_on_workers.FITS[long_fit]
        fits_on_workers.FITS[long_fit] = lambda params, blocks, budget: usual(
            params, blocks, replace(budget, rounds=int(sys.argv[5]))
        )

    def work():
        read = partial(partition_files.read, str(folder))
        with choice.here(EngineParams(kind="dask", address=address)) as engine:
            given = Source(3, read, small_chain.chain().stores)
            say = lambda name, *_: print(name, flush=True)
            found = distributed.train(distributed.Training(given, small_chain.params(), engine, say))
        bundle = Path(sys.argv[4])
        bundle.with_suffix(".digest").write_text(store.save(found.forecaster, bundle))

    exit_codes.script(work)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers that their nannies start again."""
    with dask_processes.running(tmp_path_factory.mktemp("cluster"), 2, OMP_WAIT_POLICY="PASSIVE") as started:
        yield started


@pytest.fixture
def engine(cluster):
    with on(cluster.address) as engine:
        engine.client.wait_for_workers(2, SECONDS)
        yield engine


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Source:
    return chain(tmp_path_factory.mktemp("rows"))


def chain(folder: Path, files: int = 3) -> Source:
    return partition_files.source(folder, small_chain.parts().rows, small_chain.chain().stores, "Store", files)


def on(address: str):
    return choice.here(EngineParams(kind="dask", address=address), SECONDS)


def trained(given: Source, engine, progress=lambda *_: None):
    return distributed.train(distributed.Training(given, small_chain.params(), engine, progress)).forecaster


def holdout_score(forecaster) -> float:
    rows = small_chain.parts().holdout
    opened = rows[rows["Open"] == 1].reset_index(drop=True)
    return METRICS["rmspe"].score(opened["Sales"].to_numpy(float), forecaster.predict(opened.drop(columns="Sales")))


def assert_right(there) -> None:
    """All but the boosters is that of a training in process, and the metric is near."""
    here = small_chain.forecaster()
    for name, values in here.state.arrays().items():
        assert np.array_equal(values, there.state.arrays()[name], equal_nan=values.dtype.kind == "f"), name
    assert there.weights == here.weights
    assert np.array_equal(there.calibration.spread, here.calibration.spread)
    assert holdout_score(there) == pytest.approx(holdout_score(here), rel=TOLERANCE)


def at_first(step: str, act: Callable[[], None]) -> Callable[..., None]:
    """A progress that acts when a step is told the first time."""
    told: set[str] = set()

    def progress(name: str, *_: int) -> None:
        if name == step and name not in told:
            told.add(name)
            act()

    return progress


def later(act: Callable[[], None]) -> Callable[[], None]:
    """The same in a thread of its own, while the step goes on."""
    return lambda: threading.Thread(target=act, daemon=True).start()


def processes(engine) -> list[int]:
    """The processes of the workers that compute; a nanny starts each again."""
    return list(engine.client.run(os.getpid).values())


def all_compute(workers: list[int]) -> None:
    """Wait until each of these processes has spent a second of CPU time: they are within a fit."""
    begun = {each: cpu_seconds(each) for each in workers}
    dask_processes.wait_for(lambda: all(cpu_seconds(each) > begun[each] + 1 for each in workers))


def cpu_seconds(process: int) -> float:
    return sum(psutil.Process(process).cpu_times()[:2])


@pytest.fixture
def very_long(monkeypatch):
    """A function after which the first fit of a booster on the workers does not end by itself."""

    def make(name: str) -> None:
        usual, begun = fits_on_workers.FITS[name], []

        def fit(params, blocks, budget):
            begun.append(name)
            return usual(params, blocks, replace(budget, rounds=VERY_LONG) if len(begun) == 1 else budget)

        monkeypatch.setitem(fits_on_workers.FITS, name, fit)

    return make


@pytest.mark.parametrize("fit", ["lightgbm", pytest.param("xgboost", marks=pytest.mark.long)])
def test_a_worker_killed_within_a_fit_is_replaced_and_the_bundle_is_right(fit, engine, given, very_long):
    """The worker that is left starts again too: LightGBM would keep a broken connection, XGBoost would wait."""
    workers, said = processes(engine), []
    very_long(fit)

    def kill() -> None:
        all_compute(workers)
        os.kill(workers[0], signal.SIGKILL)

    act = at_first(FITS[fit], later(kill))
    found = trained(given, engine, lambda name, *_: said.append(name) or act(name))
    assert_right(found)
    assert [each for each in said if each.startswith(f"again: a worker was lost during the fit of {fit}")]
    assert not set(workers) & set(processes(engine)), "the other worker was not started again"


@pytest.mark.long
@pytest.mark.parametrize("step", ["rows of the sample", STATES, JOIN, FITS["xgboost"]])
def test_a_worker_killed_between_the_fits_changes_no_bundle_for_the_worse(step, engine, given):
    workers = processes(engine)
    assert_right(trained(given, engine, at_first(step, lambda: os.kill(workers[0], signal.SIGKILL))))


@pytest.mark.long
def test_a_worker_that_is_lost_for_good_leaves_a_right_bundle_of_the_other(tmp_path, given):
    with dask_processes.running(tmp_path, 2) as cluster, on(cluster.address) as engine:
        engine.client.wait_for_workers(2, SECONDS)
        assert_right(trained(given, engine, at_first(FITS["xgboost"], cluster.workers[0].kill)))
        assert len(collective.workers(engine)) == 1


@pytest.mark.long
def test_a_worker_that_joins_during_a_training_changes_nothing(tmp_path, given):
    with dask_processes.running(tmp_path, 1) as cluster, on(cluster.address) as engine:
        assert_right(trained(given, engine, at_first("rows of the sample", cluster.add_worker)))


@pytest.mark.long
def test_a_fit_waits_until_its_workers_have_no_other_task(engine, given):
    """LightGBM would give up after two minutes, if a worker had a longer task of another command."""
    said, others = [], []

    def occupy() -> None:
        for worker in collective.workers(engine):
            others.append(engine.client.submit(time.sleep, 3, workers=[worker], pure=False))

    act = at_first(FITS["lightgbm"], occupy)
    assert_right(trained(given, engine, lambda name, *_: said.append(name) or act(name)))
    assert "the fit of lightgbm waits until its workers have no other task" in said


@pytest.mark.long
def test_a_frozen_worker_counts_as_lost_after_the_limit_of_the_scheduler(tmp_path, given, very_long):
    very_long("lightgbm")
    limit = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "20s"}
    with dask_processes.running(tmp_path, 2, **limit) as cluster, on(cluster.address) as engine:
        engine.client.wait_for_workers(2, SECONDS)
        workers = processes(engine)

        def freeze() -> None:
            all_compute(workers)
            os.kill(workers[0], signal.SIGSTOP)

        assert_right(trained(given, engine, at_first(FITS["lightgbm"], later(freeze))))


@pytest.mark.long
def test_a_partition_that_a_worker_has_no_memory_for_is_named(tmp_path):
    """It could read the partition for its outline and the sample, but not for the training rows."""
    with dask_processes.running(tmp_path, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as cluster:
        cluster.add_worker("--memory-limit", "800MB")
        rows = chain(tmp_path, files=1)
        given = replace(rows, read=partial(partition_files.read_too_much_the_third_time, str(tmp_path)))
        with on(cluster.address) as engine, pytest.raises(WorkerLost, match=f"{STATES}, part 1 of 1") as refusal:
            trained(given, engine)
    assert "give each worker more memory" in refusal.value.hint


@pytest.fixture
def command(given):
    """A function that starts a training as a command; `long_fit` has another number of rounds."""
    started = []

    def start(address: str, bundle: Path, long_fit: str = "", rounds: int = VERY_LONG) -> subprocess.Popen[str]:
        words = [sys.executable, "-c", COMMAND, address, given.read.args[0], long_fit, str(bundle), str(rounds)]
        environment = os.environ | {"PYTHONPATH": str(dask_processes.TESTS), "LOCKGATE_TIMEOUT": "10"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(words, env=environment, preexec_fn=heeded, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def read_until(process: subprocess.Popen[str], step: str) -> None:
    assert any(line.strip() == step for line in process.stdout), process.stderr.read()


@pytest.mark.long
@pytest.mark.parametrize("step", [STATES, JOIN, *FITS.values()])
def test_a_lost_scheduler_ends_the_command_with_exit_6_and_without_a_bundle(step, command, tmp_path):
    with dask_processes.running(tmp_path, 2) as cluster, on(cluster.address) as engine:
        engine.client.wait_for_workers(2, SECONDS)
        workers, [fit] = processes(engine), [name for name in FITS if FITS[name] == step] or [""]
        process = command(cluster.address, tmp_path / "bundle", fit)
        read_until(process, step)
        if fit:
            all_compute(workers)
        cluster.scheduler.kill()
        _, said = process.communicate(timeout=SECONDS)
    assert process.returncode == Unavailable.exit_code, said
    assert "error: the connection to the Dask scheduler is lost" in said or "does not answer within 10 s" in said
    assert "Traceback" not in said
    assert not (tmp_path / "bundle").exists()


@pytest.mark.long
def test_workers_that_are_all_lost_end_the_training_as_unavailable(tmp_path, given, very_long):
    very_long("xgboost")
    with dask_processes.running(tmp_path, 2) as cluster, on(cluster.address) as engine:
        engine.client.wait_for_workers(2, SECONDS)
        workers = processes(engine)

        def kill() -> None:
            all_compute(workers)
            engine.timeout = 2.0
            for process in [each.pid for each in cluster.workers] + workers:
                os.kill(process, signal.SIGKILL)

        with pytest.raises(Unavailable, match="has no worker after 2 s"):
            trained(given, engine, at_first(FITS["xgboost"], later(kill)))


@pytest.mark.long
def test_a_command_that_is_killed_within_a_fit_leaves_no_lock_on_the_workers(
    command, engine, cluster, given, tmp_path, monkeypatch
):
    """Its fit goes on to its end; then the workers would be locked without a task."""
    monkeypatch.setattr(collective, "STALE_SECONDS", 1.0)
    workers = processes(engine)
    process = command(cluster.address, tmp_path / "bundle", "xgboost", 3000)
    read_until(process, FITS["xgboost"])
    all_compute(workers)
    process.kill()
    assert_right(trained(given, engine))


@pytest.mark.long
def test_ctrl_c_within_a_fit_gives_the_workers_back(command, engine, cluster, given, tmp_path):
    workers = processes(engine)
    process = command(cluster.address, tmp_path / "bundle", "xgboost")
    read_until(process, FITS["xgboost"])
    all_compute(workers)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=SECONDS)
    assert (process.returncode, said.strip().splitlines()[-1]) == (130, "error: interrupted")
    assert_right(trained(given, engine))


@pytest.mark.long
def test_two_trainings_at_the_same_time_on_one_cluster_are_both_right(command, engine, cluster, given, tmp_path):
    other = command(cluster.address, tmp_path / "other")
    assert_right(trained(given, engine))
    _, said = other.communicate(timeout=2 * SECONDS)
    assert other.returncode == 0, said
    [digest] = (tmp_path / "other.digest").read_text().split()
    assert_right(store.load(tmp_path / "other", digest))
