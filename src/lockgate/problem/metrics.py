"""The table of metrics: how forecasts are scored, which direction is better, and which rows count.

Every command reads the table, so the functions import numpy and scikit-learn, and the module does not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import inf, isfinite, log, sqrt
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

Task = Literal["regression", "binary", "multiclass"]
Objective = Literal["squared", "absolute", "quantile", "log_loss"]

NAN = float("nan")
CAP = 0.5
NO_CERTAINTY = 1e-15  # the lowest probability in a log loss, as in scikit-learn
POSITIVE_FROM = 0.5  # a probability from which a row counts as positive
EARLY, LATE = 13.0, 10.0  # periods in which the RUL score of a too early, or a too late, forecast grows e-fold
QUANTILES = (10, 25, 75, 90, 95)  # of the pinball losses, in percent
TOP_SHARES = (1, 5, 10, 20)  # of precision and recall at k, in percent of the rows

REGRESSION: "tuple[Task, ...]" = ("regression",)
BINARY: "tuple[Task, ...]" = ("binary",)
CLASSES: "tuple[Task, ...]" = ("binary", "multiclass")


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
class Ranking:
    """A metric of the order of the forecasts, for the bootstrap.

    `score` gives the metric from the positive rows and from all rows of each distinct forecast, the highest first; both
    are (..., forecasts), and their last axis is ranked.
    """

    score: "Callable[[Floats, Floats], Floats]"


@dataclass(frozen=True)
class Metric:
    """A metric of forecasts. `worse_by` is the only comparison of two scores, so a direction cannot be mistaken.

    `perfect` is the score of a forecast without errors. `relative` is False for a score in the unit of the target.
    `function` gives the score from target and forecast, `scored` the rows that count from the target. `squared` is True
    for a score that grows with the square of the errors. `tasks` are the tasks that the metric fits; `objective` is
    what a booster minimises for it, and `level` the share of targets below a forecast of a quantile. `widest` is the
    largest error that a limit of the gate may have; a forecast of classes without any skill has it, so a limit for
    classes must be better. With `needs_scale`, a score is NaN until `with_scale`.

    Two classes: the target is 0 or 1, and the forecast is the probability of 1. More classes: the target is the place
    of the class, and the forecast has a probability for each class, (rows, classes).
    """

    name: str
    label: str
    better: Literal["lower", "higher"]
    perfect: float
    relative: bool
    function: "Callable[[Floats, Floats], float]"
    scored: "Callable[[Floats], Bools]"
    statistic: Sums | Median | Ranking
    squared: bool = False
    tasks: tuple[Task, ...] = REGRESSION
    objective: Objective = "squared"
    level: float = 0.5
    widest: float = inf
    needs_scale: bool = False

    def score(self, actual: "ArrayLike", forecast: "ArrayLike") -> float:
        """The score over the rows that count; NaN if there is none, or if one of them has no finite forecast."""
        import numpy as np

        target, predicted = _one_forecast_each(actual, forecast)
        counts = self.scored(target)
        target, predicted = target[counts], predicted[counts]
        if not (target.size and np.isfinite(predicted).all()):
            return NAN
        return float(self.function(target, predicted))

    def score_in(self, unit: "Floats | None", actual: "Floats", forecast: "Floats") -> float:
        """The score with target and forecast in the unit of each row (models/baselines.units_of); None: as they are."""
        if unit is None:
            return self.score(actual, forecast)
        return self.with_scale(1.0).score(actual / unit, forecast / unit)

    def worse_by(self, score: float, reference: float) -> float:
        """How much worse a score is than a reference score: above 0 is worse and below 0 better, in each direction."""
        return score - reference if self.better == "lower" else reference - score

    def worse_score(self, reference: float, by: float) -> float:
        """The score that is worse than the reference by this much; the inverse of `worse_by`."""
        return reference + by if self.better == "lower" else reference - by

    def error(self, score: float) -> float:
        """The size of the errors, 0 for the perfect score: an error itself, and sqrt(1 - R2) for R2.

        Twice the errors of numbers have twice the size. A score that is better than perfect has a size below 0.
        """
        distance = self.worse_by(score, self.perfect)
        return sqrt(distance) if self.squared and distance > 0 else distance

    def with_error(self, error: float) -> float:
        """The score with this size of errors; the inverse of `error`."""
        return self.worse_score(self.perfect, error**2 if self.squared else error)

    def is_valid(self, score: float) -> bool:
        """Whether a score is finite and not better than the perfect score."""
        return isfinite(score) and self.error(score) >= 0

    def widest_for(self, task: Task) -> float:
        """The largest error that a limit may have: for two classes, ignorance has a log loss of log 2."""
        return log(2) if self.name == "log_loss" and task == "binary" else self.widest

    def with_scale(self, scale: float) -> "Metric":
        """The metric with its errors divided by a scale above 0; a metric that needs no scale stays as it is."""
        return replace(self, needs_scale=False, **_scaled(scale)) if self.needs_scale else self

    def shown(self, value: float) -> str:
        """A score as text."""
        return f"{value:.5f}" if self.relative else f"{value:.6g}"

    def shown_change(self, value: float) -> str:
        """A difference of scores as text, with its sign."""
        return f"{value:+.5f}" if self.relative else f"{value:+.6g}"


def _scaled(scale: float) -> dict[str, Any]:
    """Function and statistic of a mean absolute error that is divided by a scale; NaN without a scale above 0."""
    divisor = scale if isfinite(scale) and scale > 0 else NAN
    mae = _of_scikit_learn("mean_absolute_error")
    return {
        "function": lambda actual, forecast: mae(actual, forecast) / divisor,
        "statistic": _mean(lambda actual, forecast: abs(forecast - actual) / divisor),
    }


def rmspe(actual: "ArrayLike", forecast: "ArrayLike") -> float:
    """Root mean square percentage error as a share: sqrt(mean(((actual - forecast) / actual)^2)).

    Computed over the rows with a target above zero; NaN without such rows.
    """
    import numpy as np

    target, predicted = _above_zero(actual, forecast)
    return float(np.sqrt(np.mean(((target - predicted) / target) ** 2))) if target.size else NAN


def capped(errors: "Floats") -> "Floats":
    """Percentage errors (as shares), clipped to -CAP .. CAP. Used to choose rounds and weights, not by the gate.

    A few rows with a target near zero can cause most of a window's RMSPE; without the cap they would decide the choice
    by chance.
    """
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


def _one_forecast_each(actual: "ArrayLike", forecast: "ArrayLike") -> "tuple[Floats, Floats]":
    """Both as arrays with the same number of rows; a forecast of classes has a second axis."""
    import numpy as np

    target, predicted = np.asarray(actual, dtype=np.float64), np.asarray(forecast, dtype=np.float64)
    if len(target) != len(predicted):
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


def _is_above_minus_one(actual: "Floats") -> "Bools":
    above: Bools = actual > -1
    return above


def _symmetric(actual: "Floats", forecast: "Floats") -> "Floats":
    """The absolute error of each row / the mean of the sizes of target and forecast; 0 where both are 0."""
    import numpy as np

    size = (abs(actual) + abs(forecast)) / 2
    return np.divide(abs(forecast - actual), size, out=np.zeros(len(size)), where=size > 0)


def _log_ratio(actual: "Floats", forecast: "Floats") -> "Floats":
    """The difference of the logarithms of forecast + 1 and target + 1; a forecast below 0 counts as 0."""
    import numpy as np

    return np.log1p(np.maximum(forecast, 0.0)) - np.log1p(actual)


def _of_remaining_life(actual: "Floats", forecast: "Floats") -> "Floats":
    """NASA's asymmetric score of each row: a late forecast (above the target) costs more than an early one.

    exp(-d / 13) - 1 for d < 0, else exp(d / 10) - 1, where d = forecast - target. Source: Saxena et al., "Damage
    propagation modeling for aircraft engine run-to-failure simulation", PHM 2008. The challenge has the sum over rows.
    """
    import numpy as np

    late = forecast - actual
    with np.errstate(over="ignore"):
        return np.asarray(np.expm1(np.where(late < 0, -late / EARLY, late / LATE)))


def _pinball(share: float) -> "Callable[[Floats, Floats], Floats]":
    """The pinball loss of each row for the quantile with this share of the targets below."""

    def loss(actual: "Floats", forecast: "Floats") -> "Floats":
        import numpy as np

        return np.maximum(share * (actual - forecast), (share - 1) * (actual - forecast))

    return loss


def _log_losses(actual: "Floats", forecast: "Floats") -> "Floats":
    """-log of the probability that was forecast for the class of each row."""
    import numpy as np

    if forecast.ndim == 2:
        likelihood = forecast[np.arange(len(actual)), actual.astype(np.int64)]
    else:
        likelihood = np.where(actual == 1, forecast, 1 - forecast)
    return np.asarray(-np.log(np.clip(likelihood, NO_CERTAINTY, 1.0)))


def _classes_of(forecast: "Floats") -> "Floats":
    """The most probable class of each row; of two classes, the positive one from POSITIVE_FROM on."""
    import numpy as np

    chosen = forecast.argmax(axis=1) if forecast.ndim == 2 else forecast >= POSITIVE_FROM
    return np.asarray(chosen, dtype=np.float64)


def _of_classes(name: str, **options: Any) -> "Callable[[Floats, Floats], float]":
    """A function of sklearn.metrics of the classes of the rows."""

    def function(actual: "Floats", forecast: "Floats") -> float:
        import warnings

        from sklearn import metrics

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a class that was forecast need not be among the rows
            return float(getattr(metrics, name)(actual, _classes_of(forecast), **options))

    return function


def _counts_of_classes(actual: "Floats", forecast: "Floats") -> "tuple[Floats, ...]":
    """Terms for each class: whether the row has it, whether it is forecast, and both."""
    import numpy as np

    chosen = _classes_of(forecast)
    count = forecast.shape[1] if forecast.ndim == 2 else 2
    pairs = [(actual == place, chosen == place) for place in range(count)]
    return tuple(np.asarray(term, dtype=np.float64) for has, says in pairs for term in (has, says, has & says))


def _mean_recall(_: Any, *terms: Any) -> Any:
    """The mean over the classes among the rows of the share that is found."""
    return _mean_of_shares([(hit, has) for has, hit in zip(terms[::3], terms[2::3], strict=True)])


def _mean_f1(_: Any, *terms: Any) -> Any:
    """The mean over the classes of F1."""
    return _mean_of_shares([(2 * hit, has + says) for has, says, hit in zip(*[iter(terms)] * 3, strict=True)])


def _mean_of_shares(shares: "list[tuple[Any, Any]]") -> Any:
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.array([np.asarray(part, dtype=np.float64) / whole for part, whole in shares])
        known = np.isfinite(found)
        return np.where(known, found, 0.0).sum(axis=0) / known.sum(axis=0)


def _f1(_: Any, has: Any, says: Any, hit: Any) -> Any:
    return 2 * hit / (has + says)


def _of_ranking(ranking: Ranking) -> "Callable[[Floats, Floats], float]":
    """The score of rows that count once each."""

    def function(actual: "Floats", forecast: "Floats") -> float:
        import numpy as np

        _, place = np.unique(-forecast, return_inverse=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(
                ranking.score(np.bincount(place, actual).astype(np.float64), np.bincount(place).astype(np.float64))
            )

    return function


def _roc_auc(positive: "Floats", rows: "Floats") -> "Floats":
    """The share of the pairs of a positive and a negative row in which the positive one is ranked higher."""
    negative = rows - positive
    above = positive.cumsum(axis=-1) - positive / 2
    share: Floats = (negative * above).sum(axis=-1) / (positive.sum(axis=-1) * negative.sum(axis=-1))
    return share


def _average_precision(positive: "Floats", rows: "Floats") -> "Floats":
    """The mean precision at the ranks of the positive rows."""
    import numpy as np

    counted = rows.cumsum(axis=-1)
    precision = np.divide(positive.cumsum(axis=-1), counted, out=np.zeros_like(counted), where=counted > 0)
    mean: Floats = (positive * precision).sum(axis=-1) / positive.sum(axis=-1)
    return mean


def _found_on_top(positive: "Floats", rows: "Floats", share: float) -> "tuple[Floats, Floats]":
    """The positive rows among the top share of the rows, and the number of these rows.

    Of equal forecasts at the boundary, each row counts in proportion.
    """
    import numpy as np

    top = share * rows.sum(axis=-1, keepdims=True)
    before = rows.cumsum(axis=-1) - rows
    part = np.divide(np.clip(top - before, 0.0, rows), rows, out=np.zeros_like(rows), where=rows > 0)
    return (positive * part).sum(axis=-1), top[..., 0]


def _precision_at(share: float) -> Ranking:
    def score(positive: "Floats", rows: "Floats") -> "Floats":
        found, top = _found_on_top(positive, rows, share)
        return found / top

    return Ranking(score)


def _recall_at(share: float) -> Ranking:
    return Ranking(lambda positive, rows: _found_on_top(positive, rows, share)[0] / positive.sum(axis=-1))


def _ranked(name: str, label: str, ranking: Ranking, widest: float = 1.0) -> Metric:
    """A metric of the order of the probabilities of two classes."""
    return Metric(name, label, "higher", 1.0, True, _of_ranking(ranking), _is_known, ranking, tasks=BINARY,
                  objective="log_loss", widest=widest)  # fmt: skip


def _mean_loss(
    name: str, label: str, losses: "Callable[[Floats, Floats], Floats]", root: bool = False, **options: Any
) -> Metric:
    """A mean of the losses of the rows, or the root of this mean; lower is better."""
    scored = options.pop("scored", _is_known)
    statistic = _mean(losses, root)

    def function(actual: "Floats", forecast: "Floats") -> float:
        return float(losses(actual, forecast).mean() ** (0.5 if root else 1))

    return Metric(name, label, "lower", 0.0, options.pop("relative", True), function, scored, statistic, **options)


_ALL = (
    Metric("rmspe", "RMSPE", "lower", 0.0, True, rmspe, _is_positive,
           _mean(lambda actual, forecast: (forecast / actual - 1) ** 2, root=True), widest=1.0),
    Metric("rmse", "RMSE", "lower", 0.0, False, _of_scikit_learn("root_mean_squared_error"), _is_known,
           _mean(lambda actual, forecast: (forecast - actual) ** 2, root=True)),
    Metric("mae", "MAE", "lower", 0.0, False, _of_scikit_learn("mean_absolute_error"), _is_known,
           _mean(lambda actual, forecast: abs(forecast - actual)), objective="absolute"),
    Metric("mape", "MAPE", "lower", 0.0, True, _of_scikit_learn("mean_absolute_percentage_error"), _is_not_zero,
           _mean(lambda actual, forecast: abs(forecast / actual - 1)), objective="absolute", widest=1.0),
    Metric("wape", "WAPE", "lower", 0.0, True, _wape, _is_known,
           Sums(lambda actual, forecast: (abs(forecast - actual), abs(actual)), lambda _, error, size: error / size),
           objective="absolute", widest=1.0),
    Metric("r2", "R2", "higher", 1.0, True, _r2, _is_known,
           Sums(lambda actual, forecast: ((forecast - actual) ** 2, actual, actual**2),
                lambda rows, error, total, square: 1 - error / (square - total**2 / rows)),
           squared=True, widest=1.0),
    Metric("median_absolute_error", "MedAE", "lower", 0.0, False,
           _of_scikit_learn("median_absolute_error"), _is_known,
           Median(lambda actual, forecast: abs(forecast - actual)), objective="absolute"),
    Metric("mase", "MASE", "lower", 0.0, True, lambda actual, forecast: NAN, _is_known,
           _mean(lambda actual, forecast: (forecast - actual) * NAN), objective="absolute", needs_scale=True),
    _mean_loss("smape", "sMAPE", _symmetric, objective="absolute", widest=2.0),
    _mean_loss("rmsle", "RMSLE", lambda actual, forecast: _log_ratio(actual, forecast) ** 2, root=True,
               scored=_is_above_minus_one),
    _mean_loss("rul_score", "RUL score", _of_remaining_life, relative=False),
    *(
        _mean_loss(f"pinball_{quantile}", f"pinball loss at {quantile} %", _pinball(quantile / 100), relative=False,
                   objective="quantile", level=quantile / 100)
        for quantile in QUANTILES
    ),
    _ranked("roc_auc", "ROC-AUC", Ranking(_roc_auc), widest=0.5),
    _ranked("pr_auc", "PR-AUC", Ranking(_average_precision)),
    _mean_loss("log_loss", "log loss", _log_losses, tasks=CLASSES, objective="log_loss"),
    _mean_loss("brier", "Brier score", lambda actual, forecast: (forecast - actual) ** 2, tasks=BINARY,
               objective="log_loss", squared=True, widest=0.5),
    Metric("accuracy", "accuracy", "higher", 1.0, True, _of_classes("accuracy_score"), _is_known,
           _mean(lambda actual, forecast: (_classes_of(forecast) == actual) * 1.0), tasks=CLASSES,
           objective="log_loss", widest=1.0),
    Metric("balanced_accuracy", "balanced accuracy", "higher", 1.0, True, _of_classes("balanced_accuracy_score"),
           _is_known, Sums(_counts_of_classes, _mean_recall), tasks=CLASSES, objective="log_loss", widest=1.0),
    Metric("f1", "F1", "higher", 1.0, True, _of_classes("f1_score", zero_division=0), _is_known,
           Sums(lambda actual, forecast: _counts_of_classes(actual, forecast)[3:], _f1), tasks=BINARY,
           objective="log_loss", widest=1.0),
    Metric("f1_macro", "macro F1", "higher", 1.0, True, _of_classes("f1_score", average="macro", zero_division=0),
           _is_known, Sums(_counts_of_classes, _mean_f1), tasks=CLASSES, objective="log_loss", widest=1.0),
    *(_ranked(f"precision_at_{share}", f"precision at {share} %", _precision_at(share / 100)) for share in TOP_SHARES),
    *(_ranked(f"recall_at_{share}", f"recall at {share} %", _recall_at(share / 100)) for share in TOP_SHARES),
)  # fmt: skip
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}
