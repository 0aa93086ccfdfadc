"""Rows a second, CPU time and peak memory of `lockgate predict` into a folder: in process, and on two workers of Dask.

Run it with a trained project (params.yaml, data/prepared, build/bundle):
`python benchmarks/predict_dask.py PROJECT ROWS`. The rows are those of the holdout, repeated, in 8 parts. It needs no
server; with the log, records go to a spool. CPU time is that of the process, or of client and workers together without
their start. Memory is the peak of each process.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, perf_counter, process_time, sleep

import numpy as np

from lockgate.bundle import manifest, store
from lockgate.data import dataset, row_parts
from lockgate.database.connection import Database
from lockgate.engine.engine import Engine, InProcess
from lockgate.lifecycle.stages import Stage
from lockgate.operations.answering_version import AnsweringVersion
from lockgate.operations.batch_log import BatchLog
from lockgate.operations.load_version import Opened
from lockgate.operations.predict import Order
from lockgate.operations.predict_parts import PartsRun
from lockgate.prediction_log.batch import BatchRequests
from lockgate.prediction_log.record import Role
from lockgate.prediction_log.spool import Spool
from lockgate.problem.params import load_params

PARTS, WORKERS = 8, 2
NOWHERE = "postgresql+psycopg2://nobody@127.0.0.1:9/none"
START_SECONDS = 300


def main() -> None:
    """Measure and print."""
    project, rows = Path(sys.argv[1]).resolve(), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(project)
        problem, bundle = load_params(Path("params.yaml")).problem, Path("build", "bundle")
        digest = manifest.digest(bundle)
        version = AnsweringVersion("model", Opened(1, digest, store.load(bundle, digest)), Stage.PRODUCTION)
        write_rows(problem.target, rows, folder / "rows")

        def order(target: str) -> Order:
            return Order(problem, folder / "rows", folder / target, False, 0.95)

        in_process = "in process"
        print(f"{rows:,} rows in {PARTS} parts")
        expected = measured(in_process, order("here"), version, None, (InProcess(), None))
        log = BatchLog(
            BatchRequests(version.scorer(Role.BATCH), version.forecaster, 0.95),
            Spool(folder / "spool", 64 << 30), Database(NOWHERE, 1.0),
        )  # fmt: skip
        measured(f"{in_process}, with the log", order("logged"), version, log, (InProcess(), None))
        with workers(folder) as engine:
            found = measured(f"on {WORKERS} workers", order("there"), version, None, (engine, bundle))
    print("equal files" if found == expected else "THE FILES DIFFER")


def write_rows(target: str, count: int, folder: Path) -> None:
    """The rows of the holdout again and again, in parts."""
    folder.mkdir()
    holdout = dataset.read(Path("data", "prepared"), "holdout").drop(columns=target)
    for number, places in enumerate(np.array_split(np.arange(count), PARTS)):
        holdout.iloc[places % len(holdout)].to_parquet(folder / f"part-{number:03}.parquet", index=False)


def measured(
    name: str, order: Order, version: AnsweringVersion, log: BatchLog | None, where: tuple[Engine, Path | None]
) -> list[str]:
    """Run and print; the digests of the files."""
    engine, bundle = where
    before, wall = cpu(engine), perf_counter()
    done = PartsRun(order, row_parts.row_parts(order.source), version, log).forecast(engine, bundle)
    seconds, spent = perf_counter() - wall, cpu(engine) - before
    rows = sum(each.counts.rows for each in done)
    peaks = ", ".join(f"{each:,.0f}" for each in memory(engine))
    print(
        f"{name:26} {rows / seconds:10,.0f} rows/s  {1e6 * spent / rows:6.2f} us CPU a row  peak memory {peaks} MiB",
        flush=True,
    )
    return [part["sha256"] for part in json.loads((order.target / "_manifest.json").read_text())["parts"]]


def cpu(engine: Engine) -> float:
    """CPU seconds of this process and of the workers so far."""
    client = getattr(engine, "client", None)
    return process_time() + (sum(client.run(process_time).values()) if client else 0.0)


def memory(engine: Engine) -> list[float]:
    """The peak of each worker in MiB, or that of this process."""
    client = getattr(engine, "client", None)
    return sorted(client.run(peak).values()) if client else [peak()]


def peak() -> float:
    """The peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def workers(folder: Path) -> Iterator[Engine]:
    """The engine on a new cluster of processes with one thread each."""
    from lockgate.engine import dask_cluster

    file = folder / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": os.environ | {"OMP_NUM_THREADS": "1"}}
    words = [[*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file)]]
    of_worker = ["--nthreads", "1", "--no-nanny", "--local-directory", str(folder), "--scheduler-file", str(file)]
    words += [[*dask, "worker", *of_worker] for _ in range(WORKERS)]
    started = [subprocess.Popen(each, **quiet) for each in words]  # type: ignore[call-overload]
    try:
        until = monotonic() + START_SECONDS
        while not file.exists() and monotonic() < until:
            sleep(0.1)
        address = json.loads(file.read_text())["address"]
        with dask_cluster.connected(address, START_SECONDS) as engine:
            engine.client.wait_for_workers(WORKERS, timeout=START_SECONDS)
            yield engine
    finally:
        for process in started:
            process.terminate()
        for process in started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)


if __name__ == "__main__":
    main()
