"""`lockgate predict`: reads rows in chunks, writes the same rows with forecasts, and logs them."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import pandas as pd

from lockgate.data import bad_rows, readers, row_writer
from lockgate.data.bad_rows import BadRowsFile, SetAside
from lockgate.data.row_file import Part, RowFile
from lockgate.errors import BadData, WrongUsage
from lockgate.forecaster.answers import answers
from lockgate.forecaster.interface import RowCounts
from lockgate.lifecycle.stages import Stage
from lockgate.operations import answering_version, forecast_output, forecast_table
from lockgate.operations.answering_version import DEFAULT_TERMS, AnsweringVersion, Degraded, FallbackTerms
from lockgate.operations.batch_log import BatchLog, Logged
from lockgate.operations.load_version import Opened
from lockgate.operations.workspace import Workspace
from lockgate.problem.description import Problem
from lockgate.system import progress
from lockgate.system.output_file import OutFile

INPUT = "standard input"
SHOWN = 5  # bad rows in a message


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
    the prediction log got.
    """

    rows: int
    version: int
    remarks: tuple[str, ...]
    degraded: Degraded | None = None
    set_aside: int = 0
    logged: Logged | None = None


def predict(workspace: Workspace, order: Order, chosen: Stage | int) -> Done:
    """Forecast the rows of a file with the version in a stage, or with the given version.

    The target holds the columns and rows of the source in their order, with the answers (`forecaster/answers.py`) and
    `model_version`; it is replaced in one step, after all rows are forecast and logged. The file is read in chunks, so
    memory does not depend on its size. Raises BadData with file and line for rows that cannot be forecast, WrongUsage
    for a confidence out of range, StateConflict if there is no such version. Covariates of side tables that the source
    lacks are joined from data/raw.
    """
    _check_outputs(order)
    with _source(order) as source:
        if order.bad is None:
            next(source.parts())  # a bad file is refused without a server
        version = answering_version.load(workspace, chosen, order.fallback)
        log = BatchLog.into(order.spool, workspace, version, order.confidence) if order.spool else None
        run = _Run(order, source, version, log, Counts())
        if log and order.bad is None:
            run.check()
        run.forecast()
    return run.done(log.drain() if log else None)


def remarks(version: Opened, problem: Problem, counts: RowCounts) -> Iterator[str]:
    """Remarks on the checked rows, for the reader of the forecasts."""
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


def _check_outputs(order: Order) -> None:
    forecast_output.check(order.target, order.force, order.source)
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
class Counts:
    """The counts of the forecast rows so far."""

    rows: int = 0
    open_missing: int = 0
    beyond_horizon: int = 0
    little_history: int = 0
    without_bounds: int = 0

    def add(self, counts: RowCounts, found: pd.DataFrame) -> None:
        """Add the counts of some rows and of their answers."""
        self.rows += counts.rows
        self.open_missing += counts.open_missing
        self.beyond_horizon += counts.beyond_horizon
        self.little_history += counts.little_history
        self.without_bounds += int(found["lower"].isna().sum()) if "lower" in found else 0

    def remarks(self, version: AnsweringVersion, problem: Problem) -> tuple[str, ...]:
        """Remarks on the rows and on the version, for the reader of the forecasts."""
        counts = RowCounts(self.rows, self.open_missing, self.beyond_horizon, self.little_history)
        about = f"version {version.version} is an external model without bounds: lower and upper are empty"
        return (*version.remarks, *([about] if self.without_bounds else []), *remarks(version.opened, problem, counts))


@dataclass
class _Run:
    """One run over a file, and the counts of its rows so far."""

    order: Order
    source: RowFile
    version: AnsweringVersion
    log: BatchLog | None
    counts: Counts
    read: int = 0
    set_aside: int = 0

    def check(self) -> None:
        """Raise BadData for the first part with rows that cannot be forecast, before a row is logged."""
        with progress.rows_read("checking", self.source.size) as show:
            for part in self._parts(None, show):
                with _at_their_lines(self.version, part):
                    self.version.forecaster.check(part.rows)

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
                    for table in self._forecast(part, bad.add if bad else None):
                        writer.write(table)
                    if bad:
                        bad.write()
            if not self.counts.rows:
                reason = f"; the first: {bad.first.column} is {bad.first.value!r}" if bad and bad.first else ""
                raise BadData(
                    f"no row can be forecast{reason}", where=str(order.source), hint="see it without --skip-bad"
                )
            self.set_aside = bad.rows if bad else 0

    def done(self, logged: Logged | None) -> Done:
        """The end of the run."""
        version, notes = self.version, self.counts.remarks(self.version, self.order.problem)
        return Done(self.counts.rows, version.version, notes, version.degraded, self.set_aside, logged)

    def _parts(self, set_aside: SetAside | None, show: Callable[[int, int], None]) -> Iterator[Part]:
        self.read = 0
        for part in self.source.parts(set_aside, lambda done: show(done, self.read)):
            self.read += len(part.rows)
            yield part

    def _forecast(self, part: Part, set_aside: SetAside | None) -> Iterator[Any]:
        """The table of a part; none if all of its rows are set aside."""
        started = perf_counter()
        try:
            found = answers(self.version.forecaster, part.rows, self.order.confidence)
        except BadData:
            if set_aside is None or not self.version.forecaster.problems(part.rows):
                with _at_their_lines(self.version, part):
                    raise
            if rest := _without_bad(self.version, part, self.order.problem, set_aside):
                yield from self._forecast(rest, set_aside)
            return
        if self.log:
            self.log.add(part.rows, found, perf_counter() - started)
        self.counts.add(self.version.forecaster.check(part.rows), found)
        yield forecast_table.of_part(part, found, self.version, self.order.target.name.endswith(readers.PARQUET))


def _without_bad(version: AnsweringVersion, part: Part, problem: Problem, set_aside: SetAside) -> Part | None:
    """The part without the rows that cannot be forecast, which are set aside; None if no row remains."""
    found = version.forecaster.problems(part.rows)
    texts = {name: part.raw.texts(name) for name in {each.column for each in found} if name in part.raw.names}
    bad = [
        (
            each.row,
            each.column,
            texts[each.column].of_row(each.row) if each.column in texts else each.value,
            each.allowed,
        )
        for each in found
    ]
    return part.without(problem, bad, set_aside)


@contextmanager
def _at_their_lines(version: AnsweringVersion, part: Part) -> Iterator[None]:
    """Name the lines of the file in a refusal of rows, in place of their numbers in the part."""
    try:
        yield
    except BadData as refusal:
        found = version.forecaster.problems(part.rows)
        if not found:
            raise
        rows = len({each.row for each in found})
        unit = part.raw.unit
        shown = "; ".join(f"{unit} {part.raw.at(each.row)[1]}: {each.column} is {each.value}" for each in found[:SHOWN])
        raise BadData(
            f"{rows} of {len(part.rows)} rows cannot be forecast: {shown}",
            where=part.raw.place(found[0].row),
            hint=found[0].allowed,
        ) from refusal
