"""The gain of the best trial over the present settings, with its spread over the inner folds."""

from dataclasses import dataclass
from math import isfinite, nan, sqrt

import numpy as np

from lockgate.problem.metrics import Metric
from lockgate.sweep.trials import TrialRecord

CONFIDENCE = 0.95
FEWEST_FOLDS = 2


@dataclass(frozen=True)
class Gain:
    """How much less the best trial errs than the present settings: on all folds, and in the mean over the folds.

    `low` and `high` are the 95 % interval of the mean by the spread over the folds; None for a single fold.
    """

    of_all: float
    mean: float
    low: float | None
    high: float | None
    folds: int

    @property
    def within_noise(self) -> bool:
        """Whether the folds do not show a gain: the interval reaches 0, or there is none."""
        return not (self.low is not None and self.low > 0)


def gain_of(present: TrialRecord, best: TrialRecord, metric: Metric) -> Gain:
    """The gain of a complete trial over another one on the same folds, by the differences on each fold.

    A fold on which the metric has no value, such as an AUC of one class, does not count.
    """
    pairs = [(metric.error(present.of_folds[name]), metric.error(best.of_folds[name])) for name in present.of_folds]
    differences = np.array([before - after for before, after in pairs if isfinite(before - after)])
    folds = len(differences)
    mean = float(differences.mean()) if folds else nan
    of_all = present.errors[-1] - best.errors[-1]
    if folds < FEWEST_FOLDS:
        return Gain(of_all, mean, None, None, folds)
    reach = _quantile(folds - 1) * float(differences.std(ddof=1)) / sqrt(folds)
    return Gain(of_all, mean, mean - reach, mean + reach, folds)


def _quantile(freedom: int) -> float:
    """The quantile of Student's t for the interval."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))
