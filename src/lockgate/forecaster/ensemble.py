"""The fitted ensemble: raw rows in, sales out. It holds store attributes, history state, members and weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from os import cpu_count

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features import matrix as features_matrix
from lockgate.features.history import HistoryState
from lockgate.features.known_inputs import KnownInputs, StoreAttributes
from lockgate.features.matrix import ForecastWindow, Matrix
from lockgate.forecaster import input_rows
from lockgate.forecaster.input_rows import Limits, RowProblem
from lockgate.models import blend
from lockgate.models.booster import Booster, Offset, Target, log_forecast
from lockgate.models.conformal import Calibration, Interval

Floats = NDArray[np.float64]

RIDGE = "ridge"
SERVED_HORIZONS = 2  # a version goes on serving after its holdout has passed
SMALL_BATCH = 2_000  # fewer rows are faster on one thread
CHUNK = 65_536  # rows at a time, so that memory stays bounded


@dataclass(frozen=True)
class Member:
    """A booster with what its outputs mean."""

    booster: Booster
    offset: Offset
    target: Target

    def forecast(self, matrix: Matrix, threads: int) -> Floats:
        """Sales of an open day, by this member alone."""
        offset = matrix.offset(self.offset)
        return np.exp(log_forecast(self.booster.raw(matrix.values, threads), offset, self.target))


@dataclass(frozen=True)
class Checked:
    """What a caller may want to say about rows that can be forecast."""

    rows: int
    open_missing: int  # taken as open
    beyond_horizon: int  # after the days that the gate judged
    # open rows of stores with no sale, few sales, no recent sale to learn from; 0 where nobody knows
    no_past: int = 0
    little_past: int = 0
    stale_past: int = 0


@dataclass(frozen=True)
class Forecaster:
    """Forecasts sales of known stores for the days (origin, origin + 2 * horizon_days].

    The gate judges the first `horizon_days`; the second horizon is what a version serves once its holdout has passed.
    """

    horizon_days: int
    attributes: StoreAttributes
    state: HistoryState
    boosters: Mapping[str, Member]
    weights: Mapping[str, float]  # of the boosters and of the ridge; they sum to 1
    calibration: Calibration

    @property
    def origin(self) -> date:
        """The last day that was learned from."""
        return date(1970, 1, 1) + timedelta(days=self.state.origin)

    @property
    def served_days(self) -> int:
        """The days after `origin` that it answers for."""
        return SERVED_HORIZONS * self.horizon_days

    @property
    def members(self) -> tuple[str, ...]:
        """Names of all members, the order of the blend."""
        return (*self.boosters, RIDGE)

    def check(self, rows: pd.DataFrame) -> Checked:
        """Read the rows without forecasting; BadData for what `predict` would refuse."""
        read = input_rows.read(rows, self._limits)
        beyond = read.known.day > self.state.origin + self.horizon_days
        seen, stores = self.state.history_length, read.known.store[read.open]
        pasts = (int(which[stores].sum()) for which in (seen.none, seen.little, seen.stale))
        return Checked(len(rows), int(read.open_missing.sum()), int(beyond.sum()), *pasts)

    def problems(self, rows: pd.DataFrame) -> list[RowProblem]:
        """Each value that cannot be forecast, by row; BadData if a column is missing."""
        return input_rows.problems(rows, self._limits)

    def predict(self, rows: pd.DataFrame) -> Floats:
        """Sales of raw rows, (rows,), in their order; exactly 0.0 where Open is 0; BadData for rows out of bounds.

        A row's forecast is the same alone and in any batch, order and process. `rows` is not changed.
        """
        weights = np.array([self.weights[name] for name in self.members])
        return blend.blend(self.predict_members(rows), weights)

    def interval(self, rows: pd.DataFrame, confidence: float) -> Interval:
        """Forecasts as by `predict`, each with the bounds between which the sales should be with this confidence.

        The bounds hold the forecast, and are 0.0 where Open is 0. They were learned on the first `horizon_days`; later
        days have bounds as wide. Raises BadData as `predict` does, WrongUsage for a confidence out of range.
        """
        lower, upper = self.calibration.factors(confidence)
        store, prediction = input_rows.read(rows, self._limits).known.store, self.predict(rows)
        return Interval(prediction, prediction * lower[store], prediction * upper[store])

    def predict_members(self, rows: pd.DataFrame) -> Floats:
        """Sales by each member alone, (rows, members), in the order of `members`."""
        read = input_rows.read(rows, self._limits)
        found = np.zeros((len(rows), len(self.members)))
        places = np.flatnonzero(read.open)
        for start in range(0, len(places), CHUNK):
            some = places[start : start + CHUNK]
            found[some] = self._open_days(read.known.take(some))
        return found

    def _open_days(self, rows: KnownInputs) -> Floats:
        matrix = features_matrix.matrix(self._window, rows)
        threads = 1 if len(rows) < SMALL_BATCH else min(cpu_count() or 1, 4)
        return np.column_stack(
            [
                *(member.forecast(matrix, threads) for member in self.boosters.values()),
                np.exp(matrix.ridge),
            ]
        )

    @cached_property
    def _window(self) -> ForecastWindow:
        return features_matrix.forecast_window(self.state, self.attributes, self.served_days)

    @cached_property
    def _limits(self) -> Limits:
        origin = self.state.origin
        return Limits(self.attributes.store_ids, origin, origin + self.served_days)
