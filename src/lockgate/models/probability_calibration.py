"""Calibrated probabilities: a monotone map from the blend's probability, chosen by log loss out of fold.

Two classes: Platt's (a line in log odds), isotonic regression (a piecewise linear map through points), or none. More
classes: a temperature, by which the log probabilities are divided. The map is stored as arrays.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lockgate.models.table_task import log_loss
from lockgate.system.single_thread import on_one_thread

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Method = Literal["none", "platt", "isotonic", "temperature"]

EDGE = 1e-6  # probabilities lie between EDGE and 1 - EDGE
LEAST_GAIN = 0.001  # share of the log loss by which a map must be better than a simpler one
FEWEST_ROWS = 200  # with fewer rows, a map is chosen by chance
TEMPERATURES = np.exp(np.linspace(-1.5, 1.5, 121))


@dataclass(frozen=True)
class ProbabilityMap:
    """A map of probabilities: slope and intercept, points (x above y), or a temperature; nothing for "none"."""

    method: Method
    numbers: Floats

    def calibrated(self, probabilities: Floats) -> Floats:
        """Calibrated probabilities of the same shape; row by row."""
        match self.method:
            case "platt":
                return np.asarray(1 / (1 + np.exp(-(self.numbers[0] * log_odds(probabilities) + self.numbers[1]))))
            case "isotonic":
                x, y = self.numbers
                return np.asarray(np.interp(probabilities, x, y))
            case "temperature":
                return _tempered(probabilities, float(self.numbers[0]))
        return probabilities  # "none"


@dataclass(frozen=True)
class Calibrated:
    """The chosen map, fitted on all rows, and the probabilities of each fold by the map of the other folds."""

    map: ProbabilityMap
    out_of_fold: Floats


NO_MAP = ProbabilityMap("none", np.zeros(0))


@on_one_thread
def calibrate(target: Floats, probabilities: Floats, fold: Ints) -> Calibrated:
    """The map with the least log loss on folds that it did not learn; a simpler one if it is nearly as good."""
    best = Calibrated(NO_MAP, probabilities)
    if len(target) < FEWEST_ROWS or len(np.unique(fold)) < 2:
        return best
    least = log_loss(target, probabilities)
    for fitted in (_platt, _isotonic) if probabilities.ndim == 1 else (_temperature,):
        found = _out_of_fold(fitted, target, probabilities, fold)
        if (loss := log_loss(target, found)) < least * (1 - LEAST_GAIN):
            best, least = Calibrated(fitted(target, probabilities), found), loss
    return best


def log_odds(probabilities: Floats) -> Floats:
    """Log odds of probabilities, limited to those of EDGE."""
    limited = np.clip(probabilities, EDGE, 1 - EDGE)
    return np.asarray(np.log(limited / (1 - limited)))


def _out_of_fold(
    fitted: Callable[[Floats, Floats], ProbabilityMap], target: Floats, given: Floats, fold: Ints
) -> Floats:
    found = given.copy()
    for number in np.unique(fold):
        own = fold == number
        found[own] = fitted(target[~own], given[~own]).calibrated(given[own])
    return found


def _platt(target: Floats, probabilities: Floats) -> ProbabilityMap:
    from sklearn.linear_model import LogisticRegression

    model: Any = LogisticRegression(C=1e6).fit(log_odds(probabilities)[:, None], target)
    return ProbabilityMap("platt", np.array([max(float(model.coef_[0, 0]), EDGE), float(model.intercept_[0])]))


def _isotonic(target: Floats, probabilities: Floats) -> ProbabilityMap:
    from sklearn.isotonic import IsotonicRegression

    model: Any = IsotonicRegression(y_min=EDGE, y_max=1 - EDGE, out_of_bounds="clip").fit(probabilities, target)
    return ProbabilityMap("isotonic", np.array([model.X_thresholds_, model.y_thresholds_], dtype=np.float64))


def _temperature(target: Floats, probabilities: Floats) -> ProbabilityMap:
    losses = [log_loss(target, _tempered(probabilities, float(each))) for each in TEMPERATURES]
    return ProbabilityMap("temperature", TEMPERATURES[[int(np.argmin(losses))]])


def _tempered(probabilities: Floats, temperature: float) -> Floats:
    powers = np.maximum(probabilities, EDGE) ** (1 / temperature)
    total = np.zeros(len(powers))
    for column in powers.T:  # in this order, so that a row's sum does not depend on the batch
        total += column
    return np.asarray(powers / total[:, None])
