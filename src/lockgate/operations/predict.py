"""`lockgate predict`: reads rows in chunks, writes the same rows with forecasts, and logs them."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from lockgate.data import bad_rows, readers, row_writer
from lockgate.data.bad_rows import BadRow, BadRowsFile, SetAside
from lockgate.data.row_file import Part, RowFile
from lockgate.errors import BadData, WrongUsage
from lockgate.lifecycle.stages import Stage
from lockgate.operations import answering_version, forecast_output
from lockgate.operations.answering_version import DEFAULT_TERMS, AnsweringVersion, Degraded, FallbackTerms
from lockgate.operations.batch_log import BatchLog, Logged
from lockgate.operations.forecast_chunks import ChunkForecasts, Counts
from lockgate.operations.forecast_table import Answerer
from lockgate.operations.workspace import Workspace
from lockgate.problem.description import Problem
from lockgate.system import progress
from lockgate.system.output_file import OutFile

INPUT = "standard input"


@dataclass(frozen=True)
class Order:
    """The problem, the file to read, the file to write (`-`: standard input and output), the confidence of bounds.

    `bad`: the file for rows that cannot be forecast, which are refused without it. `spool`: the folder of the log, of
    which nothing is written without it.
    """

    problem: Problem
    source: Path
    target: Path
    force: bool
    confidence: float
    fallback: FallbackTerms = DEFAULT_TERMS
    bad: Path | None = None
    spool: Path | None = None


@dataclass(frozen=True)
class Done:
    """The number of forecast rows, the version, and remarks for the reader of the forecasts.

    `degraded`: the verified copy of the version has answered. `set_aside`: rows that were not forecast. `logged`: what
    the prediction log got. `production_since`: when the version came to Production, if it is there.
    """

    rows: int
    version: int
    remarks: tuple[str, ...]
    degraded: Degraded | None = None
    set_aside: int = 0
    logged: Logged | None = None
    production_since: datetime | None = None


def predict(workspace: Workspace, order: Order, chosen: Stage | int) -> Done:
    """Forecast the rows of a file with the version in a stage, or with the given version.

    The target holds the columns and rows of the source in their order, with the answers (`forecaster/answers.py`) and
    `model_version`; it is replaced in one step, after all rows are forecast and logged. The file is read in chunks, so
    memory does not depend on its size. Raises BadData with file and line for rows that cannot be forecast, WrongUsage
    for a confidence out of range, StateConflict if there is no such version. Covariates of side tables that the source
    lacks are joined from data/raw.
    """
    forecast_output.check(order.target, order.force, order.source)
    check_bad_rows_file(order)
    with _source(order) as source:
        if order.bad is None:
            next(source.parts())  # a bad file is refused without a server
        version = answering_version.load(workspace, chosen, order.fallback)
        log = BatchLog.into(order.spool, workspace, version, order.confidence) if order.spool else None
        typed = order.target.name.endswith(readers.PARQUET)
        chunks = ChunkForecasts(order.problem, version, order.confidence, typed, log.add if log else None)
        run = _Run(order, source, version, log, chunks)
        run.forecast()
    return run.done(log.drain() if log else None)


def remarks(version: Answerer, problem: Problem, counts: Counts) -> Iterator[str]:
    """Remarks on the forecast rows, for the reader of the forecasts."""
    if counts.without_bounds:
        yield f"version {version.version} is an external model without bounds: lower and upper are empty"
    if counts.open_missing and problem.where:
        name = problem.where.column
        yield f"{counts.open_missing} rows have no {name}: {problem.column(name).missing}"
    if counts.beyond_horizon and (window := version.forecaster.window):
        horizon, until = problem.period.plural(window.horizon), window.trained_until(problem.period)
        yield (
            f"{counts.beyond_horizon} rows lie more than {horizon} after {until}, the last training"
            f" {problem.period.word} of version {version.version}; the gate judged it on the first {horizon} only"
        )
    if counts.little_history:
        yield f"{counts.little_history} rows are of values of {' and '.join(problem.keys)} with little or no history"


def no_row(order: Order, first: BadRow | None) -> BadData:
    """The refusal of a source of which no row can be forecast; `first` is the first bad value."""
    reason = f"; the first: {first.column} is {first.value!r}" if first else ""
    return BadData(f"no row can be forecast{reason}", where=str(order.source), hint="see it without --skip-bad")


def check_bad_rows_file(order: Order) -> None:
    """Raise WrongUsage if the file of bad rows cannot be written, or is the output."""
    if order.bad:
        OutFile(order.bad, order.force).check((".csv",), order.source)
        if order.bad.absolute() == order.target.absolute():
            raise WrongUsage("the file of bad rows is the output", hint="give another file: --bad-rows FILE")


@contextmanager
def _source(order: Order) -> Iterator[RowFile]:
    """The file of rows; standard input is copied to a file first."""
    if order.source != forecast_output.STREAM:
        yield RowFile.open(order.problem, order.source)
        return
    with TemporaryDirectory(prefix="lockgate-") as folder:
        received = Path(folder, INPUT)
        with received.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        try:
            yield RowFile.open(order.problem, received)
        except BadData as refusal:
            refusal.where = refusal.where.removeprefix(f"{folder}/")
            raise


@contextmanager
def _bad_rows(order: Order) -> Iterator[BadRowsFile | None]:
    """The file of bad rows, if they are set aside."""
    if order.bad is None:
        yield None
        return
    with OutFile(order.bad, order.force).replacing() as partial, bad_rows.into(partial) as found:
        yield found


@dataclass
class _Run:
    """One run over a file, and the counts of its rows so far."""

    order: Order
    source: RowFile
    version: AnsweringVersion
    log: BatchLog | None
    chunks: ChunkForecasts
    read: int = 0
    set_aside: int = 0

    def forecast(self) -> None:
        """Write the target and the bad rows, and log the others. Raises BadData if no row can be forecast."""
        order = self.order
        with (
            forecast_output.replaced(order.target, order.force) as partial,
            _bad_rows(order) as bad,
            progress.rows_read("forecasting", self.source.size) as show,
        ):
            with row_writer.into(partial, order.target.name) as writer:
                for part in self._parts(bad.add if bad else None, show):
                    for table in self.chunks.tables(part, bad.add if bad else None):
                        writer.write(table)
                    if bad:
                        bad.write()
            if not self.chunks.counts.rows:
                raise no_row(order, bad.first if bad else None)
            self.set_aside = bad.rows if bad else 0
            if self.log:
                self.log.keep()

    def done(self, logged: Logged | None) -> Done:
        """The end of the run."""
        version, counts = self.version, self.chunks.counts
        notes = (*version.remarks, *remarks(version, self.order.problem, counts))
        since = version.production_since
        return Done(counts.rows, version.version, notes, version.degraded, self.set_aside, logged, since)

    def _parts(self, set_aside: SetAside | None, show: Callable[[int, int], None]) -> Iterator[Part]:
        self.read = 0
        for part in self.source.parts(set_aside, lambda done: show(done, self.read)):
            self.read += len(part.rows)
            yield part
