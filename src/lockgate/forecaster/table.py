"""The forecaster of a plain table or of states: features, members, their blend, and intervals or calibrated
probabilities."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import cpu_count

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.tabular import FeatureMatrix, TabularState
from lockgate.forecaster import typed_rows
from lockgate.forecaster.checked_rows import RowProblem
from lockgate.forecaster.interface import CHUNK, SMALL_BATCH, RowCounts
from lockgate.models.booster import Booster
from lockgate.models.conformal import Interval
from lockgate.models.level_conformal import LevelCalibration
from lockgate.models.level_shift import NO_SHIFT, LevelShift
from lockgate.models.probability_calibration import ProbabilityMap
from lockgate.models.target_scale import TargetScale, unscaled
from lockgate.problem.confidence import checked
from lockgate.problem.description import Problem

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
        threads = 1 if len(values) < SMALL_BATCH else min(cpu_count() or 1, 4)
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

    def check(self, rows: pd.DataFrame) -> RowCounts:
        """Check the rows and count them; raises BadData for rows that `predict` would refuse."""
        return RowCounts(len(typed_rows.typed(self.problem, rows)), 0, 0)

    def problems(self, rows: pd.DataFrame) -> list[RowProblem]:
        """Each value that cannot be forecast, by row. Raises BadData if a column is missing."""
        return typed_rows.problems(self.problem, rows)

    def predict(self, rows: pd.DataFrame) -> Floats:
        """Forecasts of raw rows in their order: (rows,), or (rows, classes) for more than two classes.

        Raises BadData for values that are not allowed. A row's forecast is the same alone and in any batch (of a state:
        with the rows of its key), order and process. `rows` is not changed.
        """
        blended = self.blend.blended(self.predict_members(rows))
        if isinstance(self.calibration, ProbabilityMap):
            return self.calibration.calibrated(blended)
        return self._possible(blended)  # the weights sum to 1 but for rounding

    def interval(self, rows: pd.DataFrame, confidence: float) -> Interval:
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

    def predict_members(self, rows: pd.DataFrame) -> Floats:
        """Forecasts by each member alone, (rows, members), or (rows, classes, members) for more than two classes.

        Probabilities of members are not calibrated.
        """
        matrix = self.state.transform(typed_rows.typed(self.problem, rows))
        return self._with_rest(rows, self.blend.members(matrix, len(self.classes)))

    def _with_rest(self, rows: pd.DataFrame, found: Floats) -> Floats:
        """The values of rows, of periods left within 0 and the cap; `where.otherwise` for rows that are not learned."""
        found = self._possible(found)
        where = self.problem.where
        if where is None or self.classes:
            return found
        found = found.copy()
        found[~learned(self.problem, rows)] = where.otherwise
        return found

    def _possible(self, found: Floats) -> Floats:
        """Periods left within 0 and the cap; other values as they are."""
        return np.clip(found, 0, self.problem.derived.cap) if self.problem.derived else found


def learned(problem: Problem, rows: pd.DataFrame) -> NDArray[np.bool_]:
    """The rows that are learned and scored."""
    if problem.where is None:
        return np.ones(len(rows), dtype=np.bool_)
    values = rows[problem.where.column]
    wanted = problem.where.equals
    if isinstance(wanted, str):
        return np.asarray(values.astype(str) == wanted)
    return np.asarray(pd.to_numeric(values, errors="coerce") == wanted)
