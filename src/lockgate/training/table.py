"""Trains the forecaster of a plain table or of states: scale, rounds and weights are chosen on inner folds, then each
member learns all rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.engine.engine import Engine, InProcess, silent
from lockgate.errors import BadConfiguration
from lockgate.features.tabular import FeatureMatrix, TabularState
from lockgate.features.tabular_recipes import tabular_recipe
from lockgate.forecaster import typed_rows
from lockgate.forecaster.table import Blend, TableForecaster, learned, weighted
from lockgate.models import level_conformal, level_shift, probability_calibration
from lockgate.models.blend import fit_loss_weights
from lockgate.models.booster import Budget, Fit, Task
from lockgate.models.level_conformal import LevelCalibration
from lockgate.models.level_shift import NO_SHIFT, LevelShift
from lockgate.models.loss import Loss
from lockgate.models.members import TABLE_MEMBERS
from lockgate.models.probability_calibration import ProbabilityMap
from lockgate.models.table_task import Objective, feature_target
from lockgate.models.target_scale import possible
from lockgate.problem.description import Problem
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import Params
from lockgate.problem.target_values import classes_of, target_values
from lockgate.training.fitting import BOOSTERS, Progress, Steps
from lockgate.training.report import Report
from lockgate.training.table_folds import fold_of_rows
from lockgate.training.table_report import TableResult, report_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Rounds of a booster where params.yaml has no training.max_rounds: with early stopping, seldom all of them.
MAX_ROUNDS, PATIENCE = 1000, 40
SHRINKAGE = 0.02  # of the weights, where params.yaml has no training.weight_shrinkage
SMALL = 1_000_000  # values of a matrix, up to which one thread is as fast as several
FEWEST_IN_LEAF, MOST_IN_LEAF = 3, 40
ROWS_FOR_EACH_IN_LEAF = 300
IN_PROCESS = InProcess()
SLOW_ON_STATES = "random_forest"  # their matrix is wide: a member of a state only if it is named


@dataclass(frozen=True)
class Data:
    """The rows to learn, typed, their target as numbers, and the fold in which each is scored."""

    problem: Problem
    rows: pd.DataFrame
    target: Floats
    classes: tuple[str, ...]
    fold: Ints


@dataclass(frozen=True)
class Part:
    """One inner fold: the matrices of its training rows and of its scored rows, with their targets."""

    train: FeatureMatrix
    train_target: Floats
    score: FeatureMatrix
    score_target: Floats
    scored: Ints  # places of the scored rows


@dataclass(frozen=True)
class Session:
    """The objective, the params and the progress that all fits of one training share."""

    objective: Objective
    params: Params
    steps: Steps

    def watched(self, name: str, part: Part) -> Fit:
        """A member that is scored after each round, and may stop early."""
        score = self.objective.task(part.score.values, part.score_target)
        return self._fit(name, _limit(self.params), part, score)

    def fitted(self, name: str, rounds: int, part: Part) -> Fit:
        """A member with this number of rounds."""
        return self._fit(name, rounds, part, None)

    def on_folds(self, names: Sequence[str], parts: Sequence[Part]) -> dict[tuple[str, int], Fit]:
        """Each member on each fold, by its name and the number of the fold."""
        fits = {}
        for name in names:
            for number, part in enumerate(parts):
                self.steps.next(f"{name}, fold {number + 1}")
                fits[name, number] = self.watched(name, part)
        return fits

    def on_all_rows(self, rounds: Mapping[str, int], part: Part) -> dict[str, Fit]:
        """Each member with its number of rounds on all rows."""
        fits = {}
        for name, count in rounds.items():
            self.steps.next(f"{name}, {len(part.train_target)} rows")
            fits[name] = self.fitted(name, count, part)
        return fits

    def _fit(self, name: str, rounds: int, part: Part, score: Task | None) -> Fit:
        params = self.params
        threads = 1 if part.train.values.size < SMALL else params.threads
        budget = Budget(rounds, _patience(params), params.seed, threads)
        learn = self.objective.task(part.train.values, part.train_target)
        return TABLE_MEMBERS[name].fit(_settings(name, len(part.train_target), params), learn, score, budget)


@dataclass(frozen=True)
class EngineSession(Session):
    """A session whose fits are tasks of an engine."""

    engine: Engine

    def on_folds(self, names: Sequence[str], parts: Sequence[Part]) -> dict[tuple[str, int], Fit]:
        places = [(name, number) for name in names for number in range(len(parts))]
        fits = self._run(_watched, places, "members on the inner folds", parts)
        return dict(zip(places, fits, strict=True))

    def on_all_rows(self, rounds: Mapping[str, int], part: Part) -> dict[str, Fit]:
        fits = self._run(_fitted, list(rounds.items()), "members on all rows", part)
        return dict(zip(rounds, fits, strict=True))

    def _run(self, fit: Callable[..., Fit], items: Sequence[tuple[str, int]], name: str, data: Any) -> list[Fit]:
        plain = Session(self.objective, self.params, Steps(silent, 0))
        return self.engine.map(
            fit,
            items,
            name,
            shared=(self.engine.scatter(data), plain),
            progress=lambda _, done, total: self.steps.next(f"{name}: {done} of {total}"),
        )


def _session(objective: Objective, params: Params, steps: Steps, engine: Engine) -> Session:
    if isinstance(engine, InProcess):
        return Session(objective, params, steps)
    return EngineSession(objective, params, steps, engine)


def _watched(place: tuple[str, int], parts: Sequence[Part], session: Session) -> Fit:
    name, number = place
    return session.watched(name, parts[number])


def _fitted(chosen: tuple[str, int], part: Part, session: Session) -> Fit:
    name, rounds = chosen
    return session.fitted(name, rounds, part)


@dataclass(frozen=True)
class Chosen:
    """What the folds choose: rounds of each member, weights, and the forecasts of the rows in their fold."""

    objective: Objective
    rounds: Mapping[str, int]
    weights: Mapping[str, float]
    members: Floats  # (rows, members), or (rows, classes, members)
    curves: Mapping[tuple[str, int], tuple[float, ...]]  # by member and fold


def train(rows: pd.DataFrame, params: Params, progress: Progress, engine: Engine) -> tuple[TableForecaster, Report]:
    """Fit a forecaster on rows (a frame as `prepare` writes it; a table has no static features).

    Rows without a target are not learned. Raises BadData for too few rows or a single class. The same rows, params and
    thread count give the same forecaster, on every engine.
    """
    started, names = process_time(), member_names(params.problem)
    data = data_of(params.problem, rows, params.seed)
    steps = Steps(progress, 2 + len(names) * (int(data.fold.max() + 1) + 1))
    steps.next(f"features of {len(data.target)} rows")
    parts = [part_of(data, number, params.seed) for number in range(int(data.fold.max()) + 1)]
    session = _session(objective_of(data, parts, names[0], params, engine), params, steps, engine)
    chosen = choose(data, parts, names, session)
    state, fits = _final(data, chosen.rounds, session)
    calibration, forecasts, shift = calibrated(data, chosen)
    boosters = {name: fit.booster for name, fit in fits.items()}
    blend = Blend(boosters, chosen.weights, chosen.objective.scale, shift)
    steps.next("done")
    forecaster = TableForecaster(params.problem, data.classes, state, blend, calibration)
    result = TableResult(
        data.target, data.fold, chosen.members, forecasts, chosen.weights, chosen.rounds, chosen.curves, fits
    )
    return forecaster, report_of(result, forecaster, process_time() - started)


def member_names(problem: Problem) -> tuple[str, ...]:
    """The members of the description, all of TABLE_MEMBERS without any; raises BadConfiguration for an unknown one."""
    for name in problem.members:
        if name not in TABLE_MEMBERS:
            raise BadConfiguration(
                f"problem.members names {name}", where="params.yaml", hint=f"members: {', '.join(TABLE_MEMBERS)}"
            )
    known = tuple(TABLE_MEMBERS)
    if METRICS[problem.metric].objective == "quantile":
        known = BOOSTERS
        _refuse_mean_members(problem)
    usual = [name for name in known if problem.kind != "state" or name != SLOW_ON_STATES]
    return tuple(name for name in known if name in (problem.members or usual))


def _refuse_mean_members(problem: Problem) -> None:
    """Raise BadConfiguration for a named member that forecasts a mean, where the metric is that of a quantile."""
    for name in problem.members:
        if name not in BOOSTERS:
            raise BadConfiguration(
                f"member {name} forecasts a mean, and metric {problem.metric} needs a quantile",
                where="params.yaml",
                hint=f"problem.members: {', '.join(BOOSTERS)}",
            )


def data_of(problem: Problem, rows: pd.DataFrame, seed: int) -> Data:
    """The rows to learn, with their folds. Raises BadData for too few rows or a single class."""
    classes = classes_of(problem, rows[problem.target])
    target = target_values(problem, rows[problem.target], classes)
    kept = np.isfinite(target) & learned(problem, rows)
    rows, target = rows.loc[kept].reset_index(drop=True), target[kept]
    fold = fold_of_rows(problem, rows, target, seed)
    return Data(problem, typed_rows.typed(problem, rows), target, classes, fold)


def part_of(data: Data, number: int, seed: int) -> Part:
    """One inner fold, with features that only its training rows have fitted."""
    train, score = np.flatnonzero(data.fold != number), np.flatnonzero(data.fold == number)
    found = _fit_features(data, train, seed)
    matrix = found[0].transform(data.rows.iloc[score].reset_index(drop=True))
    return Part(found[1], data.target[train], matrix, data.target[score], score)


def _fit_features(data: Data, which: Ints, seed: int) -> tuple[TabularState, FeatureMatrix]:
    """The state of some rows, and their matrix; the features learn the target in the scale that suits its spread."""
    target = data.target[which]
    outputs = feature_target(target, len(data.classes))
    learned_features = tabular_recipe(data.problem).fit(
        data.problem, data.rows.iloc[which].reset_index(drop=True), outputs, seed
    )
    return learned_features.state, learned_features.matrix


def choose(data: Data, parts: list[Part], names: tuple[str, ...], session: Session) -> Chosen:
    """Choose the rounds of each member by its curves, and the weights."""
    rounds: dict[str, int] = {}
    fits = session.on_folds(names, parts)
    members = []
    for name in names:
        own = [fits[name, number] for number in range(len(parts))]
        rounds[name] = best_round([fit.curve for fit in own])
        members.append(_forecasts(rounds[name], list(zip(parts, own, strict=True)), session))
    curves = {place: fit.curve for place, fit in fits.items()}
    forecasts = np.stack(members, axis=-1)
    weights = _weights(data, forecasts, names, session)
    return Chosen(session.objective, rounds, weights, forecasts, curves)


def best_round(curves: list[tuple[float, ...]]) -> int:
    """The round with the least mean score over the folds; a fold that stopped early keeps its last score."""
    longest = max(len(curve) for curve in curves)
    padded = [np.pad(curve, (0, longest - len(curve)), mode="edge") for curve in curves]
    return int(np.argmin(np.mean(padded, axis=0))) + 1


def objective_of(data: Data, parts: list[Part], first: str, params: Params, engine: Engine = IN_PROCESS) -> Objective:
    """The objective of the metric, in the scale in which the first member errs least on two folds."""
    loss = Loss.of(params.problem.metric)
    if data.classes:
        return Objective(loss, "identity", len(data.classes))
    candidates = [Objective(loss, scale) for scale in possible(data.target)]
    if len(candidates) == 1:
        return candidates[0]
    sessions = [_session(each, params, Steps(silent, 0), engine) for each in candidates]
    fits = [each.on_folds((first,), parts[:2]).values() for each in sessions]
    scores = [np.mean([min(fit.curve) for fit in of_scale]) for of_scale in fits]
    return candidates[int(np.argmin(scores))]


def _forecasts(rounds: int, parts: list[tuple[Part, Fit]], session: Session) -> Floats:
    """The forecasts of all rows, each by the member of its fold after these rounds, or after all that the fold has."""
    pieces = []
    for part, fit in parts:
        booster = fit.after(min(rounds, len(fit.curve)))
        pieces.append(session.objective.forecast(booster.raw(part.score.values, session.params.threads)))
    return np.concatenate(pieces)[np.argsort(np.concatenate([part.scored for part, _ in parts]))]


def _weights(data: Data, forecasts: Floats, names: tuple[str, ...], session: Session) -> dict[str, float]:
    """Non-negative weights with the least error, or the best single member where the metric prefers it."""
    shares, params = np.full(len(names), 1 / len(names)), session.params
    errors = session.objective.errors(data.target, forecasts)
    quantile = session.objective.loss.quantile
    blended = fit_loss_weights([errors], _shrinkage(params), shares, quantile)
    candidates = [blended, *np.eye(len(names))]
    metrics = params.problem.prefer or (params.problem.metric,)
    best = min(candidates, key=lambda weights: _rank(data.target, forecasts @ weights, metrics))
    return dict(zip(names, best.tolist(), strict=True))


def _rank(target: Floats, forecast: Floats, metrics: tuple[str, ...]) -> tuple[float, ...]:
    """Sizes of the errors by these metrics, the first preferred; NaN is last."""
    sizes = [METRICS[name].error(METRICS[name].score(target, forecast)) for name in metrics]
    return tuple(np.nan_to_num(sizes, nan=np.inf))


def _final(data: Data, rounds: Mapping[str, int], session: Session) -> tuple[TabularState, dict[str, Fit]]:
    """The features and the members, fitted on all rows."""
    everything = np.arange(len(data.target))
    state, matrix = _fit_features(data, everything, session.params.seed)
    part = Part(matrix, data.target, matrix, data.target, everything)
    return state, session.on_all_rows(rounds, part)


def calibrated(data: Data, chosen: Chosen) -> tuple[LevelCalibration | ProbabilityMap, Floats, LevelShift]:
    """The calibration by the forecasts out of fold; these forecasts, calibrated by the other folds; and their shift."""
    forecasts, objective, shift = weighted(chosen.weights, chosen.members), chosen.objective, NO_SHIFT
    if data.classes:
        found = probability_calibration.calibrate(data.target, forecasts, data.fold)
        return found.map, found.out_of_fold, shift
    if objective.scale == "log":
        shifted = level_shift.fit(data.target, forecasts, data.fold, METRICS[data.problem.metric])
        forecasts, shift = shifted.out_of_fold, shifted.shift
    return level_conformal.calibrate(data.target, forecasts, objective.scale), forecasts, shift


def _settings(name: str, rows: int, params: Params) -> object:
    """The settings of a booster, with min_rows_in_leaf by the number of rows where it is open; None for others."""
    settings: Any = getattr(params.members, name, None)
    if settings is None or getattr(settings, "min_rows_in_leaf", 1) > 0:
        return settings
    least = min(max(rows // ROWS_FOR_EACH_IN_LEAF, FEWEST_IN_LEAF), MOST_IN_LEAF)
    return settings.model_copy(update={"min_rows_in_leaf": least})


def _limit(params: Params) -> int:
    return params.training.max_rounds if "max_rounds" in params.training.model_fields_set else MAX_ROUNDS


def _patience(params: Params) -> int:
    return params.training.patience if "patience" in params.training.model_fields_set else PATIENCE


def _shrinkage(params: Params) -> float:
    return params.training.weight_shrinkage if "weight_shrinkage" in params.training.model_fields_set else SHRINKAGE
