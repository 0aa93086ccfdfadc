"""Weights of the members in the blend: non-negative, summing to 1, shrunk towards given shares."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lockgate.system.single_thread import on_one_thread

Floats = NDArray[np.float64]

REWEIGHTINGS = 15
SMALLEST_ERROR = 0.01  # of the mean error: a smaller error counts as this
RIDGE = 1e-9  # keeps the equations solvable if two members give equal forecasts


def blend(forecasts: Floats, weights: Floats) -> Floats:
    """Weighted mean over the members, (rows, members) to (rows,); other rows of a batch do not change a row's sum."""
    return np.asarray((forecasts * weights).sum(axis=1))


def fit_loss_weights(folds: Sequence[Floats], shrinkage: float, shares: Floats, quantile: float | None) -> Floats:
    """As `fit_weights` for a loss of squared errors (quantile None), else as `fit_quantile_weights`."""
    if quantile is None:
        return fit_weights(folds, shrinkage, shares)
    return fit_quantile_weights(folds, shrinkage, shares, quantile)


@on_one_thread
def fit_weights(folds: Sequence[Floats], shrinkage: float, shares: Floats) -> Floats:
    """Weights with the least squared error, plus `shrinkage` times their squared distance from `shares`.

    Each fold holds the members' errors (Loss.errors), (rows, members). All folds have equal weight: a fold's squared
    error is divided by the mean of its members' squared errors. With a larger shrinkage, members that differ only by
    chance stay nearer to their shares. The solution is exact: every subset of members is solved.
    """
    gram = np.mean([_relative_gram(errors) for errors in folds], axis=0)
    members = len(gram)
    pull = shrinkage + RIDGE
    candidates = [
        _on_subset(gram, pull * shares, pull, subset)
        for size in range(1, members + 1)
        for subset in combinations(range(members), size)
    ]
    legal = [weights for weights in candidates if weights.min() >= 0.0]
    return min(legal, key=lambda weights: _loss(gram, pull, weights - shares, weights))


def fit_quantile_weights(folds: Sequence[Floats], shrinkage: float, shares: Floats, level: float) -> Floats:
    """As `fit_weights`, with the least pinball loss of a quantile instead of the least squared error.

    Iteratively reweighted least squares: a squared error, divided by the size of the blend's error in the round before,
    counts as an absolute one.
    """
    weights = shares
    for _ in range(REWEIGHTINGS):
        weights = fit_weights(
            [errors * _root_cost(errors @ weights, level)[:, None] for errors in folds], shrinkage, shares
        )
    return weights


def _root_cost(errors: Floats, level: float) -> Floats:
    """The root of what a unit of each error costs, over the size of the error; an error is forecast minus target."""
    size = np.maximum(np.abs(errors), SMALLEST_ERROR * np.abs(errors).mean() + 1e-12)
    return np.asarray(np.sqrt(np.where(errors < 0, level, 1 - level) / size))


def _relative_gram(errors: Floats) -> Floats:
    """Mean products of the members' errors; since the weights sum to 1, the blend's error is the weighted error."""
    gram = errors.T @ errors / len(errors)
    return np.asarray(gram / max(float(np.trace(gram)) / len(gram), 1e-12))


def _loss(gram: Floats, pull: float, distance: Floats, weights: Floats) -> float:
    return float(weights @ gram @ weights + pull * (distance**2).sum())


def _on_subset(gram: Floats, drawn: Floats, pull: float, subset: tuple[int, ...]) -> Floats:
    """The best weights that sum to 1 and are zero outside the subset (they may be negative inside)."""
    size = len(subset)
    system = np.zeros((size + 1, size + 1))
    system[:size, :size] = gram[np.ix_(subset, subset)] + pull * np.eye(size)
    system[:size, size] = system[size, :size] = 1.0
    right = np.append(drawn[list(subset)], 1.0)
    weights = np.zeros(len(gram))
    weights[list(subset)] = np.linalg.solve(system, right)[:size]
    return weights
