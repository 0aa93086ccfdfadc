"""Split-conformal intervals of a plain table: residuals out of fold, scaled by their spread at the forecast's level."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.models.conformal import PROBABILITIES, Interval
from lockgate.models.target_scale import TargetScale, scaled, unscaled
from lockgate.problem.confidence import checked

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_LEVELS = 12
ROWS_OF_LEVEL = 60
SMALLEST = 1e-9


@dataclass(frozen=True)
class LevelCalibration:
    """Mean absolute residual at levels of the forecast, and quantiles of the residuals in units of it."""

    levels: Floats  # of the forecast in its scale, rising
    spread: Floats  # one entry a level; between two levels it is interpolated
    quantiles: Floats  # at PROBABILITIES

    def interval(self, prediction: Floats, scale: TargetScale, confidence: float) -> Interval:
        """Bounds that contain the target with this confidence and enclose the forecast; NaN for no finite forecast.

        Raises WrongUsage for a confidence out of range.
        """
        tail = (1 - checked(confidence)) / 2
        low, high = np.interp([tail, 1 - tail], PROBABILITIES, self.quantiles)
        center = _scaled(prediction, scale)
        width = np.interp(center, self.levels, self.spread)
        lower = np.minimum(unscaled(center + min(low, 0.0) * width, scale), prediction)
        upper = np.maximum(unscaled(center + max(high, 0.0) * width, scale), prediction)
        return Interval(prediction, lower, upper)


def calibrate(actual: Floats, forecast: Floats, scale: TargetScale) -> LevelCalibration:
    """Levels and quantiles from forecasts of rows that were not learned."""
    center = _scaled(forecast, scale)
    residual = _scaled(actual, scale) - center
    levels, spread = _levels(center, np.abs(residual))
    quantiles = np.quantile(residual / np.interp(center, levels, spread), PROBABILITIES)
    return LevelCalibration(levels, spread, quantiles)


def coverage(actual: Floats, forecast: Floats, fold: Ints, scale: TargetScale, confidence: float) -> float:
    """The share of rows within bounds that the other folds give; NaN with one fold."""
    covered = np.full(len(actual), np.nan)
    for number in np.unique(fold):
        own = fold == number
        if own.all():
            return float("nan")
        bounds = calibrate(actual[~own], forecast[~own], scale).interval(forecast[own], scale, confidence)
        covered[own] = (bounds.lower <= actual[own]) & (actual[own] <= bounds.upper)
    return float(covered.mean())


def _levels(center: Floats, absolute: Floats) -> tuple[Floats, Floats]:
    """Parts of equal size in the order of the forecast: the mean forecast and the mean absolute residual of each."""
    order = np.argsort(center, kind="stable")
    parts = np.array_split(order, max(min(MOST_LEVELS, len(center) // ROWS_OF_LEVEL), 1))
    least = max(float(absolute.mean()) * 0.05, SMALLEST)
    levels = np.array([center[part].mean() for part in parts])
    spread = np.array([max(float(absolute[part].mean()), least) for part in parts])
    return levels, spread


def _scaled(values: Floats, scale: TargetScale) -> Floats:
    """In the log scale, values are limited to SMALLEST from below."""
    return scaled(np.maximum(values, SMALLEST), scale) if scale == "log" else values
