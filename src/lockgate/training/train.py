"""Fits a forecaster. Rounds and weights come from inner time folds, then each member learns all rows once more.

The training rows stand where the rows to be forecast will stand (see blocks). Nothing after the last row given is ever
used.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import process_time

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.errors import BadData
from lockgate.features.known_inputs import store_attributes
from lockgate.features.matrix import FEATURES
from lockgate.features.panel import Panel, panel
from lockgate.features.training_rows import TrainingRows, cutoffs, join, rows_after, states_at, training_target
from lockgate.forecaster.ensemble import RIDGE, Forecaster, Member
from lockgate.models import blend, catboost, conformal, lightgbm, xgboost
from lockgate.models.booster import Budget, Fit, Task
from lockgate.models.conformal import Residuals
from lockgate.problem import metrics
from lockgate.problem.params import BoosterParams, Params
from lockgate.training import permutation_importance

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]  # what comes next, steps done, steps in all

BOOSTERS: Mapping[str, Callable[..., Fit]] = {
    "lightgbm": lightgbm.fit,
    "xgboost": xgboost.fit,
    "catboost": catboost.fit,
}
BOOSTER_SHARE = 3.0  # what a booster counts beside the ridge, from which it starts, unless the folds say otherwise
BLEND = "blend"
ALL_FOLDS = "all"
LEAST_TRAINING_BLOCKS = 2
REPORTED_CONFIDENCES = (0.8, 0.95)


@dataclass(frozen=True)
class Score:
    """How a member, or the blend, did on a fold (on all of them together: fold "all")."""

    member: str
    fold: str  # the first day of the fold's window
    rmspe: float
    mae: float
    bias: float


@dataclass(frozen=True)
class Curve:
    """Capped RMSPE (metrics.capped_rmspe) on a fold after each round of a booster."""

    member: str
    fold: str
    capped_rmspe: tuple[float, ...]


@dataclass(frozen=True)
class Report:
    """How the forecaster came to be."""

    scores: tuple[Score, ...]
    coverage: Mapping[float, float]  # confidence: share of a fold's sales within what the others say; NaN of one fold
    curves: tuple[Curve, ...]
    rounds: Mapping[str, int]
    weights: Mapping[str, float]
    importances: Mapping[str, Mapping[str, float]]  # member, feature: share
    permutation_importances: Mapping[str, float]  # feature: permutation importance on the first fold
    training_rows: int
    cpu_seconds: float


@dataclass(frozen=True)
class Fold:
    """One inner fold: what the boosters learned before its window, and the window they were scored on."""

    name: str  # first day of the window
    known_days: int
    window: TrainingRows
    fits: Mapping[str, Fit]


class Steps:
    """Counts the parts of a training for whoever watches."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def next(self, name: str) -> None:
        """Say what comes next."""
        self._progress(name, self._done, self._total)
        self._done += 1


@dataclass(frozen=True)
class Session:
    """What all parts of one training share."""

    history: Panel
    params: Params
    steps: Steps
    blocks: Mapping[int, TrainingRows]  # by origin

    def taught(self, last: int) -> TrainingRows:
        """What a booster is shown of the days up to `last`: the blocks of all cutoff_shifts."""
        return join([self.blocks[origin] for origin in training_cutoffs(self.history, last, self.params)])


def train(rows: pd.DataFrame, stores: pd.DataFrame, params: Params, progress: Progress) -> tuple[Forecaster, Report]:
    """Fit a forecaster on rows and stores (frames as `prepare` writes them).

    Folds that the history is too short for are left out; BadData if none is left. The same rows, params and thread
    count give the same forecaster.
    """
    started, horizon = process_time(), params.split.holdout_days
    attributes = store_attributes(stores)
    history = panel(rows, attributes.store_ids)
    ends = fold_ends(history, params)
    steps = Steps(progress, 1 + (len(ends) + 1) * len(BOOSTERS))
    steps.next("features")
    wanted = {
        origin
        for last in (history.last, *ends)
        for origin in (*training_cutoffs(history, last, params), last - horizon)
    }
    seen = states_at(history, {*wanted, history.last}, attributes, horizon)
    session = Session(
        history,
        params,
        steps,
        {origin: rows_after(history, seen[origin], attributes, horizon) for origin in sorted(wanted)},
    )
    folds = [_fold(end, session) for end in ends]
    fewest = params.training.patience
    rounds = {name: best_round([fold.fits[name].curve for fold in folds], fewest) for name in BOOSTERS}
    forecasts = [_forecasts(fold, params) for fold in folds]
    weights = _weights(folds, forecasts, params)
    residuals = _misses(folds, forecasts, weights)
    taught = session.taught(history.last)
    fits = learn(rounds, taught, session)
    steps.next("done")
    members = {name: _member(name, fit, params) for name, fit in fits.items()}
    stores = len(attributes.store_ids)
    calibration = conformal.calibrate(residuals, stores)
    forecaster = Forecaster(horizon, attributes, seen[history.last], members, weights, calibration)
    report = Report(
        scores=_scores(folds, forecasts, weights),
        coverage={share: conformal.inner_coverage(residuals, stores, share) for share in REPORTED_CONFIDENCES},
        curves=tuple(Curve(name, fold.name, fit.curve) for fold in folds for name, fit in fold.fits.items()),
        rounds=rounds,
        weights=weights,
        importances={name: _named(fit) for name, fit in fits.items()},
        permutation_importances=_permutation_importances(folds[0], weights, params),
        training_rows=len(taught.log_sales),
        cpu_seconds=process_time() - started,
    )
    return forecaster, report


def fold_ends(history: Panel, params: Params) -> list[int]:
    """Last day of each inner fold that leaves enough history to learn from, in the order of the params."""
    shortest = _shortest_before_window(params) + params.split.holdout_days
    ends = [history.last - back for back in params.training.fold_ends_days_ago]
    possible = [end for end in ends if end - history.first + 1 >= shortest]
    if not possible:
        raise BadData(
            f"{history.last - history.first + 1} days of history are too few",
            where="training needs an inner fold",
            hint=f"{shortest_history(params)} are enough; or lower training.min_history_days",
        )
    return possible


def shortest_history(params: Params) -> int:
    """Days of history that a training needs at least: an inner fold's window, and what it takes to learn before it."""
    return _shortest_before_window(params) + params.split.holdout_days + min(params.training.fold_ends_days_ago)


def _shortest_before_window(params: Params) -> int:
    return params.training.min_history_days + LEAST_TRAINING_BLOCKS * params.split.holdout_days


def training_cutoffs(history: Panel, last: int, params: Params) -> list[int]:
    """Origins of the blocks that a booster learns when `last` is the last day it may know; the oldest first."""
    horizon, oldest = params.split.holdout_days, params.training.min_history_days
    return sorted(
        origin for shift in params.training.cutoff_shifts for origin in cutoffs(history, last - shift, horizon, oldest)
    )


def best_round(curves: Sequence[Sequence[float]], fewest: int) -> int:
    """The number of rounds, at least `fewest`, with the least median score over the folds, relative to each one's best.

    The median, since the days around Christmas and New Year ask for few rounds whatever the rest of the year asks for;
    and a floor, since a few rounds too many cost little and a booster that has learned nothing costs much. A fold that
    stopped early keeps its last value.
    """
    longest = max(len(curve) for curve in curves)
    relative = [np.asarray(curve) / min(curve) for curve in curves]
    padded = [np.pad(curve, (0, longest - len(curve)), mode="edge") for curve in relative]
    start = min(fewest, longest) - 1
    return start + int(np.argmin(np.median(padded, axis=0)[start:])) + 1


def learn(rounds: Mapping[str, int], taught: TrainingRows, session: Session) -> dict[str, Fit]:
    """Each booster, after so many rounds over these rows."""
    return {name: _fit(name, rounds[name], taught, None, session) for name in BOOSTERS}


def _fold(end: int, session: Session) -> Fold:
    """Learn what is known a horizon before `end`, and score on the window that ends there."""
    known = end - session.params.split.holdout_days
    taught, window = session.taught(known), session.blocks[known]
    limit = session.params.training.max_rounds
    fits = {name: _fit(name, limit, taught, window, session) for name in BOOSTERS}
    return Fold(str(np.datetime64(known + 1, "D")), known - session.history.first + 1, window, fits)


def _fit(name: str, rounds: int, taught: TrainingRows, window: TrainingRows | None, session: Session) -> Fit:
    session.steps.next(f"{name}, {len(taught.log_sales)} rows")
    params = session.params
    settings = getattr(params.members, name)
    budget = Budget(rounds, params.training.patience, params.seed, params.threads)
    score = None if window is None else _task(settings, window)
    rows = training_target(taught, remove_daily_residual=settings.remove_daily_residual)
    return BOOSTERS[name](settings, _task(settings, rows), score, budget)


def _task(settings: BoosterParams, rows: TrainingRows) -> Task:
    return Task(rows.matrix.values, rows.log_sales, rows.matrix.offset(settings.offset), settings.target)


def _member(name: str, fit: Fit, params: Params) -> Member:
    settings = getattr(params.members, name)
    return Member(fit.booster, settings.offset, settings.target)


def _forecasts(fold: Fold, params: Params) -> Floats:
    """Sales by each member on a fold's window, (rows, members)."""
    matrix = fold.window.matrix
    members = [_member(name, fit, params) for name, fit in fold.fits.items()]
    return np.column_stack([*(member.forecast(matrix, params.threads) for member in members), np.exp(matrix.ridge)])


def _weights(folds: Sequence[Fold], forecasts: Sequence[Floats], params: Params) -> dict[str, float]:
    ratios = [given / np.exp(fold.window.log_sales)[:, None] for fold, given in zip(folds, forecasts, strict=True)]
    shares = np.array([*(BOOSTER_SHARE for _ in BOOSTERS), 1.0])
    weights = blend.fit_weights(ratios, params.training.weight_shrinkage, shares / shares.sum())
    return dict(zip((*BOOSTERS, RIDGE), weights.tolist(), strict=True))


def _blend(forecasts: Floats, weights: Mapping[str, float]) -> Floats:
    return blend.blend(forecasts, np.array(list(weights.values())))


def _misses(folds: Sequence[Fold], forecasts: Sequence[Floats], weights: Mapping[str, float]) -> list[Residuals]:
    """What the blend missed on each fold."""
    return [
        Residuals(fold.window.store, fold.window.log_sales - np.log(_blend(given, weights)), fold.known_days)
        for fold, given in zip(folds, forecasts, strict=True)
    ]


def _scores(folds: Sequence[Fold], forecasts: Sequence[Floats], weights: Mapping[str, float]) -> tuple[Score, ...]:
    """Each member and the blend on each fold, and on all folds together."""
    parts = []
    for fold, given in zip(folds, forecasts, strict=True):
        blended = _blend(given, weights)
        parts.append((fold.name, np.exp(fold.window.log_sales), np.column_stack([given, blended])))
    everything = (ALL_FOLDS, np.concatenate([part[1] for part in parts]), np.concatenate([part[2] for part in parts]))
    return tuple(
        Score(member, name, *(score(sold, found[:, place]) for score in (metrics.rmspe, metrics.mae, metrics.bias)))
        for name, sold, found in (*parts, everything)
        for place, member in enumerate((*weights, BLEND))
    )


def _permutation_importances(fold: Fold, weights: Mapping[str, float], params: Params) -> dict[str, float]:
    members = {name: _member(name, fit, params) for name, fit in fold.fits.items()}
    return permutation_importance.importances(members, weights, fold.window, params.seed)


def _named(fit: Fit) -> dict[str, float]:
    return dict(zip(FEATURES, fit.booster.importances().tolist(), strict=True))
