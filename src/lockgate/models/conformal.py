"""How sure a forecast is: split-conformal intervals, as wide as each store is hard to forecast.

What the blend missed on the inner folds, days that it had not learned, is taken relative to the spread of its store.
The quantiles of these scores, low and high apart, are what a forecast is multiplied by. Nothing is assumed of the
shape of the errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.problem.confidence import checked

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PROBABILITIES = 1 / (1 + np.exp(-np.linspace(-8, 8, 401)))  # closer together towards both tails, where it matters
PRIOR_ROWS = 60  # a store's spread is believed like that of its rows and so many of the chain's
LARGEST_SHARE = 4.0  # no row counts for more than so many times the chain's spread


@dataclass(frozen=True)
class Residuals:
    """What was missed on one fold, row by row: log sales minus log forecast, with the row's store."""

    store: Ints  # place in StoreAttributes.store_ids
    log_ratio: Floats
    known_days: int  # of history before the fold's window


@dataclass(frozen=True)
class Calibration:
    """What the folds say of errors to come."""

    spread: Floats  # mean absolute miss in log sales, one entry a store
    quantiles: Floats  # of residuals in units of their store's spread, at PROBABILITIES

    def factors(self, confidence: float) -> tuple[Floats, Floats]:
        """What each store's forecasts are multiplied by for the lower and the upper bound: (stores,) both.

        Equal tails; the first are never above 1 and the second never below, so that bounds enclose the forecast.
        Raises WrongUsage for a confidence that is no share, or too close to 1.
        """
        tail = (1 - checked(confidence)) / 2
        low, high = np.interp([tail, 1 - tail], PROBABILITIES, self.quantiles)
        return np.exp(min(low, 0.0) * self.spread), np.exp(max(high, 0.0) * self.spread)


@dataclass(frozen=True)
class Interval:
    """Forecasts of some rows with their bounds, (rows,) each; NaN where the forecaster knows no bounds."""

    prediction: Floats
    lower: Floats
    upper: Floats


def calibrate(folds: Sequence[Residuals], stores: int) -> Calibration:
    """Learn spreads and quantiles from the residuals on at least one fold.

    A fold's scores use the spreads of the other folds, since a store's spread will not have seen the errors that it is
    to bound either. A fold counts by the square of the days that were known before it, however many rows it has: who
    knows half as much forecasts unlike the one whose errors are to be bounded.
    """
    counts = np.array([fold.known_days for fold in folds], dtype=np.float64) ** 2
    scores = [_scores(fold, spreads(_others(folds, fold) or folds, stores)) for fold in folds]
    return Calibration(spreads(folds, stores), _quantiles(scores, counts))


def spreads(folds: Sequence[Residuals], stores: int) -> Floats:
    """Mean absolute miss of each store, capped row by row and drawn towards the chain's the fewer rows it has."""
    store = np.concatenate([fold.store for fold in folds])
    missed = np.abs(np.concatenate([fold.log_ratio for fold in folds]))
    chain = max(float(np.mean(missed)), 1e-9)
    total = np.bincount(store, np.minimum(missed, LARGEST_SHARE * chain), minlength=stores)
    rows = np.bincount(store, minlength=stores)
    return np.asarray((total + PRIOR_ROWS * chain) / (rows + PRIOR_ROWS))


def inner_coverage(folds: Sequence[Residuals], stores: int, confidence: float) -> float:
    """The share of sales within their bounds, each fold's by what the others say; NaN if there is one fold only."""
    found = [
        _covered(fold, calibrate(others, stores), confidence) for fold in folds if (others := _others(folds, fold))
    ]
    return float(np.mean(found)) if found else float("nan")


def coverage(sold: Floats, interval: Interval) -> float:
    """The share of sales within their bounds; NaN if there is no row, or no bounds."""
    if not len(sold) or np.isnan(interval.lower).any():
        return float("nan")
    return float(np.mean((interval.lower <= sold) & (sold <= interval.upper)))


def _others(folds: Sequence[Residuals], own: Residuals) -> list[Residuals]:
    return [fold for fold in folds if fold is not own]


def _scores(fold: Residuals, spread: Floats) -> Floats:
    return np.asarray(fold.log_ratio / spread[fold.store])


def _quantiles(scores: Sequence[Floats], counts: Floats) -> Floats:
    """Of the scores of all folds together, each fold with its share of the counts."""
    values, shares = np.concatenate(scores), counts / counts.sum()
    weights = np.concatenate([np.full(len(part), own / len(part)) for part, own in zip(scores, shares, strict=True)])
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) - weights[order] / 2
    return np.interp(PROBABILITIES, reached, values[order])


def _covered(fold: Residuals, known: Calibration, confidence: float) -> float:
    low, high = (np.log(factor)[fold.store] for factor in known.factors(confidence))
    return float(np.mean((low <= fold.log_ratio) & (fold.log_ratio <= high)))
