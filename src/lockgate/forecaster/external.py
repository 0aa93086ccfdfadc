"""A forecaster around one booster that was trained elsewhere, on columns that we can compute from raw rows."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from os import cpu_count

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features import static_columns
from lockgate.features.known_inputs import KnownInputs, StoreAttributes
from lockgate.forecaster import input_rows
from lockgate.forecaster.ensemble import CHUNK, SMALL_BATCH, Checked
from lockgate.forecaster.input_rows import Limits, RowProblem
from lockgate.models.booster import Booster
from lockgate.models.conformal import Interval
from lockgate.models.members import MEMBERS
from lockgate.problem.confidence import checked
from lockgate.problem.target import Target

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NativeFile:
    """A booster as its own library has written it, byte by byte as it came."""

    library: str
    content: bytes

    @cached_property
    def booster(self) -> Booster:
        """The booster. Opening a file that nobody has vouched for may end the process."""
        return MEMBERS[self.library].restore(self.content)


@dataclass(frozen=True)
class Meaning:
    """What goes into a booster and what comes out of it: columns in their order, and sales or their log."""

    columns: tuple[str, ...]
    target: Target

    def sales(self, raw: Floats) -> Floats:
        """Outputs as sales."""
        if self.target == "log":
            return np.exp(raw)
        return np.expm1(raw) if self.target == "log1p" else raw


@dataclass(frozen=True)
class Window:
    """Days, as numbers since 1970-01-01: learned from until `origin`, judged until `judged`, served until `served`."""

    origin: int
    judged: int
    served: int


@dataclass(frozen=True)
class ForeignForecaster:
    """Forecasts what its booster says, unchanged; it may serve days that the booster neither learned nor was judged on.

    Nothing keeps its forecasts from being below zero or no number: the gate looks at that.
    """

    native: NativeFile
    meaning: Meaning
    attributes: StoreAttributes
    window: Window

    @property
    def members(self) -> tuple[str, ...]:
        """The library of its booster."""
        return (self.native.library,)

    @property
    def horizon_days(self) -> int:
        """The days after `origin` up to the last one that the gate judges."""
        return self.window.judged - self.window.origin

    @property
    def served_days(self) -> int:
        """The days after `origin` that it answers for."""
        return self.window.served - self.window.origin

    @property
    def origin(self) -> date:
        """The last day that it is said to have learned from."""
        return date(1970, 1, 1) + timedelta(days=self.window.origin)

    def check(self, rows: pd.DataFrame) -> Checked:
        """Read the rows without forecasting; BadData for what `predict` would refuse."""
        read = input_rows.read(rows, self._limits)
        beyond = read.known.day > self.window.judged
        return Checked(len(rows), int(read.open_missing.sum()), int(beyond.sum()))

    def problems(self, rows: pd.DataFrame) -> list[RowProblem]:
        """Each value that cannot be forecast, by row; BadData if a column is missing."""
        return input_rows.problems(rows, self._limits)

    def predict(self, rows: pd.DataFrame) -> Floats:
        """Sales of raw rows, (rows,), in their order; exactly 0.0 where Open is 0; BadData for rows out of bounds."""
        read = input_rows.read(rows, self._limits)
        found = np.zeros(len(rows))
        places = np.flatnonzero(read.open)
        for start in range(0, len(places), CHUNK):
            some = places[start : start + CHUNK]
            found[some] = self._open_days(read.known.take(some))
        return found

    def interval(self, rows: pd.DataFrame, confidence: float) -> Interval:
        """Forecasts with bounds that are NaN: nobody has seen it miss. Raises as `predict`, and for the confidence."""
        checked(confidence)
        unknown = np.full(len(rows), np.nan)
        return Interval(self.predict(rows), unknown, unknown)

    def values(self, rows: KnownInputs) -> Floats:
        """What the booster sees of some rows."""
        return static_columns.matrix(self.meaning.columns, rows, self.attributes)

    def _open_days(self, rows: KnownInputs) -> Floats:
        threads = 1 if len(rows) < SMALL_BATCH else min(cpu_count() or 1, 4)
        return self.meaning.sales(self.native.booster.raw(self.values(rows), threads))

    @cached_property
    def _limits(self) -> Limits:
        return Limits(self.attributes.store_ids, self.window.origin, self.window.served)
