"""The forecaster of a plain table or of states: features, members, their blend, and intervals or calibrated
probabilities."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.tabular import FeatureMatrix, TabularState
from lockgate.forecaster import typed_rows
from lockgate.forecaster.checked_rows import RowProblem
from lockgate.forecaster.interface import CHUNK, RowCounts, threads_for_rows
from lockgate.forecaster.raw_rows import RawRows
from lockgate.models.booster import Booster
from lockgate.models.conformal import Interval
from lockgate.models.level_conformal import LevelCalibration
from lockgate.models.level_shift import NO_SHIFT, LevelShift
from lockgate.models.probability_calibration import ProbabilityMap
from lockgate.models.target_scale import TargetScale, unscaled
from lockgate.problem.confidence import checked
from lockgate.problem.description import Problem
from lockgate.problem.target_values import forecast_range

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Blend:
    """The fitted members and their weights, which sum to 1; `scale` is that of a regression's outputs.

    `shift` moves the blend of a target that is learned in logs.
    """

    fitted: Mapping[str, Booster]
    weights: Mapping[str, float]
    scale: TargetScale
    shift: LevelShift = NO_SHIFT

    def members(self, matrix: FeatureMatrix, classes: int) -> Floats:
        """Forecasts of each member: (rows, members), or (rows, classes, members) for more than two classes."""
        starts = range(0, max(len(matrix.values), 1), CHUNK)
        return np.concatenate([self._chunk(matrix.values[start : start + CHUNK], classes) for start in starts])

    def blended(self, forecasts: Floats) -> Floats:
        """The weighted mean over the members, the last axis, moved by the shift."""
        return self.shift.moved(weighted(self.weights, forecasts))

    def _chunk(self, values: NDArray[np.float32], classes: int) -> Floats:
        if not len(values):
            return np.zeros((0, classes, len(self.fitted)) if classes > 2 else (0, len(self.fitted)))
        threads = threads_for_rows(len(values))
        outputs = [booster.raw(values, threads) for booster in self.fitted.values()]
        return np.stack(outputs if classes else [unscaled(output, self.scale) for output in outputs], axis=-1)


def weighted(weights: Mapping[str, float], forecasts: Floats) -> Floats:
    """The weighted mean over the members, the last axis."""
    total = np.zeros(forecasts.shape[:-1])
    for place, weight in enumerate(weights.values()):  # in this order, whatever the batch
        total += weight * forecasts[..., place]
    return total


@dataclass(frozen=True)
class TableForecaster:
    """Forecasts each row by itself: a value, the probability of the positive class, or those of all classes.

    `classes` are the classes of the target, sorted: () for a regression, and the positive one last for two classes.
    """

    problem: Problem
    classes: tuple[str, ...]
    state: TabularState
    blend: Blend
    calibration: LevelCalibration | ProbabilityMap

    @property
    def members(self) -> tuple[str, ...]:
        """Names of all members, the order of the blend."""
        return tuple(self.blend.fitted)

    @property
    def window(self) -> None:
        """None: a table has no time, and the time of a state has no end."""
        return None

    def check(self, rows: RawRows) -> RowCounts:
        """Check the rows and count them; raises BadData for rows that `predict` would refuse."""
        return RowCounts(len(typed_rows.typed(self.problem, rows)), 0, 0)

    def problems(self, rows: RawRows) -> list[RowProblem]:
        """Each value that cannot be forecast, by row. Raises BadData if a column is missing."""
        return typed_rows.problems(self.problem, rows)

    def predict(self, rows: RawRows) -> Floats:
        """Forecasts of raw rows in their order: (rows,), or (rows, classes) for more than two classes.

        Raises BadData for values that are not allowed. A row's forecast is the same alone and in any batch (of a state:
        with the rows of its key), order and process. `rows` is not changed.
        """
        blended = self.blend.blended(self.predict_members(rows))
        if isinstance(self.calibration, ProbabilityMap):
            return self.calibration.calibrated(blended)
        return self.possible(blended)  # the weights sum to 1 but for rounding

    def interval(self, rows: RawRows, confidence: float) -> Interval:
        """Forecasts as by `predict`, each with bounds that contain the target with this confidence; NaN for classes.

        Raises BadData as `predict` does, WrongUsage for a confidence out of range.
        """
        prediction = self.predict(rows)
        if isinstance(self.calibration, LevelCalibration):
            bounds = self.calibration.interval(prediction, self.blend.scale, confidence)
            return Interval(prediction, *(self._with_rest(rows, bound) for bound in (bounds.lower, bounds.upper)))
        checked(confidence)
        unknown = np.full(prediction.shape, np.nan)
        return Interval(prediction, unknown, unknown)

    def predict_members(self, rows: RawRows) -> Floats:
        """Forecasts by each member alone, (rows, members), or (rows, classes, members) for more than two classes.

        Probabilities of members are not calibrated.
        """
        matrix = self.state.transform(typed_rows.typed(self.problem, rows))
        return self._with_rest(rows, self.blend.members(matrix, len(self.classes)))

    def _with_rest(self, rows: RawRows, found: Floats) -> Floats:
        """The possible values of rows; `where.otherwise` for rows that are not learned."""
        found = self.possible(found)
        where = self.problem.where
        if where is None or self.classes:
            return found
        found = found.copy()
        found[~learned(self.problem, rows)] = where.otherwise
        return found

    def possible(self, found: Floats) -> Floats:
        """Numbers within `forecast_range`; probabilities as they are."""
        return found if self.classes else np.clip(found, *forecast_range(self.problem))


def learned(problem: Problem, rows: RawRows) -> NDArray[np.bool_]:
    """The rows that are learned and scored."""
    if problem.where is None:
        return np.ones(len(rows), dtype=np.bool_)
    values = pd.Series(rows[problem.where.column])
    wanted = problem.where.equals
    if isinstance(wanted, str):
        return np.asarray(values.astype(str) == wanted)
    return np.asarray(pd.to_numeric(values, errors="coerce") == wanted)
