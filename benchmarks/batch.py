"""Rows a second of `lockgate predict` beside features and boosters alone, in one run, and where the time goes.

Run it in a trained project (params.yaml, data/prepared, build/bundle): `python benchmarks/batch.py ROWS [csv|parquet]`.
The rows are those of the holdout, repeated. It needs no server: the log stays in a spool, as while Postgres is away.
Memory is the peak of this process.
"""

import os
import resource
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import pandas as pd

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the commands do, also for features and boosters alone

from lockgate.bundle import manifest, store
from lockgate.data import row_writer
from lockgate.data.row_file import RowFile
from lockgate.database.connection import Database
from lockgate.forecaster.answers import answers
from lockgate.forecaster.ensemble import Forecaster
from lockgate.forecaster.interface import CHUNK, ForecasterProtocol
from lockgate.lifecycle.stages import Stage
from lockgate.operations import forecast_table
from lockgate.operations.answering_version import AnsweringVersion
from lockgate.operations.batch_log import BatchLog
from lockgate.operations.load_version import Opened
from lockgate.prediction_log.batch import BatchRequests
from lockgate.prediction_log.record import Role
from lockgate.prediction_log.spool import Spool
from lockgate.problem.params import PARAMS_FILE, load_params

BUNDLE, HOLDOUT = Path("build", "bundle"), Path("data", "prepared", "holdout.parquet")
ALONE = "features and boosters alone"
LOG = "log"  # before the names of its parts
NOWHERE = "postgresql+psycopg2://nobody@127.0.0.1:9/none"

spent: dict[str, list[float]] = {}  # wall and CPU seconds of each part


@contextmanager
def timed(part: str) -> Iterator[None]:
    """Add the time of the block to a part."""
    wall, cpu = perf_counter(), process_time()
    yield
    found = spent.setdefault(part, [0.0, 0.0])
    found[0] += perf_counter() - wall
    found[1] += process_time() - cpu


def main() -> None:
    """Measure and print."""
    rows, kind = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "csv"
    problem, digest = load_params(PARAMS_FILE).problem, manifest.digest(BUNDLE)
    forecaster = store.load(BUNDLE, digest)
    version = AnsweringVersion("model", Opened(1, digest, forecaster), Stage.PRODUCTION)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, f"rows.{kind}")
        write_rows(problem.target, rows, source)
        requests = BatchRequests(version.scorer(Role.BATCH), forecaster, 0.95)
        log = BatchLog(requests, Spool(Path(folder, "spool"), 64 << 30), Database(NOWHERE, 1.0))
        forecast(RowFile.open(problem, source), version, Path(folder, f"forecast.{kind}"), log)
    report(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def write_rows(target: str, count: int, path: Path) -> None:
    """The rows of the holdout again and again, with a number, written part by part."""
    holdout = pd.read_parquet(HOLDOUT).drop(columns=target)
    with row_writer.into(path, path.name) as writer:
        for start in range(0, count, len(holdout)):
            part = holdout.head(count - start)
            writer.write(_table(part.assign(number=np.arange(start, start + len(part)))))


def _table(frame: pd.DataFrame) -> object:
    import pyarrow as pa

    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


def forecast(source: RowFile, version: AnsweringVersion, target: Path, log: BatchLog) -> None:
    """As the command does, part by part; and features and boosters of the same rows, from arrays in memory."""
    parts = source.parts()
    with row_writer.into(target, target.name) as writer:
        while True:
            with timed("read and type the rows"):
                part = next(parts, None)
            if part is None:
                with timed(f"{LOG}: to the spool"):
                    log.keep()
                return
            with timed("check, features, boosters, bounds"):
                found = answers(version.forecaster, part.rows, 0.95)
            with timed(f"{LOG}: its columns and the draft"):
                log.add(part.rows, found, 1.0)
            with timed("count for remarks"):
                version.forecaster.check(part.rows)
            with timed("write"):
                writer.write(forecast_table.of_part(part, found, version, typed=False))
            boosters_alone(version.forecaster, part.rows)


def boosters_alone(forecaster: ForecasterProtocol, rows: pd.DataFrame) -> None:
    """Features and boosters of the rows that are learned."""
    if not isinstance(forecaster, Forecaster):
        return
    read = forecaster.request.read(rows)
    known = read.known.take(read.open)
    with timed(ALONE):
        for start in range(0, len(known), CHUNK):
            forecaster._open_days(known.take(np.arange(start, min(start + CHUNK, len(known)))))


def report(rows: int, peak: float) -> None:
    """Print microseconds a row of each part, and the ratio."""
    own = {part: times for part, times in spent.items() if part != ALONE}
    spent["the whole command, without the log"] = total(
        times for part, times in own.items() if not part.startswith(LOG)
    )
    spent["the whole command"] = whole = total(own.values())
    for part, (wall, cpu) in spent.items():
        print(f"{part:36} {1e6 * wall / rows:7.2f} us wall {1e6 * cpu / rows:7.2f} us CPU a row")
    for name in [name for name in spent if name.startswith("the whole") and ALONE in spent]:
        wall, cpu = (spent[ALONE][place] / spent[name][place] for place in (0, 1))
        print(f"{name}: rows/s beside features and boosters alone: {wall:.2f} by wall time, {cpu:.2f} by CPU time")
    print(f"{rows / whole[0]:,.0f} rows/s; peak memory {peak:,.0f} MiB")


def total(times: Iterable[list[float]]) -> list[float]:
    """Wall and CPU seconds together."""
    return [sum(each) for each in zip(*times, strict=True)]


if __name__ == "__main__":
    main()
