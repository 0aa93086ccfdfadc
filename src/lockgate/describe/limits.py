"""The gate's limits, guessed from what a baseline without any learning scores on the data."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.describe import plausible
from lockgate.describe.guess import Seen, positive_of
from lockgate.problem.description import Task
from lockgate.problem.metrics import METRICS, Metric
from lockgate.problem.periods import Period

RARE = 0.35  # the share of the positive class below which precision and recall tell more than ROC-AUC
SHARE_OVER_SERVING, SHARE_OVER_SLICE = 0.02, 0.1
SKILL = 0.95  # of the error of a forecast without skill
USUAL_ROWS, HELD_OUT = 1000, 0.2
MIN_GAIN = {"panel": 0.02, "state": 0.05, "table": 0.05}  # the baseline of a panel knows its keys and seasons
WEEK = {"day": 7}  # the season of days; of other periods the longest one
SEASONAL_WORDS = {
    "hour": "the value of the same hour a week before",
    "day": "the median of the same weekday in the last year",
    "week": "the value of the same week a year before",
    "month": "the value of the same month a year before",
}
IMPLAUSIBLE = 0.02  # of the error of a baseline that knows no column


@dataclass(frozen=True)
class Limits:
    """The metric, the baseline, its score (NaN: unknown), and the keys of the gate that follow."""

    metric: str
    baseline: str
    words: str  # what the baseline forecasts
    score: float
    limit: float
    over_serving: float
    over_slice: float
    min_gain: float
    min_share_of_naive: float
    min_scored_rows: int


def limits_of(seen: Seen, switch: str) -> Limits:
    """The limits of a table. `switch`: the flag of rows that count, or ""."""
    metric = METRICS[metric_of(seen)]
    baseline, words, actual, forecast = _baseline(seen, switch)
    score = metric.score(actual, forecast) if len(actual) else math.nan
    limit = _limit(metric, score, seen.task)
    distance = abs(metric.worse_by(limit, metric.perfect))
    kept = max(0, len(actual) - seen.repeated_rows)  # prepare drops repeated rows
    rows = len(actual) if seen.kind == "panel" else round(HELD_OUT * kept)
    over_serving, over_slice = _short(SHARE_OVER_SERVING * distance), _short(SHARE_OVER_SLICE * distance)
    enough = max(1, min(USUAL_ROWS, rows // 2))
    return Limits(
        metric.name,
        baseline,
        words,
        score,
        limit,
        over_serving,
        over_slice,
        MIN_GAIN[seen.kind],
        _implausible(seen, switch, metric),
        enough,
    )


def _implausible(seen: Seen, switch: str, metric: Metric) -> float:
    """The share of the baseline's error at which an error is implausible; of a panel by what simple forecasts reach."""
    if seen.kind != "panel":
        return IMPLAUSIBLE
    period = Period(seen.of_time.period or "integer")
    rows = _rows_that_count(seen, switch, period)
    numbers, season = rows["number"], _season(period)
    long = int(numbers.max() - numbers.min()) + 1 - seen.horizon >= 2 * season
    return plausible.implausible_share(
        rows, seen.horizon, season if long else 1, lambda actual, forecast: metric.error(metric.score(actual, forecast))
    )


def _season(period: Period) -> int:
    """The season of the baseline, in periods."""
    return WEEK.get(period.name, next(reversed(period.seasons), 1))


def metric_of(seen: Seen) -> str:
    """The metric that suits the task and the target."""
    match seen.task:
        case "binary":
            return "pr_auc" if np.mean(_is_positive(seen)) < RARE else "roc_auc"
        case "multiclass":
            return "log_loss"
        case "regression":
            return {"panel": "wape", "state": "rmse", "table": "mae"}[seen.kind]


def _baseline(seen: Seen, switch: str) -> tuple[str, str, NDArray[np.float64], NDArray[np.float64]]:
    """Name and words of the baseline; actual values and its forecasts."""
    if seen.task == "binary":
        actual = _is_positive(seen)
        return "prior", "the share of the positive class", actual, np.full(len(actual), actual.mean())
    if seen.task == "multiclass":
        codes = np.unique(seen.target.of_rows[np.isfinite(seen.target.of_rows)], return_inverse=True)[1].astype(
            np.float64
        )
        shares = np.bincount(codes.astype(np.int64)) / max(1, len(codes))
        return "prior", "the share of each class", codes, np.tile(shares, (len(codes), 1))
    if seen.kind == "panel":
        return _seasonal_naive(seen, switch)
    actual = _lives(seen) if seen.derived else seen.target.of_rows
    actual = actual[np.isfinite(actual)]
    return "mean", "the mean of the target", actual, np.full(len(actual), actual.mean() if len(actual) else math.nan)


def _is_positive(seen: Seen) -> NDArray[np.float64]:
    filled = np.isfinite(seen.target.of_rows)
    return seen.target.texts.among(frozenset({positive_of(seen.target)}))[filled].astype(np.float64)


def cap_of(seen: Seen) -> int:
    """Five eighths of the median number of periods of a key, to the next 5: earlier wear cannot be seen."""
    lengths = np.bincount(seen.of_time.codes)
    return max(5, round(float(np.median(lengths)) * 0.625 / 5) * 5)


def _lives(seen: Seen) -> NDArray[np.float64]:
    """The periods left to the last row of the key, capped."""
    series = seen.of_time
    last = np.full(series.codes.max() + 1, -np.inf)
    np.maximum.at(last, series.codes, series.times)
    return np.minimum(last[series.codes] - series.times, cap_of(seen))


def _rows_that_count(seen: Seen, switch: str, period: Period) -> pd.DataFrame:
    """Key, number of the period and target of each row that has a target and is not switched off."""
    series = seen.of_time
    moments = series.times if period.is_integer else series.times.astype("datetime64[s]")
    rows = pd.DataFrame(
        {"key": series.codes, "number": period.number(np.asarray(moments)), "target": seen.target.of_rows}
    )
    counts = seen.guesses[switch].of_rows == 1 if switch else np.ones(len(rows), dtype=bool)
    return rows[counts & rows["target"].notna()].drop_duplicates(["key", "number"], keep="last")


def _seasonal_naive(seen: Seen, switch: str) -> tuple[str, str, NDArray[np.float64], NDArray[np.float64]]:
    """The last horizon, forecast as the gate's baseline does; by the last value of the key without two seasons before.

    The gate also takes the median by the sliced flags.
    """
    period = Period(seen.of_time.period or "integer")
    rows = _rows_that_count(seen, switch, period)
    cutoff, season = int(rows["number"].max()) - seen.horizon, _season(period)
    past, held = rows[rows["number"] <= cutoff], rows[rows["number"] > cutoff]
    is_seasonal = season > 1 and cutoff - int(rows["number"].min()) + 1 >= 2 * season
    if is_seasonal:
        recent = past[past["number"] > cutoff - period.seasons[-1]].assign(place=past["number"] % season)
        places = pd.MultiIndex.from_arrays([held["key"], held["number"] % season])
        forecast = recent.groupby(["key", "place"])["target"].median().reindex(places)
    else:
        forecast = past.sort_values("number").groupby("key")["target"].last().reindex(held["key"])
    actual, found = held["target"].to_numpy(dtype=np.float64), forecast.to_numpy(dtype=np.float64)
    known = np.isfinite(found)
    name, words = ("seasonal_naive", SEASONAL_WORDS[period.name]) if is_seasonal else ("naive", "the last value")
    return name, words, actual[known], found[known]


def _limit(metric: Metric, score: float, task: Task) -> float:
    """The baseline's score, rounded; for classes with a twentieth less error, since a limit without skill is refused.

    A middle value where the baseline has no score.
    """
    if not math.isfinite(score):
        return metric.worse_score(metric.perfect, 0.5 if metric.relative else 1.0)
    if task != "regression":
        return _rounded(metric, metric.with_error(SKILL * metric.error(score)))
    error = min(metric.error(_rounded(metric, score)), metric.widest_for(task))
    return float(f"{metric.with_error(error):.6g}")


def _rounded(metric: Metric, score: float) -> float:
    """A score with three digits, rounded towards worse."""
    step = 10 ** (math.floor(math.log10(abs(score))) - 2) if score else 0.001
    number = math.ceil(score / step) if metric.better == "lower" else math.floor(score / step)
    return float(f"{number * step:.6g}")


def _short(value: float) -> float:
    """A number with one digit that is not zero."""
    return float(f"{value:.1g}")
