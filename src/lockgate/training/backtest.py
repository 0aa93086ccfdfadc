"""Backtest of a panel: train at several cutoffs and score each forecaster on the horizon after its cutoff.

Rounds and weights are chosen again at each cutoff, from the periods up to it. The holdout is never used.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.engine.engine import Engine, Progress
from lockgate.errors import BadData
from lockgate.evaluation import bootstrap
from lockgate.forecaster.ensemble import Forecaster
from lockgate.models import baselines
from lockgate.models.conformal import coverage
from lockgate.problem.description import Problem
from lockgate.problem.metrics import METRICS, bias
from lockgate.problem.params import Params
from lockgate.problem.target_values import outside_where, target_values
from lockgate.training import panel
from lockgate.training.folds import shortest_history
from lockgate.training.report import BLEND

Floats = NDArray[np.float64]
STEP = "trainings at earlier cutoffs"

COVERAGES = ("coverage_80", "coverage_95")


@dataclass(frozen=True)
class Plan:
    """The number of cutoffs and the periods between them; the last window ends with the data."""

    origins: int
    apart: int


@dataclass(frozen=True)
class WindowScore:
    """Scores of one forecast on the window after one cutoff; `low` and `high` are the 95 % interval of `score`."""

    origin: str  # the cutoff: the last period used in training
    forecast: str  # a member, the blend, or a baseline
    rows: int
    metric: str  # name of the metric of `score`
    score: float
    low: float
    high: float
    mae: float
    bias: float
    coverage_80: float | None = None  # of the blend: the share of targets within its bounds, which should be 0.80
    coverage_95: float | None = None


def backtest(  # noqa: PLR0913 - the data, what to do with them, where, and whom to tell
    rows: pd.DataFrame, static: pd.DataFrame, params: Params, plan: Plan, engine: Engine, progress: Progress
) -> tuple[WindowScore, ...]:
    """Scores of the blend, its members and the naive baseline at each cutoff, the latest cutoff first.

    `rows` are the training rows of a panel, without the holdout. Each cutoff is a task of the engine. Raises BadData if
    the history is too short for a training at the earliest cutoff. Rows of keys that begin after a cutoff are not
    scored there.
    """
    cutoffs = _cutoffs(rows, params, plan)
    progress(STEP, 0, plan.origins)
    shared = engine.scatter(rows), engine.scatter(static), params
    marks = engine.map(_at_cutoff, cutoffs, STEP, shared=shared, progress=progress)
    return tuple(mark for of_cutoff in marks for mark in of_cutoff)


def _at_cutoff(last: int, rows: pd.DataFrame, static: pd.DataFrame, params: Params) -> list[WindowScore]:
    """Train on the rows up to the period `last`, and score the window after it."""
    problem = params.problem
    known, window = _parts(rows, last, problem)
    forecaster, _ = panel.train(known, static, params, lambda *_: None)
    window = _of_known_keys(forecaster, window, problem)
    unit = baselines.units_of(problem, METRICS[problem.metric], known, window)
    forecasts = _forecasts(forecaster, known, window, problem)
    blend, *others = _marks(problem.period.text(last), window, forecasts, unit, params)
    return [_covered(blend, forecaster, window, problem), *others]


def means(marks: tuple[WindowScore, ...]) -> dict[str, dict[str, float]]:
    """For each forecast: the mean and the worst score over the cutoffs, and the means of the other scores."""
    by_forecast: dict[str, dict[str, float]] = {}
    for forecast in dict.fromkeys(mark.forecast for mark in marks):
        own = [mark for mark in marks if mark.forecast == forecast]
        by_forecast[forecast] = {
            "score": float(np.mean([mark.score for mark in own])),
            "worst_score": max(own, key=lambda mark: METRICS[mark.metric].error(mark.score)).score,
            "mae": float(np.mean([mark.mae for mark in own])),
            "bias": float(np.mean([mark.bias for mark in own])),
        }
        if forecast == BLEND:
            by_forecast[forecast] |= {name: float(np.mean([getattr(mark, name) for mark in own])) for name in COVERAGES}
    return by_forecast


def _cutoffs(rows: pd.DataFrame, params: Params, plan: Plan) -> list[int]:
    period, times = params.problem.period, _periods(params.problem, rows)
    first, newest = int(times.min()), int(times.max()) - params.horizon
    cutoffs = [newest - plan.apart * place for place in range(plan.origins)]
    needed = shortest_history(params)
    if cutoffs[-1] - first + 1 < needed:
        room = max((newest - first + 1 - needed) // plan.apart + 1, 0)
        raise BadData(
            f"the earliest of {plan.origins} origins leaves too short a history",
            where=f"{period.text(first)} .. {period.text(cutoffs[-1])}",
            hint=f"--origins: at most {room} that are {period.plural(plan.apart)} apart",
        )
    return cutoffs


def _periods(problem: Problem, rows: pd.DataFrame) -> "NDArray[np.int64]":
    return problem.period.number(rows[problem.time_name].to_numpy())


def _parts(rows: pd.DataFrame, last: int, problem: Problem) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows up to the period `last`, and the rows of the window after it that are scored."""
    times = _periods(problem, rows)
    window = rows[(times > last) & (times <= last + (problem.horizon or 0))]
    counts = METRICS[problem.metric].scored(target_values(problem, window[problem.target]))
    window = window[counts & ~outside_where(problem, window)]
    return rows[times <= last].reset_index(drop=True), window.reset_index(drop=True)


def _of_known_keys(forecaster: Forecaster, window: pd.DataFrame, problem: Problem) -> pd.DataFrame:
    """The rows of keys that the forecaster has seen: a key may have begun after the cutoff."""
    problems = forecaster.problems(window.drop(columns=problem.target))
    unknown = {each.row for each in problems if each.column in problem.keys}
    return window.drop(index=sorted(unknown)).reset_index(drop=True) if unknown else window


def _forecasts(
    forecaster: Forecaster, known: pd.DataFrame, window: pd.DataFrame, problem: Problem
) -> dict[str, Floats]:
    inputs = window.drop(columns=problem.target)
    members = forecaster.predict_members(inputs)
    return {
        BLEND: forecaster.predict(inputs),
        **{name: members[:, place] for place, name in enumerate(forecaster.members)},
        problem.baseline_name.replace("_", " "): baselines.baseline(problem, known, window),
    }


def _covered(blend: WindowScore, forecaster: Forecaster, window: pd.DataFrame, problem: Problem) -> WindowScore:
    inputs, actual = window.drop(columns=problem.target), target_values(problem, window[problem.target])
    at_80, at_95 = (coverage(actual, forecaster.interval(inputs, confidence)) for confidence in (0.80, 0.95))
    return replace(blend, coverage_80=at_80, coverage_95=at_95)


def _marks(
    origin: str, window: pd.DataFrame, forecasts: dict[str, Floats], unit: Floats | None, params: Params
) -> list[WindowScore]:
    """The marks of the forecasts; `unit` is the unit of the errors of each row in the metric."""
    problem = params.problem
    actual, keys = target_values(problem, window[problem.target]), np.zeros(len(window), dtype=np.int64)
    if problem.keys:
        keys = window.groupby(list(problem.keys)).ngroup().to_numpy(dtype=np.int64)
    scored = bootstrap.Rows(actual, keys, _periods(problem, window), problem.period.block, unit)
    metric = METRICS[problem.metric]
    marks = []
    for name, forecast in forecasts.items():
        low, high = bootstrap.interval(metric, scored, forecast, params.seed)
        errors = METRICS["mae"].score(actual, forecast), bias(actual, forecast)
        score = scored.score(metric, forecast), low, high
        marks.append(WindowScore(origin, name, len(actual), metric.name, *score, *errors))
    return marks
