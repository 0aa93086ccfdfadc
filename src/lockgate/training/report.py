"""The report of a training: scores, learning curves, coverage, importances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lockgate.models import conformal
from lockgate.models.booster import Fit
from lockgate.models.loss import Loss
from lockgate.problem import metrics
from lockgate.problem.description import Problem
from lockgate.problem.params import Params
from lockgate.training import permutation_importance
from lockgate.training.folds import Fold
from lockgate.training.selection import Choice

Floats = NDArray[np.float64]

BLEND = "blend"
ALL_FOLDS = "all"
REPORTED_CONFIDENCES = (0.8, 0.95)


@dataclass(frozen=True)
class Score:
    """Scores of a member or of the blend on a fold (fold "all": on all folds together)."""

    member: str
    fold: str  # the first period of the fold's window; the number of the fold without time
    scores: Mapping[str, float]  # by metric
    samples: int
    residual_std: float  # of target minus forecast; NaN for more than two classes


@dataclass(frozen=True)
class Curve:
    """The score of a member on a fold after each round, as its task counts errors; lower is better."""

    member: str
    fold: str
    score: tuple[float, ...]


@dataclass(frozen=True)
class Report:
    """The report of the training of a forecaster."""

    metric: str
    scores: tuple[Score, ...]
    coverage: Mapping[float, float]  # by confidence: share of a fold's targets within bounds of the other folds, or NaN
    curves: tuple[Curve, ...]
    rounds: Mapping[str, int]
    weights: Mapping[str, float]
    importances: Mapping[str, Mapping[str, float]]  # member, feature: share of the gain
    permutation_importances: Mapping[str, float]  # by feature, on the first fold
    training_rows: int
    cpu_seconds: float
    partitions: Mapping[str, int] = field(
        default_factory=dict
    )  # of a training on Dask: workers, partitions, keys, sample_keys, booster_keys, sample_rows


@dataclass(frozen=True)
class FinalFit:
    """The fits on all training rows, and their costs."""

    fits: Mapping[str, Fit]
    training_rows: int
    keys: int
    cpu_seconds: float
    naive_errors: Floats | None  # of each key (models/baselines.naive_errors); None unless a metric needs them


def report_of(folds: Sequence[Fold], choice: Choice, final: FinalFit, params: Params) -> Report:
    """The report of a training with these folds, this choice and this final fit."""
    return Report(
        metric=params.problem.metric,
        scores=scores(folds, choice, final.naive_errors, params.problem),
        coverage={
            confidence: conformal.inner_coverage(choice.residuals, final.keys, confidence)
            for confidence in REPORTED_CONFIDENCES
        },
        curves=tuple(Curve(name, fold.name, fit.curve) for fold in folds for name, fit in fold.fits.items()),
        rounds=choice.rounds,
        weights=choice.weights,
        importances={name: _by_feature(fit, folds[0].window.matrix.names) for name, fit in final.fits.items()},
        permutation_importances=permutation_importance.importances(
            folds[0].members, choice.weights, folds[0].window, Loss.of(params.problem.metric), params.seed
        ),
        training_rows=final.training_rows,
        cpu_seconds=final.cpu_seconds,
    )


def metric_names(problem: Problem) -> tuple[str, ...]:
    """The metrics of a report: the problem's, the preferred ones, and the usual ones of the task."""
    usual = ("mae", "bias") if problem.task == "regression" else ("log_loss",)
    return tuple(dict.fromkeys((problem.metric, *problem.prefer, *usual)))


@dataclass(frozen=True)
class Truth:
    """The target of rows, and the unit of their errors in a metric that needs a scale (None: without such a metric)."""

    actual: Floats
    unit: Floats | None = None


def score_of(member: str, fold: str, truth: Truth, forecast: Floats, names: Sequence[str]) -> Score:
    """The scores of forecasts by these metrics."""
    scores = {name: _score(name, truth, forecast) for name in names if name == "bias" or name in metrics.METRICS}
    actual = truth.actual
    spread = float(np.std(actual - forecast)) if forecast.ndim == 1 and len(actual) else float("nan")
    return Score(member, fold, scores, len(actual), spread)


def _score(name: str, truth: Truth, forecast: Floats) -> float:
    if name == "bias":
        return metrics.bias(truth.actual, forecast)
    metric = metrics.METRICS[name]
    return metric.score_in(truth.unit if metric.needs_scale else None, truth.actual, forecast)


def scores(folds: Sequence[Fold], choice: Choice, naive_errors: Floats | None, problem: Problem) -> tuple[Score, ...]:
    """Each member and the blend on each fold, and on all folds together."""
    parts = [
        (
            fold.name,
            Truth(fold.window.actual, None if naive_errors is None else naive_errors[fold.window.key]),
            np.column_stack([fold.forecasts, choice.blended(fold.forecasts)]),
        )
        for fold in folds
    ]
    units = [truth.unit for _, truth, _ in parts if truth.unit is not None]
    actual = np.concatenate([truth.actual for _, truth, _ in parts])
    whole = Truth(actual, np.concatenate(units) if units else None)
    everything = (ALL_FOLDS, whole, np.concatenate([forecasts for *_, forecasts in parts]))
    return tuple(
        score_of(member, name, truth, forecasts[:, place], metric_names(problem))
        for name, truth, forecasts in (*parts, everything)
        for place, member in enumerate((*choice.weights, BLEND))
    )


def _by_feature(fit: Fit, names: tuple[str, ...]) -> dict[str, float]:
    return dict(zip(names, fit.booster.importances().tolist(), strict=True))
