"""The report of the training of a plain table or of states."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.forecaster.table import TableForecaster
from lockgate.models import level_conformal
from lockgate.models.booster import Fit
from lockgate.training.report import (
    ALL_FOLDS,
    BLEND,
    REPORTED_CONFIDENCES,
    Curve,
    Report,
    Score,
    Truth,
    metric_names,
    score_of,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TableResult:
    """What a training has found: forecasts of the rows in their folds, weights, rounds, curves and the final fits."""

    target: Floats
    fold: NDArray[np.int64]
    members: Floats  # the last axis are the members
    forecasts: Floats  # of the blend, calibrated by the other folds
    weights: Mapping[str, float]
    rounds: Mapping[str, int]
    curves: Mapping[tuple[str, int], tuple[float, ...]]
    fits: Mapping[str, Fit]


def report_of(result: TableResult, forecaster: TableForecaster, cpu_seconds: float) -> Report:
    """The report of a training; its features are ranked by the weighted gains of the members."""
    importances = {
        name: dict(zip(forecaster.state.names, fit.booster.importances().tolist(), strict=True))
        for name, fit in result.fits.items()
    }
    return Report(
        metric=forecaster.problem.metric,
        scores=_scores(result, metric_names(forecaster.problem)),
        coverage=_coverage(result, forecaster),
        curves=tuple(Curve(name, str(number + 1), curve) for (name, number), curve in result.curves.items()),
        rounds=result.rounds,
        weights=result.weights,
        importances=importances,
        permutation_importances={},
        training_rows=len(result.target),
        cpu_seconds=cpu_seconds,
    )


def _scores(result: TableResult, names: tuple[str, ...]) -> tuple[Score, ...]:
    """Each member and the blend on each fold, and on all folds together."""
    everything = np.ones(len(result.target), dtype=np.bool_)
    parts = [(str(number + 1), result.fold == number) for number in range(int(result.fold.max()) + 1)]
    return tuple(
        score_of(member, fold, Truth(result.target[rows]), forecast[rows], names)
        for fold, rows in (*parts, (ALL_FOLDS, everything))
        for member, forecast in _forecasts(result)
    )


def _forecasts(result: TableResult) -> list[tuple[str, Floats]]:
    members = [(name, result.members[..., place]) for place, name in enumerate(result.weights)]
    return [*members, (BLEND, result.forecasts)]


def _coverage(result: TableResult, forecaster: TableForecaster) -> dict[float, float]:
    if forecaster.classes:
        return {}
    return {
        confidence: level_conformal.coverage(
            result.target, result.forecasts, result.fold, forecaster.blend.scale, confidence
        )
        for confidence in REPORTED_CONFIDENCES
    }
