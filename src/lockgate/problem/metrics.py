"""The table of metrics: how forecasts are scored, which direction is better, and which rows count.

Every command reads the table, so the functions import numpy and scikit-learn, and the module does not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

NAN = float("nan")
CAP = 0.5


@dataclass(frozen=True)
class Sums:
    """A metric as a function of sums over rows, for the bootstrap.

    `terms` gives the terms of each row from target and forecast; `score` the metric from the number of rows and the sum
    of each term.
    """

    terms: "Callable[[Floats, Floats], tuple[Floats, ...]]"
    score: Callable[..., "Floats"]


@dataclass(frozen=True)
class Median:
    """A metric that is the median of the errors of the rows, for the bootstrap."""

    errors: "Callable[[Floats, Floats], Floats]"


@dataclass(frozen=True)
class Metric:
    """A metric of forecasts. `worse_by` is the only comparison of two scores, so a direction cannot be mistaken.

    `perfect` is the score of a forecast without errors. `relative` is False for a score in the unit of the target.
    `function` gives the score from target and forecast, `scored` the rows that count from the target. `squared` is True
    for a score that grows with the square of the errors.
    """

    name: str
    label: str
    better: Literal["lower", "higher"]
    perfect: float
    relative: bool
    function: "Callable[[Floats, Floats], float]"
    scored: "Callable[[Floats], Bools]"
    statistic: Sums | Median
    squared: bool = False

    def score(self, actual: "ArrayLike", forecast: "ArrayLike") -> float:
        """The score over the rows that count; NaN if there is none, or if one of them has no finite forecast."""
        import numpy as np

        target, predicted = _same_shape(actual, forecast)
        counts = self.scored(target)
        target, predicted = target[counts], predicted[counts]
        if not (target.size and np.isfinite(predicted).all()):
            return NAN
        return float(self.function(target, predicted))

    def worse_by(self, score: float, reference: float) -> float:
        """How much worse a score is than a reference score: above 0 is worse and below 0 better, in each direction."""
        return score - reference if self.better == "lower" else reference - score

    def worse_score(self, reference: float, by: float) -> float:
        """The score that is worse than the reference by this much; the inverse of `worse_by`."""
        return reference + by if self.better == "lower" else reference - by

    def error(self, score: float) -> float:
        """The size of the errors, 0 for the perfect score: an error itself, and sqrt(1 - R2) for R2.

        Twice the errors are twice the size in every metric. A score that is better than perfect has a size below 0.
        """
        distance = self.worse_by(score, self.perfect)
        return sqrt(distance) if self.squared and distance > 0 else distance

    def with_error(self, error: float) -> float:
        """The score with this size of errors; the inverse of `error`."""
        return self.worse_score(self.perfect, error**2 if self.squared else error)

    def is_valid(self, score: float) -> bool:
        """Whether a score is finite and not better than the perfect score."""
        return isfinite(score) and self.error(score) >= 0

    @property
    def widest(self) -> float:
        """The largest difference of scores that a limit of the gate may have."""
        return 1.0 if self.relative else inf

    def shown(self, value: float) -> str:
        """A score as text."""
        return f"{value:.5f}" if self.relative else f"{value:.6g}"

    def shown_change(self, value: float) -> str:
        """A difference of scores as text, with its sign."""
        return f"{value:+.5f}" if self.relative else f"{value:+.6g}"


def rmspe(actual: "ArrayLike", forecast: "ArrayLike") -> float:
    """Root mean square percentage error as a share: sqrt(mean(((actual - forecast) / actual)^2)), as in Kaggle.

    Computed over the rows with a target above zero; NaN without such rows.
    """
    import numpy as np

    target, predicted = _above_zero(actual, forecast)
    return float(np.sqrt(np.mean(((target - predicted) / target) ** 2))) if target.size else NAN


def capped_rmspe(actual: "ArrayLike", forecast: "ArrayLike") -> float:
    """RMSPE with each row's percentage error clipped to CAP. Used to choose rounds and weights, not by the gate.

    A few rows (a store that closed an hour after opening) can cause most of a window's RMSPE; without the cap they
    would decide the choice by chance.
    """
    import numpy as np

    target, predicted = _above_zero(actual, forecast)
    return float(np.sqrt(np.mean(capped(predicted / target - 1.0) ** 2))) if target.size else NAN


def capped(errors: "Floats") -> "Floats":
    """Percentage errors (as shares), clipped to -CAP .. CAP."""
    import numpy as np

    return np.clip(errors, -CAP, CAP)


def bias(actual: "ArrayLike", forecast: "ArrayLike") -> float:
    """Sum of forecasts / sum of the target - 1: 0.02 means 2 % too high in total. NaN if the target's sum is zero."""
    target, predicted = _same_shape(actual, forecast)
    return float(predicted.sum() / target.sum() - 1.0) if target.sum() else NAN


def _above_zero(actual: "ArrayLike", forecast: "ArrayLike") -> "tuple[Floats, Floats]":
    target, predicted = _same_shape(actual, forecast)
    counts = _is_positive(target)
    return target[counts], predicted[counts]


def _same_shape(actual: "ArrayLike", forecast: "ArrayLike") -> "tuple[Floats, Floats]":
    import numpy as np

    target, predicted = np.asarray(actual, dtype=np.float64), np.asarray(forecast, dtype=np.float64)
    if target.shape != predicted.shape:
        raise ValueError(f"{target.shape} actual values, {predicted.shape} forecasts")
    return target, predicted


def _of_scikit_learn(name: str) -> "Callable[[Floats, Floats], float]":
    """A function of sklearn.metrics, imported when it is called."""

    def function(actual: "Floats", forecast: "Floats") -> float:
        from sklearn import metrics

        return float(getattr(metrics, name)(actual, forecast))

    return function


def _wape(actual: "Floats", forecast: "Floats") -> float:
    """Sum of absolute errors / sum of the absolute target; NaN if the target is zero everywhere."""
    total = abs(actual).sum()
    return float(abs(actual - forecast).sum() / total) if total else NAN


def _r2(actual: "Floats", forecast: "Floats") -> float:
    """R2 of scikit-learn; NaN with one row."""
    return _of_scikit_learn("r2_score")(actual, forecast) if len(actual) > 1 else NAN


def _is_known(actual: "Floats") -> "Bools":
    import numpy as np

    known: Bools = np.isfinite(actual)
    return known


def _is_positive(actual: "Floats") -> "Bools":
    positive: Bools = actual > 0
    return positive


def _is_not_zero(actual: "Floats") -> "Bools":
    nonzero: Bools = actual != 0
    return _is_known(actual) & nonzero


def _mean(total_of: "Callable[[Floats, Floats], Floats]", root: bool = False) -> Sums:
    """The mean of one term, or the root of this mean."""

    def score(rows: Any, total: Any) -> Any:
        return (total / rows) ** 0.5 if root else total / rows

    return Sums(lambda actual, forecast: (total_of(actual, forecast),), score)


_ALL = (
    Metric("rmspe", "RMSPE", "lower", 0.0, True, rmspe, _is_positive,
           _mean(lambda actual, forecast: (forecast / actual - 1) ** 2, root=True)),
    Metric("rmse", "RMSE", "lower", 0.0, False, _of_scikit_learn("root_mean_squared_error"), _is_known,
           _mean(lambda actual, forecast: (forecast - actual) ** 2, root=True)),
    Metric("mae", "MAE", "lower", 0.0, False, _of_scikit_learn("mean_absolute_error"), _is_known,
           _mean(lambda actual, forecast: abs(forecast - actual))),
    Metric("mape", "MAPE", "lower", 0.0, True, _of_scikit_learn("mean_absolute_percentage_error"), _is_not_zero,
           _mean(lambda actual, forecast: abs(forecast / actual - 1))),
    Metric("wape", "WAPE", "lower", 0.0, True, _wape, _is_known,
           Sums(lambda actual, forecast: (abs(forecast - actual), abs(actual)), lambda _, error, size: error / size)),
    Metric("r2", "R2", "higher", 1.0, True, _r2, _is_known,
           Sums(lambda actual, forecast: ((forecast - actual) ** 2, actual, actual**2),
                lambda rows, error, total, square: 1 - error / (square - total**2 / rows)),
           squared=True),
    Metric("median_absolute_error", "MedAE", "lower", 0.0, False,
           _of_scikit_learn("median_absolute_error"), _is_known,
           Median(lambda actual, forecast: abs(forecast - actual))),
)  # fmt: skip
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}
