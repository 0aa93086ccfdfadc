"""Takes contributions through a transform: what adds up to an output becomes what adds up to the transformed output.

A transform of a sum is walked along the straight line from the base to the output, where all contributions grow
together. Each gets the share of the transform's change that it causes on the way (integrated gradients). For a
transform of one number, that is a factor: the change of the transform over the change of the sum.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lockgate.models.booster import Contributions

Floats = NDArray[np.float64]

SMALL = 1e-5  # a change below this is taken by the slope in its middle
STEPS, WEIGHTS = ((points + 1) / 2 if place == 0 else points / 2
                  for place, points in enumerate(np.polynomial.legendre.leggauss(48)))  # fmt: skip


def through_exp(found: Contributions) -> Contributions:
    """Contributions to the exponential of a sum."""
    change = found.values.sum(axis=-1)
    small = np.abs(change) < SMALL
    mean = np.where(small, 1 + change / 2, np.expm1(change) / np.where(small, 1.0, change))
    base = np.exp(found.base)
    return Contributions(base, found.values * (base * mean)[..., None])


def through_log(found: Contributions) -> Contributions:
    """Contributions to the log of a sum; base and sum are above 0."""
    change = found.values.sum(axis=-1) / found.base
    small = np.abs(change) < SMALL
    mean = np.where(small, 1 - change / 2, np.log1p(change) / np.where(small, 1.0, change))
    return Contributions(np.log(found.base), found.values * (mean / found.base)[..., None])


def through_logistic(found: Contributions) -> Contributions:
    """Contributions to the probability of log odds, (rows,)."""
    change = found.values.sum(axis=-1)
    start, end, middle = (_logistic(found.base + share * change) for share in (0.0, 1.0, 0.5))
    small = np.abs(change) < SMALL
    slope = np.where(small, middle * (1 - middle), (end - start) / np.where(small, 1.0, change))
    return Contributions(start, found.values * slope[..., None])


def through_softmax(found: Contributions, chosen: NDArray[np.int64]) -> Contributions:
    """Contributions to the probability of one class of each row, from those to the logs of all classes.

    The values of the line are a numeric integral.
    """
    change, rows = found.values.sum(axis=-1), np.arange(len(chosen))
    slopes = np.zeros(change.shape)
    for step, weight in zip(STEPS, WEIGHTS, strict=True):
        chances = _softmax(found.base + step * change)
        own = chances[rows, chosen][:, None]
        slopes -= weight * own * chances
        slopes[rows, chosen] += weight * own[:, 0]
    values = np.zeros(found.values[:, 0].shape)
    for place in range(slopes.shape[1]):  # in this order, so that a row's sum does not depend on the batch
        values += slopes[:, place, None] * found.values[:, place]
    return Contributions(_softmax(found.base)[rows, chosen], values)


def of_class(found: Contributions, chosen: NDArray[np.int64]) -> Contributions:
    """The contributions to one class of each row."""
    rows = np.arange(len(chosen))
    return replace(found, base=found.base[rows, chosen], values=found.values[rows, chosen])


def to_probability(found: Contributions, chosen: NDArray[np.int64]) -> Contributions:
    """Contributions to the probability of class 1 of two, or of a chosen class of several."""
    if found.base.ndim == 1:
        return through_logistic(found) if found.of_margin else found
    return through_softmax(found, chosen) if found.of_margin else of_class(found, chosen)


def _logistic(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -700, 700))))


def _softmax(values: Floats) -> Floats:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    total = np.zeros(len(values))
    for column in powers.T:
        total += column
    return np.asarray(powers / total[:, None])
