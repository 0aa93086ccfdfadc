"""Backtest: train at several cutoffs and score each forecaster on the days after its cutoff.

Rounds and weights are chosen again at each cutoff, from the days up to it. The holdout is never used.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.errors import BadData
from lockgate.evaluation import bootstrap, paired_test
from lockgate.features import calendar
from lockgate.forecaster.ensemble import Forecaster
from lockgate.models import seasonal_naive
from lockgate.models.conformal import coverage
from lockgate.problem.columns import KEY, TARGET, TIME
from lockgate.problem.metrics import METRICS, bias
from lockgate.problem.params import Params
from lockgate.training import train
from lockgate.training.folds import shortest_history
from lockgate.training.report import BLEND

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

NAIVE = "seasonal naive"
COVERAGES = ("coverage_80", "coverage_95")


@dataclass(frozen=True)
class Plan:
    """The number of cutoffs and the days between them; the last window ends with the data."""

    origins: int
    days_apart: int


@dataclass(frozen=True)
class WindowScore:
    """Scores of one forecast on the window after one cutoff; `low` and `high` are the 95 % interval of `score`."""

    origin: str  # the cutoff: the last day used in training
    forecast: str  # a member, the blend, or a baseline
    rows: int
    metric: str  # name of the metric of `score`
    score: float
    low: float
    high: float
    mae: float
    bias: float
    coverage_80: float | None = None  # of the blend: the share of sales within its bounds, which should be 0.80
    coverage_95: float | None = None


def backtest(
    rows: pd.DataFrame, stores: pd.DataFrame, params: Params, plan: Plan, progress: Progress
) -> tuple[WindowScore, ...]:
    """Scores of the blend, its members and the naive baseline at each cutoff, the latest cutoff first.

    `rows` are the training rows, without the holdout. Raises BadData if the history is too short for a training at the
    earliest cutoff.
    """
    marks: list[WindowScore] = []
    for place, last in enumerate(_cutoffs(rows, params, plan)):
        known, window = _parts(rows, last, params)
        name = str(last.date())
        progress(f"trained until {name}", place, plan.origins)
        forecaster, _ = train.train(known, stores, params, lambda *_: None)
        blend, *others = _marks(name, window, _forecasts(forecaster, known, window), params)
        marks += [_covered(blend, forecaster, window), *others]
    progress("done", plan.origins, plan.origins)
    return tuple(marks)


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


def _cutoffs(rows: pd.DataFrame, params: Params, plan: Plan) -> list[pd.Timestamp]:
    last, first = rows[TIME].max(), rows[TIME].min()
    newest = last - pd.Timedelta(days=params.horizon)
    cutoffs = [newest - pd.Timedelta(days=plan.days_apart * place) for place in range(plan.origins)]
    needed = shortest_history(params)
    if (cutoffs[-1] - first).days + 1 < needed:
        reach = (newest - first).days + 1 - needed
        raise BadData(
            f"the earliest of {plan.origins} origins leaves too short a history",
            where=f"{first.date()} .. {cutoffs[-1].date()}",
            hint=f"--origins: at most {max(reach // plan.days_apart + 1, 0)} that are {plan.days_apart} days apart",
        )
    return cutoffs


def _parts(rows: pd.DataFrame, last: pd.Timestamp, params: Params) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows up to `last`, and the rows of the window after it that are scored."""
    after = (rows[TIME] > last) & (rows[TIME] <= last + pd.Timedelta(days=params.horizon))
    window = rows[after & paired_test.scored_rows(METRICS[params.problem.metric], rows)]
    return rows[rows[TIME] <= last].reset_index(drop=True), window.reset_index(drop=True)


def _forecasts(forecaster: Forecaster, known: pd.DataFrame, window: pd.DataFrame) -> dict[str, Floats]:
    inputs = window.drop(columns=TARGET)
    members = forecaster.predict_members(inputs)
    return {
        BLEND: forecaster.predict(inputs),
        **{name: members[:, place] for place, name in enumerate(forecaster.members)},
        NAIVE: seasonal_naive.seasonal_naive(known, window).to_numpy(),
    }


def _covered(blend: WindowScore, forecaster: Forecaster, window: pd.DataFrame) -> WindowScore:
    inputs, sold = window.drop(columns=TARGET), window[TARGET].to_numpy(dtype=np.float64)
    at_80, at_95 = (coverage(sold, forecaster.interval(inputs, confidence)) for confidence in (0.80, 0.95))
    return replace(blend, coverage_80=at_80, coverage_95=at_95)


def _marks(origin: str, window: pd.DataFrame, forecasts: dict[str, Floats], params: Params) -> list[WindowScore]:
    sold = window[TARGET].to_numpy(dtype=np.float64)
    day = calendar.day_numbers(window[TIME].to_numpy())
    scored = bootstrap.Rows(sold, window[KEY].to_numpy(dtype=np.int64), day)
    metric = METRICS[params.problem.metric]
    marks = []
    for name, forecast in forecasts.items():
        low, high = bootstrap.interval(metric, scored, forecast, params.seed)
        scores = metric.score(sold, forecast), low, high, METRICS["mae"].score(sold, forecast), bias(sold, forecast)
        marks.append(WindowScore(origin, name, len(sold), metric.name, *scores))
    return marks
