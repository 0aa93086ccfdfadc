"""The fitted ensemble: raw rows in, sales out. It holds the state of a recipe, members and weights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.known_inputs import KnownInputs
from lockgate.features.recipe import RIDGE, SERVED_HORIZONS, Matrix, Recipe, State
from lockgate.features.store_panel.store_attributes import StoreAttributes
from lockgate.forecaster import input_rows
from lockgate.forecaster.input_rows import Limits, RowProblem
from lockgate.forecaster.interface import RowCounts, count_rows, predict_open_rows, threads_for
from lockgate.models import blend
from lockgate.models.booster import Booster
from lockgate.models.conformal import Calibration, Interval
from lockgate.models.panel_task import scaled_forecast
from lockgate.problem.description import Problem
from lockgate.problem.params import Offset, Target

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Member:
    """A booster and the meaning of its output."""

    booster: Booster
    offset: Offset
    target: Target

    def forecast(self, matrix: Matrix, threads: int) -> Floats:
        """The forecasts of rows by this member alone."""
        raw = self.booster.raw(matrix.values, threads)
        return matrix.scale.target(scaled_forecast(raw, matrix.offsets[self.offset], self.target))


@dataclass(frozen=True)
class Forecaster:
    """Forecasts sales of known stores for the days (origin, origin + 2 * horizon_days].

    The gate judges the first `horizon_days`; a version serves the second horizon, after its holdout is over.
    """

    problem: Problem
    recipe: Recipe
    state: State
    boosters: Mapping[str, Member]
    weights: Mapping[str, float]  # of the boosters and of the ridge; they sum to 1
    calibration: Calibration

    @property
    def attributes(self) -> StoreAttributes:
        """The attributes of its stores."""
        attributes: StoreAttributes = self.state.attributes  # type: ignore[attr-defined]  # of Rossmann's recipe only
        return attributes

    @property
    def horizon_days(self) -> int:
        """The days after `origin` up to the last one that the gate judges."""
        return self.state.horizon

    @property
    def origin(self) -> date:
        """The last training day."""
        return date(1970, 1, 1) + timedelta(days=self.state.cutoff)

    @property
    def served_days(self) -> int:
        """The days after `origin` that it forecasts."""
        return SERVED_HORIZONS * self.horizon_days

    @property
    def members(self) -> tuple[str, ...]:
        """Names of all members, the order of the blend."""
        return (*self.boosters, RIDGE)

    def check(self, rows: pd.DataFrame) -> RowCounts:
        """Check the rows and count them; raises BadData for rows that `predict` would refuse."""
        read = input_rows.read(rows, self._limits)
        little = self.state.little_history[read.known.key[read.open]]
        counts = count_rows(read, self.state.cutoff + self.horizon_days)
        return replace(counts, little_history=int(little.sum()))

    def problems(self, rows: pd.DataFrame) -> list[RowProblem]:
        """Each value that cannot be forecast, by row. Raises BadData if a column is missing."""
        return input_rows.problems(rows, self._limits)

    def predict(self, rows: pd.DataFrame) -> Floats:
        """Sales of raw rows, (rows,), in their order; exactly 0.0 where Open is 0.

        Raises BadData for rows out of bounds.

        A row's forecast is the same alone and in any batch, order and process. `rows` is not changed.
        """
        weights = np.array([self.weights[name] for name in self.members])
        return blend.blend(self.predict_members(rows), weights)

    def interval(self, rows: pd.DataFrame, confidence: float) -> Interval:
        """Forecasts as by `predict`, each with bounds that contain the sales with this confidence.

        The bounds enclose the forecast, and are 0.0 where Open is 0. They were calibrated on the first `horizon_days`;
        later days have bounds of the same width. Raises BadData as `predict` does, WrongUsage for a confidence out of
        range.
        """
        lower, upper = self.calibration.distances(confidence)
        key, prediction = input_rows.read(rows, self._limits).known.key, self.predict(rows)
        scale = self.state.scale.take(key)
        return Interval(prediction, scale.moved(prediction, lower[key]), scale.moved(prediction, upper[key]))

    def predict_members(self, rows: pd.DataFrame) -> Floats:
        """Sales by each member alone, (rows, members), in the order of `members`."""
        read = input_rows.read(rows, self._limits)
        return predict_open_rows(read, self._open_days, (len(rows), len(self.members)))

    def _open_days(self, rows: KnownInputs) -> Floats:
        matrix = self.state.transform(rows)
        threads = threads_for(rows)
        return np.column_stack(
            [
                *(member.forecast(matrix, threads) for member in self.boosters.values()),
                matrix.scale.target(matrix.offsets[RIDGE]),
            ]
        )

    @cached_property
    def _limits(self) -> Limits:
        cutoff = self.state.cutoff
        return Limits(self.attributes.store_ids, cutoff, cutoff + self.served_days)
