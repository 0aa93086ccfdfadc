"""The forecaster of an external model: one booster, with input columns computed from raw rows."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.known_inputs import KnownInputs
from lockgate.features.store_panel import external_columns
from lockgate.features.store_panel.rossmann import PROBLEM
from lockgate.features.store_panel.store_attributes import CATEGORIES, StoreAttributes, stores
from lockgate.forecaster import panel_rows
from lockgate.forecaster.checked_rows import RowProblem
from lockgate.forecaster.interface import RowCounts, count_rows, predict_open_rows, threads_for
from lockgate.forecaster.panel_rows import PanelRequest
from lockgate.models.booster import Booster
from lockgate.models.conformal import Interval
from lockgate.models.members import MEMBERS
from lockgate.problem.confidence import checked
from lockgate.problem.target import Target

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NativeFile:
    """A booster's file, unchanged, in the format of its own library."""

    library: str
    content: bytes

    @cached_property
    def booster(self) -> Booster:
        """The booster. Opening an unverified file may end the process."""
        return MEMBERS[self.library].restore(self.content)


@dataclass(frozen=True)
class Meaning:
    """A booster's input columns in their order, and its output: sales or their log."""

    columns: tuple[str, ...]
    target: Target

    def sales(self, raw: Floats) -> Floats:
        """Outputs as sales."""
        if self.target == "log":
            return np.exp(raw)
        return np.expm1(raw) if self.target == "log1p" else raw


@dataclass(frozen=True)
class Window:
    """Days, as numbers since 1970-01-01: training until `origin`, judged until `judged`, served until `served`."""

    origin: int
    judged: int
    served: int


@dataclass(frozen=True)
class ExternalForecaster:
    """Forecasts the booster's output, unchanged; it serves days that the gate did not judge, too.

    Its forecasts may be negative or not finite: the gate checks them.
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
        """The days after `origin` that it forecasts."""
        return self.window.served - self.window.origin

    @property
    def origin(self) -> date:
        """The declared last day of its training data."""
        return date(1970, 1, 1) + timedelta(days=self.window.origin)

    def check(self, rows: pd.DataFrame) -> RowCounts:
        """Check the rows and count them; raises BadData for rows that `predict` would refuse."""
        return count_rows(self.request.read(rows), self.window.judged)

    def problems(self, rows: pd.DataFrame) -> list[RowProblem]:
        """Each value that cannot be forecast, by row. Raises BadData if a column is missing."""
        return self.request.problems(rows)

    def predict(self, rows: pd.DataFrame) -> Floats:
        """Sales of raw rows, (rows,), in their order; exactly 0.0 where Open is 0.

        Raises BadData for rows out of bounds.
        """
        return predict_open_rows(self.request.read(rows), self._open_days, (len(rows),))

    def interval(self, rows: pd.DataFrame, confidence: float) -> Interval:
        """Forecasts with bounds NaN, because its residuals are unknown.

        Raises the errors of `predict`, and WrongUsage for the confidence.
        """
        checked(confidence)
        unknown = np.full(len(rows), np.nan)
        return Interval(self.predict(rows), unknown, unknown)

    def values(self, rows: KnownInputs) -> Floats:
        """The booster's input for some rows."""
        return external_columns.matrix(self.meaning.columns, rows, self.attributes)

    def _open_days(self, rows: KnownInputs) -> Floats:
        return self.meaning.sales(self.native.booster.raw(self.values(rows), threads_for(rows)))

    @cached_property
    def request(self) -> PanelRequest:
        """The rows that it takes."""
        window = panel_rows.Window(self.window.origin, self.window.served)
        return PanelRequest(PROBLEM, stores(self.attributes), CATEGORIES, window)
