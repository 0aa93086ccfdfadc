"""Split-conformal prediction intervals, scaled by the spread of each store's residuals.

The residuals of the blend on the inner folds, which it did not learn, are divided by the spread of their store. The
lower and upper quantiles of these scores give the factors from a forecast to its bounds. No distribution is assumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.problem.confidence import checked

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PROBABILITIES = 1 / (1 + np.exp(-np.linspace(-8, 8, 401)))  # denser towards both tails
PRIOR_ROWS = 60  # prior weight: as if a store had this many more rows with the chain's spread
LARGEST_SHARE = 4.0  # residuals are clipped to this multiple of the chain's spread


@dataclass(frozen=True)
class Residuals:
    """Residuals of one fold: log sales minus log forecast of each row, with the row's store."""

    store: Ints  # index in StoreAttributes.store_ids
    log_ratio: Floats
    known_days: int  # of history before the fold's window


@dataclass(frozen=True)
class Calibration:
    """Spreads and quantiles from the folds: the base of all intervals."""

    spread: Floats  # mean absolute residual in log sales, one entry a store
    quantiles: Floats  # of residuals in units of their store's spread, at PROBABILITIES

    def factors(self, confidence: float) -> tuple[Floats, Floats]:
        """Factors from a forecast to its lower and its upper bound: (stores,) each.

        Equal tails; lower factors are at most 1 and upper factors at least 1, so the bounds enclose the forecast.
        Raises WrongUsage for a confidence that is not above 0 or is above confidence.MOST.
        """
        tail = (1 - checked(confidence)) / 2
        low, high = np.interp([tail, 1 - tail], PROBABILITIES, self.quantiles)
        return np.exp(min(low, 0.0) * self.spread), np.exp(max(high, 0.0) * self.spread)


@dataclass(frozen=True)
class Interval:
    """Forecasts of rows with their bounds, (rows,) each; NaN if the forecaster has no bounds."""

    prediction: Floats
    lower: Floats
    upper: Floats


def calibrate(folds: Sequence[Residuals], stores: int) -> Calibration:
    """Compute spreads and quantiles from the residuals on at least one fold.

    A fold's scores use the spreads of the other folds, because the errors of a new window are not part of its spread
    either. A fold's weight is the square of the days of history before it, and does not depend on its number of rows:
    with half the history, the errors of a forecaster are larger than those of the final one.
    """
    counts = np.array([fold.known_days for fold in folds], dtype=np.float64) ** 2
    scores = [_scores(fold, spreads(_others(folds, fold) or folds, stores)) for fold in folds]
    return Calibration(spreads(folds, stores), _quantiles(scores, counts))


def spreads(folds: Sequence[Residuals], stores: int) -> Floats:
    """Mean absolute residual of each store, clipped row by row, shrunk towards the chain's if it has few rows."""
    store = np.concatenate([fold.store for fold in folds])
    absolute = np.abs(np.concatenate([fold.log_ratio for fold in folds]))
    chain = max(float(np.mean(absolute)), 1e-9)
    total = np.bincount(store, np.minimum(absolute, LARGEST_SHARE * chain), minlength=stores)
    rows = np.bincount(store, minlength=stores)
    return np.asarray((total + PRIOR_ROWS * chain) / (rows + PRIOR_ROWS))


def inner_coverage(folds: Sequence[Residuals], stores: int, confidence: float) -> float:
    """The share of sales within bounds from the other folds; NaN with one fold only."""
    shares = [
        _covered(fold, calibrate(others, stores), confidence) for fold in folds if (others := _others(folds, fold))
    ]
    return float(np.mean(shares)) if shares else float("nan")


def coverage(sold: Floats, interval: Interval) -> float:
    """The share of sales within their bounds; NaN without rows or bounds."""
    if not len(sold) or np.isnan(interval.lower).any():
        return float("nan")
    return float(np.mean((interval.lower <= sold) & (sold <= interval.upper)))


def _others(folds: Sequence[Residuals], own: Residuals) -> list[Residuals]:
    return [fold for fold in folds if fold is not own]


def _scores(fold: Residuals, spread: Floats) -> Floats:
    return np.asarray(fold.log_ratio / spread[fold.store])


def _quantiles(scores: Sequence[Floats], counts: Floats) -> Floats:
    """Quantiles of the scores of all folds together, weighted by fold."""
    values, shares = np.concatenate(scores), counts / counts.sum()
    weights = np.concatenate([np.full(len(part), own / len(part)) for part, own in zip(scores, shares, strict=True)])
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) - weights[order] / 2
    return np.interp(PROBABILITIES, reached, values[order])


def _covered(fold: Residuals, known: Calibration, confidence: float) -> float:
    low, high = (np.log(factor)[fold.store] for factor in known.factors(confidence))
    return float(np.mean((low <= fold.log_ratio) & (fold.log_ratio <= high)))
