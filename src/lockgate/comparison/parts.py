"""The slices of a comparison: those of the problem, and the weekday of a day."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.evaluation.slices import Slice
from lockgate.problem.description import Bins, Problem

Bools = NDArray[np.bool_]

WEEK, SIZE, WEEKDAY = "week", "size", "weekday"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
DAYS_OF_WEEK = 7
MOST_VALUES = 20  # of a column; a way with more slices is left out


@dataclass(frozen=True)
class Background:
    """What the slices of rows need beside the rows: static features, past targets, the last training period.

    None where it is not at hand.
    """

    static: pd.DataFrame | None = None
    history: pd.DataFrame | None = None
    cutoff: int | None = None


def parts(problem: Problem, rows: pd.DataFrame, known: Background) -> tuple[tuple[Slice, Bools], ...]:
    """Each slice, and which of the rows are in the slice. A row with an unknown value is in no slice of that way."""
    return tuple(
        (Slice(by, str(value), int(chosen.sum())), chosen)
        for by, values in _ways(problem, rows, known)
        for value, chosen in _masks(values)
    )


def _masks(values: "pd.Series[Any]") -> Iterator[tuple[Any, Bools]]:
    found = sorted(values.dropna().unique())
    if len(found) <= MOST_VALUES:
        yield from ((value, np.asarray(values == value, dtype=np.bool_)) for value in found)


def _ways(problem: Problem, rows: pd.DataFrame, known: Background) -> Iterator[tuple[str, "pd.Series[Any]"]]:
    """The value of each row, by the name of the way to slice."""
    for way in problem.slices:
        name = way.column if isinstance(way, Bins) else way
        values = _values(problem, rows, known, name)
        if values is not None:
            yield name, _binned(values, way.bins) if isinstance(way, Bins) else values
    if problem.time and problem.period.name == "day":
        yield WEEKDAY, rows[problem.time_name].dt.day_of_week.map(lambda day: f"{day + 1} {WEEKDAYS[day]}")


def _values(problem: Problem, rows: pd.DataFrame, known: Background, name: str) -> "pd.Series[Any] | None":
    if name in rows:
        return rows[name]
    if name == WEEK and problem.time and known.cutoff is not None:
        return _week(problem, rows, known.cutoff)
    if name == SIZE and known.history is not None:
        return _by_key(problem, rows, _sizes(problem, known.history))
    if known.static is not None and name in known.static:
        return _by_key(problem, rows, known.static.set_index(list(problem.keys))[name])
    return None


def _by_key(problem: Problem, rows: pd.DataFrame, values: "pd.Series[Any]") -> "pd.Series[Any]":
    """The value of each row's key, missing for a key without one."""
    keys = pd.MultiIndex.from_frame(rows[list(problem.keys)]) if len(problem.keys) > 1 else rows[problem.keys[0]]
    return pd.Series(values.reindex(keys).to_numpy(), index=rows.index)


def _week(problem: Problem, rows: pd.DataFrame, cutoff: int) -> "pd.Series[Any]":
    """The week of the horizon, or the period itself where it is a week or longer; week 1 follows the cutoff."""
    ahead = problem.period.number(rows[problem.time_name].to_numpy()) - cutoff
    length = {"day": DAYS_OF_WEEK, "hour": DAYS_OF_WEEK * 24}.get(problem.period.name, 1)
    return pd.Series((ahead - 1) // length + 1, index=rows.index)


def _sizes(problem: Problem, history: pd.DataFrame) -> "pd.Series[Any]":
    """By key, "large" if its median past target is above that of the median key, else "small"."""
    past = history[history[problem.target] != 0]
    median = past.groupby(list(problem.keys))[problem.target].median()
    return (median > median.median()).map({True: "large", False: "small"})


def _binned(values: "pd.Series[Any]", count: int) -> "pd.Series[Any]":
    """The quantile of a number as text: its lowest and highest value."""
    bins = pd.qcut(values, count, duplicates="drop")
    names = {each: f"{each.left:g} to {each.right:g}" for each in bins.cat.categories}
    return bins.astype("object").map(names)
