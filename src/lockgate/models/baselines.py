"""Baselines: forecasts without training, which every candidate must beat."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.problem.columns import Category, Flag, Role
from lockgate.problem.description import Problem
from lockgate.problem.metrics import Metric
from lockgate.problem.target_values import outside_where, target_values

Floats = NDArray[np.float64]

SEASON, TARGET = "season of the row", "target of the row"  # columns beside those of the rows
WORDS = {
    "seasonal_naive": "the seasonal naive forecast",
    "naive": "the naive forecast (the last value of the key)",
    "group_median": "the median of the group",
    "mean": "the mean of the target",
    "prior": "the share of each class",
}


def words_of(problem: Problem) -> str:
    """The problem's baseline in words."""
    return WORDS[problem.baseline_name]


def baseline(problem: Problem, history: pd.DataFrame, rows: pd.DataFrame, classes: Sequence[str] = ()) -> Floats:
    """The baseline's forecasts of rows, from the training rows: (rows,), or (rows, classes) for several classes.

    A row that `where` leaves out gets `where.otherwise`.
    """
    name = problem.baseline_name
    recent = _recent(problem, history) if name == "seasonal_naive" else history
    learned = recent[~outside_where(problem, recent)]
    target = target_values(problem, learned[problem.target], classes)
    known = np.isfinite(target)
    learned = learned[known].assign(**{TARGET: target[known]})
    if problem.task == "multiclass":
        shares = np.bincount(target[known].astype(np.int64), minlength=len(classes)) / max(1, int(known.sum()))
        return np.tile(shares, (len(rows), 1))
    forecast = BASELINES[name](problem, learned, rows)
    if problem.where is None:
        return forecast
    return np.where(outside_where(problem, rows), problem.where.otherwise, forecast)


def _seasonal_naive(problem: Problem, learned: pd.DataFrame, rows: pd.DataFrame) -> Floats:
    """The median target of the same key, place in the season and flags, over the last year of days or last season.

    Without such rows, the key's median is used; without the key, the median of all. Rows with a target of 0 are left
    out where the metric is a share of the target.
    """
    past = learned[learned[TARGET] != 0] if problem.metric in ("rmspe", "mape") else learned
    keys, flags = list(problem.keys), _flags(problem)
    past, asked = _with_season(problem, past), _with_season(problem, rows)
    ways = ([*keys, SEASON, *flags], *(([*keys, SEASON],) if problem.period.name != "day" else ()), keys)
    return _first_known(past, asked, ways, _median(past))


def _naive(problem: Problem, learned: pd.DataFrame, rows: pd.DataFrame) -> Floats:
    """The last value of the row's key; the median of all for a new key."""
    last = learned.sort_values(problem.time_name, kind="stable") if problem.time else learned
    last = last.groupby(list(problem.keys)).tail(1) if problem.keys else last.tail(1)
    return _first_known(last, rows, (list(problem.keys),), _median(learned if problem.keys else last))


def _group_median(problem: Problem, learned: pd.DataFrame, rows: pd.DataFrame) -> Floats:
    """The median of the row's key; without keys, of its first category; of all rows for a new one."""
    groups = list(problem.keys)
    if not groups:
        groups = [column.name for column in problem.request if isinstance(column.kind, Category)][:1]
    return _first_known(learned, rows, (groups,), _median(learned))


def _mean(problem: Problem, learned: pd.DataFrame, rows: pd.DataFrame) -> Floats:
    """The mean of the target; of two classes, the share of the positive one."""
    return np.full(len(rows), learned[TARGET].mean() if len(learned) else np.nan)


BASELINES: Mapping[str, Callable[[Problem, pd.DataFrame, pd.DataFrame], Floats]] = {
    "seasonal_naive": _seasonal_naive,
    "naive": _naive,
    "group_median": _group_median,
    "mean": _mean,
    "prior": _mean,
}


def units_of(problem: Problem, metric: Metric, history: pd.DataFrame | None, rows: pd.DataFrame) -> Floats | None:
    """The unit in which the metric counts the errors of each row: `naive_errors` for MASE, else None (as they are).

    NaN where MASE has no training rows.
    """
    if not metric.needs_scale:
        return None
    return np.full(len(rows), np.nan) if history is None else naive_errors(problem, history, rows)


def naive_errors(problem: Problem, history: pd.DataFrame, rows: pd.DataFrame) -> Floats:
    """The mean absolute error of the seasonal naive forecast of each row's key within the training rows.

    The scale of MASE: mean of |y[t] - y[t - m]|, where m is a season, or one period without a season. A key without
    such a change (new, short or constant) has the mean of all keys. NaN without any change above 0. Source: Hyndman and
    Koehler, "Another look at measures of forecast accuracy" (2006).
    """
    changes = _seasonal_changes(problem, history)
    overall = float(changes[TARGET].mean())
    known = pd.Series(np.nan, index=np.arange(len(rows)))
    if problem.keys:
        keys = list(problem.keys)
        by_key = changes.groupby(keys)[TARGET].mean().rename("scale")
        known = rows[keys].reset_index(drop=True).join(by_key, on=keys)["scale"]
    return np.asarray(known.where(known > 0, overall if overall > 0 else np.nan), dtype=np.float64)


def _seasonal_changes(problem: Problem, history: pd.DataFrame) -> pd.DataFrame:
    """The absolute change of the target over a season, one row for each two rows of a key that are a season apart."""
    learned = history[~outside_where(problem, history)]
    season = problem.period.seasons[0] if problem.period.seasons else 1
    number = problem.period.number(learned[problem.time_name].to_numpy())
    keyed = learned[list(problem.keys)].assign(
        **{SEASON: number, TARGET: target_values(problem, learned[problem.target])}
    )
    earlier = keyed.assign(**{SEASON: number + season}).rename(columns={TARGET: "earlier"})
    both = keyed.merge(earlier, on=[*problem.keys, SEASON])
    return both.assign(**{TARGET: (both[TARGET] - both["earlier"]).abs()})


def _recent(problem: Problem, history: pd.DataFrame) -> pd.DataFrame:
    """The rows of the longest season before the end of the history, such as the last 364 days; all without a season."""
    seasons = problem.period.seasons
    if not (seasons and len(history)):
        return history
    number = problem.period.number(history[problem.time_name].to_numpy())
    return history[number > number.max() - seasons[-1]]


def _with_season(problem: Problem, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with their place in the season: the weekday, the hour of the week, the week or month of the year."""
    number = problem.period.number(rows[problem.time_name].to_numpy())
    seasons = problem.period.seasons
    season = {"day": 7}.get(problem.period.name, seasons[-1] if seasons else 1)
    return rows.assign(**{SEASON: number % season})


def _flags(problem: Problem) -> list[str]:
    """The flags among the known covariates by which the problem slices, but for that of `where`.

    Other flags are rare events, which would leave too few rows in a group.
    """
    where = problem.where.column if problem.where else ""
    named = [column for column in problem.request if column.name in problem.slices and column.name != where]
    return [column.name for column in named if column.role is Role.KNOWN_COVARIATES and isinstance(column.kind, Flag)]


def _first_known(past: pd.DataFrame, rows: pd.DataFrame, ways: Sequence[Sequence[str]], rest: float) -> Floats:
    """The median of the first of the groups that is known of each row; `rest` where none is."""
    found = pd.Series(np.nan, index=np.arange(len(rows)))
    for way in ways:
        if way:
            medians = past.groupby(list(way))[TARGET].median().rename("median")
            found = found.fillna(rows[list(way)].reset_index(drop=True).join(medians, on=list(way))["median"])
    return np.asarray(found.fillna(rest), dtype=np.float64)


def _median(past: pd.DataFrame) -> float:
    return float(past[TARGET].median()) if len(past) else float("nan")
