"""Baselines: forecasts without training, which every candidate must beat.

The training rows may be in parts with whole keys. Then a pass over them keeps numbers of each key only.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data.rows_by_part import Rows, RowsByPart
from lockgate.models import pooled
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


def baseline(problem: Problem, history: Rows, rows: pd.DataFrame, classes: Sequence[str] = ()) -> Floats:
    """The baseline's forecasts of rows, from the training rows: (rows,), or (rows, classes) for several classes.

    A row that `where` leaves out gets `where.otherwise`.
    """
    name, parts = problem.baseline_name, RowsByPart.of(history)
    recent = _recent(problem, parts) if name == "seasonal_naive" else parts
    learned = recent.map(partial(_learned, problem, classes))
    if problem.task == "multiclass":
        return np.tile(_shares(learned, len(classes)), (len(rows), 1))
    forecast = BASELINES[name](problem, learned, rows)
    if problem.where is None:
        return forecast
    return np.where(outside_where(problem, rows), problem.where.otherwise, forecast)


def _learned(problem: Problem, classes: Sequence[str], rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that are learned, with TARGET."""
    some = rows[~outside_where(problem, rows)]
    target = target_values(problem, some[problem.target], classes)
    known = np.isfinite(target)
    return some[known].assign(**{TARGET: target[known]})


def _shares(learned: RowsByPart, classes: int) -> Floats:
    """The share of each class; its number is the target."""
    counts = sum(np.bincount(part[TARGET].to_numpy(dtype=np.int64), minlength=classes) for part in learned)
    return np.asarray(counts / max(1, int(np.sum(counts))))


def _seasonal_naive(problem: Problem, learned: RowsByPart, rows: pd.DataFrame) -> Floats:
    """The median target of the same key, place in the season and flags, over the last year of days or last season.

    Without such rows, the key's median is used; without the key, the median of all. Rows with a target of 0 are left
    out where the metric is a share of the target.
    """
    past = learned.map(_not_zero) if problem.metric in ("rmspe", "mape") else learned
    keys, flags = list(problem.keys), _flags(problem)
    past, asked = past.map(partial(_with_season, problem)), _with_season(problem, rows)
    ways = ([*keys, SEASON, *flags], *(([*keys, SEASON],) if problem.period.name != "day" else ()), keys)
    return _first_known(past, asked, ways, lambda: pooled.median(past, TARGET))


def _not_zero(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows[TARGET] != 0]


def _naive(problem: Problem, learned: RowsByPart, rows: pd.DataFrame) -> Floats:
    """The last value of the row's key; the median of all for a new key."""
    last = RowsByPart.of(pd.concat([_last(problem, part) for part in learned]))
    every = learned if problem.keys else last
    return _first_known(last, rows, (list(problem.keys),), lambda: pooled.median(every, TARGET))


def _last(problem: Problem, learned: pd.DataFrame) -> pd.DataFrame:
    """The last row of each key; without keys, of all."""
    last = learned.sort_values(problem.time_name, kind="stable") if problem.time else learned
    return last.groupby(list(problem.keys)).tail(1) if problem.keys else last.tail(1)


def _group_median(problem: Problem, learned: RowsByPart, rows: pd.DataFrame) -> Floats:
    """The median of the row's key; without keys, of its first category; of all rows for a new one."""
    groups = list(problem.keys)
    if not groups:
        groups = [column.name for column in problem.request if isinstance(column.kind, Category)][:1]
    return _first_known(learned, rows, (groups,), lambda: pooled.median(learned, TARGET))


def _mean(problem: Problem, learned: RowsByPart, rows: pd.DataFrame) -> Floats:
    """The mean of the target; of two classes, the share of the positive one."""
    return np.full(len(rows), pooled.mean(learned, TARGET))


BASELINES: Mapping[str, Callable[[Problem, RowsByPart, pd.DataFrame], Floats]] = {
    "seasonal_naive": _seasonal_naive,
    "naive": _naive,
    "group_median": _group_median,
    "mean": _mean,
    "prior": _mean,
}


@dataclass(frozen=True)
class Scales:
    """The unit of MASE for each key: the mean absolute error of its seasonal naive forecast in the training rows.

    Mean of |y[t] - y[t - m]|, where m is a season, or one period without a season. A key without such a change (new,
    short or constant) has the mean of all keys. NaN without any change above 0. Source: Hyndman and Koehler, "Another
    look at measures of forecast accuracy" (2006). The training rows are read once, or twice if a key has no change.
    """

    keys: tuple[str, ...]
    changes: RowsByPart  # with TARGET: the absolute change over a season

    @classmethod
    def of(cls, problem: Problem, history: "Rows | Scales") -> "Scales":
        """From the training rows; scales as they are."""
        if isinstance(history, Scales):
            return history
        return cls(problem.keys, RowsByPart.of(history).map(partial(_seasonal_changes, problem)))

    def units(self, rows: pd.DataFrame) -> Floats:
        """The unit of each row."""
        known = pd.Series(np.nan, index=np.arange(len(rows)))
        if self.keys:
            keys = list(self.keys)
            known = rows[keys].reset_index(drop=True).join(self._by_key, on=keys)["scale"]
        found = known.where(known > 0)
        return np.asarray(found.fillna(self._overall) if found.isna().any() else found, dtype=np.float64)

    @cached_property
    def _by_key(self) -> "pd.Series[float]":
        keys = list(self.keys)
        return pd.concat([part.groupby(keys)[TARGET].mean().rename("scale") for part in self.changes])

    @cached_property
    def _overall(self) -> float:
        overall = pooled.mean(self.changes, TARGET)
        return overall if overall > 0 else float("nan")


def units_of(problem: Problem, metric: Metric, history: Rows | Scales | None, rows: pd.DataFrame) -> Floats | None:
    """The unit in which the metric counts the errors of each row: `naive_errors` for MASE, else None (as they are).

    NaN where MASE has no training rows.
    """
    if not metric.needs_scale:
        return None
    return np.full(len(rows), np.nan) if history is None else naive_errors(problem, history, rows)


def naive_errors(problem: Problem, history: Rows | Scales, rows: pd.DataFrame) -> Floats:
    """The error of the naive forecast of each row's key within the training rows, as `Scales` has it."""
    return Scales.of(problem, history).units(rows)


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


def _recent(problem: Problem, history: RowsByPart) -> RowsByPart:
    """The rows of the longest season before the end of the history, such as the last 364 days; all without a season."""
    seasons = problem.period.seasons
    if not seasons:
        return history
    last = max((_numbers(problem, part).max() for part in history if len(part)), default=0)
    return history.map(lambda part: part[_numbers(problem, part) > last - seasons[-1]])


def _numbers(problem: Problem, rows: pd.DataFrame) -> NDArray[np.int64]:
    return problem.period.number(rows[problem.time_name].to_numpy())


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


def _first_known(
    past: RowsByPart, rows: pd.DataFrame, ways: Sequence[Sequence[str]], rest: Callable[[], float]
) -> Floats:
    """The median of the first of the groups that is known of each row; `rest` where none is."""
    found = pd.Series(np.nan, index=np.arange(len(rows)))
    for way, medians in _medians(past, [list(way) for way in ways if way]):
        found = found.fillna(rows[way].reset_index(drop=True).join(medians, on=way)["median"])
    return np.asarray(found.fillna(rest()) if found.isna().any() else found, dtype=np.float64)


def _medians(past: RowsByPart, ways: Sequence[list[str]]) -> Iterator[tuple[list[str], "pd.Series[float]"]]:
    """The median of each group, for each way to group; a group lies in one part, because it has the keys."""
    found = [[part.groupby(way)[TARGET].median().rename("median") for way in ways] for part in past]
    for way, medians in zip(ways, zip(*found, strict=True), strict=True):
        yield way, pd.concat(medians)
