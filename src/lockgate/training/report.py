"""The report of a training: scores, learning curves, coverage, importances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lockgate.models import conformal
from lockgate.models.booster import Fit
from lockgate.models.loss import Loss
from lockgate.problem import metrics
from lockgate.problem.params import Params
from lockgate.training import permutation_importance
from lockgate.training.folds import Fold
from lockgate.training.selection import Choice

BLEND = "blend"
ALL_FOLDS = "all"
REPORTED_CONFIDENCES = (0.8, 0.95)


@dataclass(frozen=True)
class Score:
    """Errors of a member or of the blend on a fold (fold "all": on all folds together)."""

    member: str
    fold: str  # the first day of the fold's window
    rmspe: float
    mae: float
    bias: float


@dataclass(frozen=True)
class Curve:
    """Capped RMSPE (metrics.capped_rmspe) of a booster on a fold after each round."""

    member: str
    fold: str
    capped_rmspe: tuple[float, ...]


@dataclass(frozen=True)
class Report:
    """The report of the training of a forecaster."""

    scores: tuple[Score, ...]
    coverage: Mapping[float, float]  # by confidence: share of a fold's sales within bounds of the other folds, or NaN
    curves: tuple[Curve, ...]
    rounds: Mapping[str, int]
    weights: Mapping[str, float]
    importances: Mapping[str, Mapping[str, float]]  # member, feature: share of the gain
    permutation_importances: Mapping[str, float]  # by feature, on the first fold
    training_rows: int
    cpu_seconds: float


@dataclass(frozen=True)
class FinalFit:
    """The fits on all training rows, and their costs."""

    fits: Mapping[str, Fit]
    training_rows: int
    keys: int
    cpu_seconds: float


def report_of(folds: Sequence[Fold], choice: Choice, final: FinalFit, params: Params) -> Report:
    """The report of a training with these folds, this choice and this final fit."""
    return Report(
        scores=_scores(folds, choice),
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


def _scores(folds: Sequence[Fold], choice: Choice) -> tuple[Score, ...]:
    """Each member and the blend on each fold, and on all folds together."""
    parts = [
        (
            fold.name,
            fold.window.actual,
            np.column_stack([fold.forecasts, choice.blended(fold.forecasts)]),
        )
        for fold in folds
    ]
    everything = (ALL_FOLDS, np.concatenate([part[1] for part in parts]), np.concatenate([part[2] for part in parts]))
    mae = metrics.METRICS["mae"].score
    return tuple(
        Score(member, name, *(score(sold, forecasts[:, place]) for score in (metrics.rmspe, mae, metrics.bias)))
        for name, sold, forecasts in (*parts, everything)
        for place, member in enumerate((*choice.weights, BLEND))
    )


def _by_feature(fit: Fit, names: tuple[str, ...]) -> dict[str, float]:
    return dict(zip(names, fit.booster.importances().tolist(), strict=True))
