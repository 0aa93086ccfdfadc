"""The fitted ensemble of a panel: raw rows in, forecasts out. It holds the state of a recipe, members and weights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lockgate.features.known_inputs import KnownInputs
from lockgate.features.recipe import RIDGE, SERVED_HORIZONS, Matrix, Recipe, State
from lockgate.forecaster.checked_rows import CheckedRows, RowProblem
from lockgate.forecaster.interface import RowCounts, count_rows, predict_open_rows, threads_for_rows
from lockgate.forecaster.panel_rows import PanelRequest
from lockgate.forecaster.raw_rows import RawRows
from lockgate.forecaster.window import Window
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
    """Forecasts the target of known keys for the periods (cutoff, cutoff + 2 * horizon].

    The gate judges the first horizon; a version serves the second one, after its holdout is over. `sample` are the
    keys, by place, from which the state learned what all keys share; None: from all keys.
    """

    problem: Problem
    recipe: Recipe
    state: State
    boosters: Mapping[str, Member]
    weights: Mapping[str, float]  # of the boosters and of the ridge; they sum to 1
    calibration: Calibration
    sample: NDArray[np.int64] | None = None

    @cached_property
    def window(self) -> Window:
        """The periods after the cutoff: the gate judges the first horizon, and the second one is forecast too."""
        cutoff, horizon = self.state.cutoff, self.state.horizon
        return Window(cutoff, cutoff + horizon, cutoff + SERVED_HORIZONS * horizon)

    @property
    def classes(self) -> tuple[()]:
        """None: the target of a panel is a number."""
        return ()

    @property
    def members(self) -> tuple[str, ...]:
        """Names of all members, the order of the blend."""
        return (*self.boosters, RIDGE)

    def check(self, rows: RawRows) -> RowCounts:
        """Check the rows and count them; raises BadData for rows that `predict` would refuse."""
        read = self.request.read(rows)
        little = self.state.little_history[read.known.key[read.open]]
        counts = count_rows(read, self.window.judged)
        return replace(counts, little_history=int(little.sum()))

    def problems(self, rows: RawRows) -> list[RowProblem]:
        """Each value that cannot be forecast, by row. Raises BadData if a column is missing."""
        return self.request.problems(rows)

    def predict(self, rows: RawRows) -> Floats:
        """Forecasts of raw rows, (rows,), in their order; `where.otherwise` for rows that are not learned.

        Raises BadData for rows out of bounds.

        A row's forecast is the same alone and in any batch, order and process. `rows` is not changed.
        """
        return self._blended(self.request.read(rows))

    def interval(self, rows: RawRows, confidence: float) -> Interval:
        """Forecasts as by `predict`, each with bounds that contain the target with this confidence.

        The bounds enclose the forecast, and equal it for rows that are not learned. They were calibrated on the first
        horizon; later periods have bounds of the same width. Raises BadData as `predict` does, WrongUsage for a
        confidence out of range.
        """
        lower, upper = self.calibration.distances(confidence)
        read = self.request.read(rows)
        prediction = self._blended(read)
        key, scale = read.known.key, self.state.scale.take(read.known.key)
        bounds = (scale.moved(prediction, distance[key]) for distance in (lower, upper))
        return Interval(prediction, *(np.where(read.open, bound, prediction) for bound in bounds))

    def predict_members(self, rows: RawRows) -> Floats:
        """Forecasts by each member alone, (rows, members), in the order of `members`."""
        return self._by_member(self.request.read(rows))

    def _blended(self, read: CheckedRows) -> Floats:
        weights = np.array([self.weights[name] for name in self.members])
        return blend.blend(self._by_member(read), weights)

    def _by_member(self, read: CheckedRows) -> Floats:
        otherwise = self.problem.where.otherwise if self.problem.where else 0.0
        return predict_open_rows(read, self._open_days, (len(read.open), len(self.members)), otherwise)

    def _open_days(self, rows: KnownInputs) -> Floats:
        matrix = self.state.transform(rows)
        threads = threads_for_rows(len(rows))
        return np.column_stack(
            [
                *(member.forecast(matrix, threads) for member in self.boosters.values()),
                matrix.scale.target(matrix.offsets[RIDGE]),
            ]
        )

    @cached_property
    def request(self) -> PanelRequest:
        """The rows that it takes."""
        return PanelRequest(self.problem, self.state.series, self.state.categories, self.window)
