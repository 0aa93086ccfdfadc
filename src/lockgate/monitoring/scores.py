"""Scores of live forecasts against the truth: the metric of the problem, the usual ones, and the coverage. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.evaluation import slices
from lockgate.evaluation.paired_test import Actual
from lockgate.evaluation.slices import Background
from lockgate.models.baselines import Scales
from lockgate.monitoring.live import Bools, Live
from lockgate.problem.description import Problem
from lockgate.problem.metrics import METRICS, bias
from lockgate.problem.target_values import class_texts, target_values

NAN = float("nan")
USUAL = {
    "regression": ("mae", "rmse", "wape", "median_absolute_error"),
    "binary": ("log_loss", "brier", "roc_auc", "accuracy"),
    "multiclass": ("log_loss", "accuracy", "f1_macro"),
}
CALIBRATION_BINS = 10
MOST_PERIODS = 60


@dataclass(frozen=True)
class Score:
    """The score of some forecasts. `rows` are scored; `waiting` have no truth yet, which is no error.

    `covered` is the share of the `bounded` rows whose truth lies within its bounds, beside the `stated` confidence; NaN
    without bounds. `others` are further metrics, by name.
    """

    by: str
    value: str
    rows: int
    waiting: int
    score: float
    covered: float
    stated: float
    bounded: int
    others: Mapping[str, float]


@dataclass(frozen=True)
class ClassScore:
    """The share of the rows of a class that were found (recall), and of those forecast as it that are right."""

    name: str
    rows: int
    recall: float
    precision: float


@dataclass(frozen=True)
class CalibrationBin:
    """Rows with a forecast probability in a bin: its mean, and the share that came true."""

    low: float
    high: float
    rows: int
    forecast: float
    observed: float


@dataclass(frozen=True)
class Scorer:
    """How live forecasts are scored: the training rows, which MASE and some slices need, or None."""

    problem: Problem
    background: Background

    def score(self, live: Live, by: str = "all", value: str = "") -> Score:
        """The score of the forecasts; NaN if none has a truth."""
        scored = live.where(live.scored)
        covered, stated, bounded = _coverage(scored)
        waiting = int(live.waiting.sum())
        if not len(scored):
            return Score(by, value, 0, waiting, NAN, covered, stated, bounded, {})
        metric = METRICS[self.problem.metric]
        rows = _with_target(scored)
        actual = Actual.of(self.problem, metric, rows, live.classes, self._scales if metric.needs_scale else None)
        others = _others(scored) if by == "all" else {}
        count = int(actual.counts.sum())
        return Score(by, value, count, waiting, actual.score(scored.forecast), covered, stated, bounded, others)

    @cached_property
    def _scales(self) -> Scales | None:
        history = self.background.history
        return None if history is None else Scales.of(self.problem, history)

    def by_version(self, live: Live) -> Iterator[Score]:
        """A score for each version."""
        for version in sorted(live.about["version"].unique()):
            yield self.score(live.of_version(version), "version", str(version))

    def by_period(self, live: Live) -> Iterator[Score]:
        """A score for each of the newest periods of a panel; for other problems for each day of the requests."""
        names = period_names(live)
        for name in sorted(names.unique())[-MOST_PERIODS:]:
            yield self.score(live.where((names == name).to_numpy(dtype=np.bool_)), "period", str(name))

    def by_slice(self, live: Live) -> Iterator[Score]:
        """A score for each slice of the problem."""
        for part, chosen in slices.parts(self.problem, live.rows, self.background):
            yield self.score(live.where(chosen), part.by, part.value)


def period_names(live: Live) -> "pd.Series[str]":
    """The period of each row of a panel as text; for other problems the day of its request."""
    if live.problem.kind != "panel":
        return live.about["at"].dt.strftime("%Y-%m-%d")
    period = live.problem.period
    numbers = live.about["period"].astype("int64")
    width = max((len(str(number)) for number in numbers), default=0) if period.is_integer else 0
    return numbers.map(lambda number: period.text(number).rjust(width))


def by_class(live: Live) -> tuple[ClassScore, ...]:
    """Recall and precision of each class; () for a regression."""
    scored = live.where(live.scored)
    if live.problem.task == "regression" or not len(scored):
        return ()
    actual = class_texts(scored.rows[live.problem.target]).to_numpy()
    chosen = scored.about["class"].astype("str").to_numpy()
    names = sorted(set(actual) | set(chosen))
    return tuple(_class_score(name, actual == name, chosen == name) for name in names)


def _class_score(name: str, has: Bools, says: Bools) -> ClassScore:
    hits = int((has & says).sum())
    return ClassScore(name, int(has.sum()), _share(hits, int(has.sum())), _share(hits, int(says.sum())))


def calibration(live: Live) -> tuple[CalibrationBin, ...]:
    """How often a class came true, by its forecast probability; of more than two classes that of the chosen one."""
    scored = live.where(live.scored)
    if live.problem.task == "regression" or not len(scored):
        return ()
    actual = target_values(live.problem, scored.rows[live.problem.target], live.classes)
    if scored.forecast.ndim == 1:
        probability, came_true = scored.forecast, actual == 1
    else:
        probability, came_true = scored.forecast.max(axis=1), actual == scored.forecast.argmax(axis=1)
    return tuple(_calibration_bins(probability, came_true))


def _calibration_bins(probability: NDArray[np.float64], came_true: Bools) -> Iterator[CalibrationBin]:
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    place = np.clip(np.searchsorted(edges, probability, side="right") - 1, 0, CALIBRATION_BINS - 1)
    for number in range(CALIBRATION_BINS):
        inside = (place == number) & np.isfinite(probability)
        if inside.any():
            yield CalibrationBin(
                float(edges[number]),
                float(edges[number + 1]),
                int(inside.sum()),
                float(probability[inside].mean()),
                float(came_true[inside].mean()),
            )


def _coverage(scored: Live) -> tuple[float, float, int]:
    """The share of truths within their bounds, the mean stated confidence, and the number of rows with bounds."""
    if scored.problem.task != "regression":
        return NAN, NAN, 0
    about = scored.about
    truth = about["truth_value"].to_numpy(dtype=np.float64)
    lower, upper = (about[name].to_numpy(dtype=np.float64) for name in ("lower", "upper"))
    bounded = np.isfinite(lower) & np.isfinite(upper) & np.isfinite(truth)
    if not bounded.any():
        return NAN, NAN, 0
    inside = (truth >= lower) & (truth <= upper)
    confidence = about["confidence"].to_numpy(dtype=np.float64)
    return float(inside[bounded].mean()), float(confidence[bounded].mean()), int(bounded.sum())


def _others(scored: Live) -> dict[str, float]:
    """The usual metrics of the task, and the bias of numbers."""
    problem = scored.problem
    target = target_values(problem, scored.rows[problem.target], scored.classes)
    known = np.isfinite(target)
    target, forecast = target[known], scored.forecast[known]
    found = {name: METRICS[name].score(target, forecast) for name in USUAL[problem.task] if name != problem.metric}
    return found | ({"bias": bias(target, forecast)} if problem.task == "regression" and len(target) else {})


def _with_target(scored: Live) -> pd.DataFrame:
    """The rows with times as seconds, as training rows have them."""
    name = scored.problem.time_name
    if not name or scored.problem.period.is_integer:
        return scored.rows
    return scored.rows.assign(**{name: scored.rows[name].astype("datetime64[s]")})


def _share(part: int, whole: int) -> float:
    return part / whole if whole else NAN
