"""Split-conformal intervals of a plain table or of states, by the level of the forecast.

The residuals out of fold are scaled by their spread at the level, and each level has quantiles of its own: near a cap
of the target, residuals have another shape than far from it. The quantiles of a level are drawn towards those of all
rows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.models.conformal import PROBABILITIES, Interval
from lockgate.models.target_scale import TargetScale, scaled, unscaled
from lockgate.problem.confidence import checked

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_LEVELS = 12
PRIOR_ROWS = 300  # prior weight: as if a level had this many more rows with the residuals of all rows
ROWS_OF_LEVEL = 60
SMALLEST = 1e-9


@dataclass(frozen=True)
class LevelCalibration:
    """Mean absolute residual at levels of the forecast, and quantiles of the residuals in units of it.

    Between two levels, both are interpolated.
    """

    levels: Floats  # of the forecast in its scale, rising
    spread: Floats  # one entry a level
    quantiles: Floats  # (levels, PROBABILITIES)

    def __post_init__(self) -> None:
        if self.quantiles.shape != (len(self.levels), len(PROBABILITIES)):
            raise ValueError(f"quantiles of {len(self.levels)} levels have the shape {self.quantiles.shape}")

    def interval(self, prediction: Floats, scale: TargetScale, confidence: float) -> Interval:
        """Bounds that contain the target with this confidence and enclose the forecast; NaN for no finite forecast.

        Raises WrongUsage for a confidence out of range.
        """
        tail = (1 - checked(confidence)) / 2
        center = _scaled(prediction, scale)
        width = np.interp(center, self.levels, self.spread)
        low, high = (np.interp(center, self.levels, self._quantile(share)) for share in (tail, 1 - tail))
        lower = np.minimum(unscaled(center + np.minimum(low, 0.0) * width, scale), prediction)
        upper = np.maximum(unscaled(center + np.maximum(high, 0.0) * width, scale), prediction)
        return Interval(prediction, lower, upper)

    def _quantile(self, share: float) -> Floats:
        """The quantile of each level."""
        return np.array([np.interp(share, PROBABILITIES, own) for own in self.quantiles])


def calibrate(actual: Floats, forecast: Floats, scale: TargetScale) -> LevelCalibration:
    """Levels and quantiles from forecasts of rows that were not learned."""
    center = _scaled(forecast, scale)
    residual = _scaled(actual, scale) - center
    parts = _parts(center)
    levels, spread = _levels(center, np.abs(residual), parts)
    scores = residual / np.interp(center, levels, spread)
    return LevelCalibration(levels, spread, np.array([_quantiles(scores, part) for part in parts]))


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


def _parts(center: Floats) -> list[Ints]:
    """The rows of each level: parts of equal size in the order of the forecast."""
    order = np.argsort(center, kind="stable")
    return np.array_split(order, max(min(MOST_LEVELS, len(center) // ROWS_OF_LEVEL), 1))


def _levels(center: Floats, absolute: Floats, parts: list[Ints]) -> tuple[Floats, Floats]:
    """The mean forecast and the mean absolute residual of each part."""
    least = max(float(absolute.mean()) * 0.05, SMALLEST)
    levels = np.array([center[part].mean() for part in parts])
    spread = np.array([max(float(absolute[part].mean()), least) for part in parts])
    return levels, spread


def _quantiles(scores: Floats, part: Ints) -> Floats:
    """The quantiles of the scores of a part, drawn towards those of all rows, at PROBABILITIES."""
    weights = np.full(len(scores), PRIOR_ROWS / len(scores))
    weights[part] += 1.0
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(weights[order]) - weights[order] / 2
    return np.interp(PROBABILITIES, reached / weights.sum(), scores[order])


def _scaled(values: Floats, scale: TargetScale) -> Floats:
    """In the log scale, values are limited to SMALLEST from below."""
    return scaled(np.maximum(values, SMALLEST), scale) if scale == "log" else values
