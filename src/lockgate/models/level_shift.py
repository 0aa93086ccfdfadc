"""Moves the forecasts of a target that is learned in logs to where the error of the metric is least.

The mean of an uncertain value lies above its median, and the point with the least MAPE lies below it; the further, the
more uncertain the value is. With normal residuals in logs, these points are the median times exp(strength * variance).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.problem.metrics import Metric

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STRENGTHS = np.arange(-30, 31) / 20  # -1.5 to 1.5, 0 among them
LEAST_GAIN = 0.002  # share of the error; a smaller gain is chance
MOST_LEVELS = 6
ROWS_OF_LEVEL = 100
WIDEST = 1.0  # a larger residual in logs counts as this
SMALLEST = 1e-9


@dataclass(frozen=True)
class LevelShift:
    """What is added to the log of a forecast, by its log; between two levels it is interpolated. No level: nothing."""

    levels: Floats  # rising
    shifts: Floats  # one entry a level

    def moved(self, forecast: Floats) -> Floats:
        """The moved forecasts, row by row."""
        if not len(self.levels):
            return forecast
        return np.asarray(forecast * np.exp(np.interp(_log(forecast), self.levels, self.shifts)))


@dataclass(frozen=True)
class Shifted:
    """The shift, fitted on all rows, and the forecasts of each fold by the shift of the other folds."""

    shift: LevelShift
    out_of_fold: Floats


NO_SHIFT = LevelShift(np.zeros(0), np.zeros(0))


def fit(actual: Floats, forecast: Floats, fold: Ints, metric: Metric) -> Shifted:
    """The shift with the least error by the metric, if it lowers the error of folds that it did not learn; else none.

    `actual` and `forecast`, out of fold, are above 0.
    """
    moved = forecast.copy()
    for number in np.unique(fold):
        own = fold == number
        if own.all():
            return Shifted(NO_SHIFT, forecast)
        moved[own] = _fitted(actual[~own], forecast[~own], metric).moved(forecast[own])
    if _error(metric, actual, moved) < (1 - LEAST_GAIN) * _error(metric, actual, forecast):
        return Shifted(_fitted(actual, forecast, metric), moved)
    return Shifted(NO_SHIFT, forecast)


def _fitted(actual: Floats, forecast: Floats, metric: Metric) -> LevelShift:
    logs = _log(forecast)
    order = np.argsort(logs, kind="stable")
    parts = np.array_split(order, max(min(MOST_LEVELS, len(logs) // ROWS_OF_LEVEL), 1))
    squared = np.minimum(np.abs(_log(actual) - logs), WIDEST) ** 2
    levels = np.array([logs[part].mean() for part in parts])
    variance = np.array([squared[part].mean() for part in parts])
    candidates = [LevelShift(levels, strength * variance) for strength in STRENGTHS]
    return min(candidates, key=lambda each: _error(metric, actual, each.moved(forecast)))


def _error(metric: Metric, actual: Floats, forecast: Floats) -> float:
    return metric.error(metric.score(actual, forecast))


def _log(values: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(values, SMALLEST)))
