"""Split-conformal prediction intervals, scaled by the spread of each key's residuals.

The residuals of the blend on the inner folds, which it did not learn, are divided by the spread of their key. The
lower and upper quantiles of these scores give the distances of a forecast from its bounds. No distribution is assumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.problem.confidence import checked

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PROBABILITIES = 1 / (1 + np.exp(-np.linspace(-8, 8, 401)))  # denser towards both tails
PRIOR_ROWS = 60  # prior weight: as if a key had this many more rows with the spread of all keys
LARGEST_SHARE = 4.0  # residuals are clipped to this multiple of the spread of all keys


@dataclass(frozen=True)
class Residuals:
    """Residuals of one fold: target minus forecast of each row, in the scale of the recipe, with the row's key."""

    key: Ints  # place in Series
    scaled: Floats
    history: int  # periods before the fold's window


@dataclass(frozen=True)
class Calibration:
    """Spreads and quantiles from the folds: the base of all intervals."""

    spread: Floats  # mean absolute residual in the scale of the recipe, one entry a key
    quantiles: Floats  # of residuals in units of their key's spread, at PROBABILITIES

    def distances(self, confidence: float) -> tuple[Floats, Floats]:
        """What is added to a forecast, in the scale of the recipe, for its lower and its upper bound: (keys,) each.

        Equal tails; the lower ones are at most 0 and the upper ones at least 0, so the bounds enclose the forecast.
        Raises WrongUsage for a confidence that is not above 0 or is above confidence.MOST.
        """
        tail = (1 - checked(confidence)) / 2
        low, high = np.interp([tail, 1 - tail], PROBABILITIES, self.quantiles)
        return min(low, 0.0) * self.spread, max(high, 0.0) * self.spread


@dataclass(frozen=True)
class Interval:
    """Forecasts of rows with their bounds, (rows,) each; NaN if the forecaster has no bounds."""

    prediction: Floats
    lower: Floats
    upper: Floats


def calibrate(folds: Sequence[Residuals], keys: int) -> Calibration:
    """Compute spreads and quantiles from the residuals on at least one fold.

    A fold's scores use the spreads of the other folds, because the errors of a new window are not part of its spread
    either. A fold's weight is the square of the days of history before it, and does not depend on its number of rows:
    with half the history, the errors of a forecaster are larger than those of the final one.
    """
    counts = np.array([fold.history for fold in folds], dtype=np.float64) ** 2
    scores = [_scores(fold, spreads(_others(folds, fold) or folds, keys)) for fold in folds]
    return Calibration(spreads(folds, keys), _quantiles(scores, counts))


def spreads(folds: Sequence[Residuals], keys: int) -> Floats:
    """Mean absolute residual of each key, clipped row by row, shrunk towards that of all keys if it has few rows."""
    key = np.concatenate([fold.key for fold in folds])
    absolute = np.abs(np.concatenate([fold.scaled for fold in folds]))
    overall = max(float(np.mean(absolute)), 1e-9)
    total = np.bincount(key, np.minimum(absolute, LARGEST_SHARE * overall), minlength=keys)
    rows = np.bincount(key, minlength=keys)
    return np.asarray((total + PRIOR_ROWS * overall) / (rows + PRIOR_ROWS))


def inner_coverage(folds: Sequence[Residuals], keys: int, confidence: float) -> float:
    """The share of sales within bounds from the other folds; NaN with one fold only."""
    shares = [_covered(fold, calibrate(others, keys), confidence) for fold in folds if (others := _others(folds, fold))]
    return float(np.mean(shares)) if shares else float("nan")


def coverage(sold: Floats, interval: Interval) -> float:
    """The share of sales within their bounds; NaN without rows or bounds."""
    if not len(sold) or np.isnan(interval.lower).any():
        return float("nan")
    return float(np.mean((interval.lower <= sold) & (sold <= interval.upper)))


def _others(folds: Sequence[Residuals], own: Residuals) -> list[Residuals]:
    return [fold for fold in folds if fold is not own]


def _scores(fold: Residuals, spread: Floats) -> Floats:
    return np.asarray(fold.scaled / spread[fold.key])


def _quantiles(scores: Sequence[Floats], counts: Floats) -> Floats:
    """Quantiles of the scores of all folds together, weighted by fold."""
    values, shares = np.concatenate(scores), counts / counts.sum()
    weights = np.concatenate([np.full(len(part), own / len(part)) for part, own in zip(scores, shares, strict=True)])
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) - weights[order] / 2
    return np.interp(PROBABILITIES, reached, values[order])


def _covered(fold: Residuals, known: Calibration, confidence: float) -> float:
    low, high = (distance[fold.key] for distance in known.distances(confidence))
    return float(np.mean((low <= fold.scaled) & (fold.scaled <= high)))
