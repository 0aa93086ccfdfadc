"""Forecasts of the rows of a file, chunk by chunk, as a table each; needs neither MLflow nor Postgres."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, field
from time import perf_counter
from typing import Any

import pandas as pd

from lockgate.data.bad_rows import SetAside
from lockgate.data.row_file import Part
from lockgate.errors import BadData
from lockgate.forecaster.answers import IMPOSSIBLE, ImpossibleForecasts, answers
from lockgate.forecaster.checked_rows import RowProblem
from lockgate.forecaster.interface import RowCounts
from lockgate.operations import forecast_table
from lockgate.operations.forecast_table import Answerer
from lockgate.problem.description import Problem

SHOWN = 5  # bad rows in a message
Log = Callable[[pd.DataFrame, pd.DataFrame, float], None]  # takes rows, their answers, and the seconds they took


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

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))


@dataclass
class ChunkForecasts:
    """Forecasts by a version, with bounds of this confidence, and the counts of the rows so far.

    `typed`: the columns of the tables have their described types, not the texts of a CSV.
    """

    problem: Problem
    version: Answerer
    confidence: float
    typed: bool
    log: Log | None = None
    counts: Counts = field(default_factory=Counts)

    def tables(self, chunk: Part, set_aside: SetAside | None) -> Iterator[Any]:
        """The table of a chunk; none if all of its rows are set aside.

        Raises BadData with file and line for rows that cannot be forecast, unless they can be set aside.
        """
        started = perf_counter()
        try:
            found = answers(self.version.forecaster, chunk.rows, self.confidence)
        except BadData as refusal:
            problems = self._problems(chunk, refusal)
            if not problems:
                raise
            if set_aside is None:
                raise _at_their_lines(chunk, problems, refusal) from refusal
            if rest := self._without_bad(chunk, problems, set_aside):
                yield from self.tables(rest, set_aside)
            return
        if self.log:
            self.log(chunk.rows, found, perf_counter() - started)
        self.counts.add(self.version.forecaster.check(chunk.rows), found)
        yield forecast_table.of_part(chunk, found, self.version, self.typed)

    def _problems(self, chunk: Part, refusal: BadData) -> Sequence[RowProblem]:
        """What is wrong with the rows of a refusal; nothing if it is not about rows."""
        if isinstance(refusal, ImpossibleForecasts):
            return refusal.problems
        return self.version.forecaster.problems(chunk.rows)

    def _without_bad(self, chunk: Part, found: Sequence[RowProblem], set_aside: SetAside) -> Part | None:
        """The chunk without the rows that cannot be forecast, which are set aside; None if no row remains."""
        texts = {name: chunk.raw.texts(name) for name in {each.column for each in found} if name in chunk.raw.names}
        bad = [
            (
                each.row,
                each.column,
                texts[each.column].of_row(each.row) if each.column in texts else each.value,
                each.allowed,
            )
            for each in found
        ]
        return chunk.without(self.problem, bad, set_aside)


def _at_their_lines(chunk: Part, found: Sequence[RowProblem], refusal: BadData) -> BadData:
    """A refusal of rows with the lines of the file, in place of their numbers in the chunk."""
    rows, raw = len({each.row for each in found}), chunk.raw
    shown = "; ".join(f"{raw.unit} {raw.at(each.row)[1]}: {each.column} is {each.value}" for each in found[:SHOWN])
    is_model = isinstance(refusal, ImpossibleForecasts)
    what, hint = (IMPOSSIBLE, refusal.hint) if is_model else ("cannot be forecast", found[0].allowed)
    return BadData(f"{rows} of {len(chunk.rows)} rows {what}: {shown}", where=raw.place(found[0].row), hint=hint)
