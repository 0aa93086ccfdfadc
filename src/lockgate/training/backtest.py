"""Backtest: train at several cutoffs and score each forecaster on the days after its cutoff.

Rounds and weights are chosen again at each cutoff, from the days up to it. The holdout is never used.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.errors import BadData
from lockgate.evaluation import bootstrap
from lockgate.features import calendar
from lockgate.forecaster.ensemble import Forecaster
from lockgate.models import seasonal_naive
from lockgate.models.conformal import coverage
from lockgate.problem import metrics
from lockgate.problem.columns import KEY, OPEN, TARGET, TIME
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
    """Errors of one forecast on the window after one cutoff; `low` and `high` are the 95 % interval of its RMSPE."""

    origin: str  # the cutoff: the last day used in training
    forecast: str  # a member, the blend, or a baseline
    rows: int
    rmspe: float
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
        known, window = _parts(rows, last, params.split.holdout_days)
        name = str(last.date())
        progress(f"trained until {name}", place, plan.origins)
        forecaster, _ = train.train(known, stores, params, lambda *_: None)
        blend, *others = _marks(name, window, _forecasts(forecaster, known, window), params.seed)
        marks += [_covered(blend, forecaster, window), *others]
    progress("done", plan.origins, plan.origins)
    return tuple(marks)


def means(marks: tuple[WindowScore, ...]) -> dict[str, dict[str, float]]:
    """For each forecast: the mean and the worst RMSPE over the cutoffs, and the means of the other scores."""
    by_forecast: dict[str, dict[str, float]] = {}
    for forecast in dict.fromkeys(mark.forecast for mark in marks):
        own = [mark for mark in marks if mark.forecast == forecast]
        by_forecast[forecast] = {
            "rmspe": float(np.mean([mark.rmspe for mark in own])),
            "worst_rmspe": max(mark.rmspe for mark in own),
            "mae": float(np.mean([mark.mae for mark in own])),
            "bias": float(np.mean([mark.bias for mark in own])),
        }
        if forecast == BLEND:
            by_forecast[forecast] |= {name: float(np.mean([getattr(mark, name) for mark in own])) for name in COVERAGES}
    return by_forecast


def _cutoffs(rows: pd.DataFrame, params: Params, plan: Plan) -> list[pd.Timestamp]:
    last, first = rows[TIME].max(), rows[TIME].min()
    newest = last - pd.Timedelta(days=params.split.holdout_days)
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


def _parts(rows: pd.DataFrame, last: pd.Timestamp, days: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows up to `last`, and the rows with sales of the window after it."""
    after = (rows[TIME] > last) & (rows[TIME] <= last + pd.Timedelta(days=days))
    window = rows[after & (rows[OPEN] == 1) & (rows[TARGET] > 0)]
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


def _marks(origin: str, window: pd.DataFrame, forecasts: dict[str, Floats], seed: int) -> list[WindowScore]:
    sold = window[TARGET].to_numpy(dtype=np.float64)
    store, day = window[KEY].to_numpy(dtype=np.int64), calendar.day_numbers(window[TIME].to_numpy())
    marks = []
    for name, forecast in forecasts.items():
        low, high = bootstrap.rmspe_interval(bootstrap.sums(forecast / sold - 1.0, store, day), seed)
        scores = (score(sold, forecast) for score in (metrics.mae, metrics.bias))
        marks.append(WindowScore(origin, name, len(sold), metrics.rmspe(sold, forecast), low, high, *scores))
    return marks
