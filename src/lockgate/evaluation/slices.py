"""Slices of rows, as the problem describes them: by a column, by bins of a number, by time and size of a key."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data.rows_by_part import Rows, RowsByPart
from lockgate.models import pooled
from lockgate.problem.description import Bins, Problem

Bools = NDArray[np.bool_]

WEEK, SIZE, WEEKDAY = "week", "size", "weekday"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
DAYS_OF_WEEK = 7
MOST_VALUES = 20  # of a column; a way with more slices is left out, and a number is put into quarters
QUARTERS = 4
VALUE = "value of the row"


@dataclass(frozen=True)
class Slice:
    """The rows with one value in one way to slice."""

    by: str
    value: str
    rows: int

    @property
    def name(self) -> str:
        """The slice in words: a column and its value."""
        return f"{self.by} {self.value}"


@dataclass(frozen=True)
class Background:
    """What the slices of rows need beside the rows: static features, training rows, the last training period.

    None where it is not at hand.
    """

    static: pd.DataFrame | None = None
    history: Rows | None = None
    cutoff: int | None = None


Parts = tuple[tuple[Slice, Bools], ...]


def parts(problem: Problem, rows: pd.DataFrame, known: Background) -> Parts:
    """Each slice, and which of the rows are in the slice. A row with an unknown value is in no slice of that way."""
    return tuple(
        each for by, values in _ways(problem, rows, known) for each in of_values(by, values)
    )  # fmt: skip


def of_values(by: str, values: "pd.Series[Any]") -> Iterator[tuple[Slice, Bools]]:
    """The slices by a value of each row; none if there are more than MOST_VALUES values."""
    found = sorted(values.dropna().unique())
    for value in found if len(found) <= MOST_VALUES else ():
        chosen = np.asarray(values == value, dtype=np.bool_)
        yield Slice(by, str(value), int(chosen.sum())), chosen


def weekdays(problem: Problem, rows: pd.DataFrame) -> "pd.Series[Any]":
    """The weekday of each row."""
    return rows[problem.time_name].dt.day_of_week.map(lambda day: f"{day + 1} {WEEKDAYS[day]}")


def _ways(problem: Problem, rows: pd.DataFrame, known: Background) -> Iterator[tuple[str, "pd.Series[Any]"]]:
    """The value of each row, by the name of the way to slice."""
    for way in problem.slices:
        name = way.column if isinstance(way, Bins) else way
        values = _values(problem, rows, known, name)
        if values is not None:
            bins = way.bins if isinstance(way, Bins) else _bins_of(problem, name, values)
            yield name, _binned(values, bins, _learned(problem, known, name, values)) if bins else values


def _bins_of(problem: Problem, name: str, values: "pd.Series[Any]") -> int:
    """The bins of a column that is named without bins: quarters for a number with many values, else none (0)."""
    is_number = name in problem.columns and problem.columns[name].type in ("integer", "number")
    return QUARTERS if is_number and values.nunique() > MOST_VALUES else 0


def _values(problem: Problem, rows: pd.DataFrame, known: Background, name: str) -> "pd.Series[Any] | None":
    if name in rows:
        return rows[name]
    if name == WEEK and problem.time and known.cutoff is not None:
        return _week(problem, rows, known.cutoff)
    if name == WEEKDAY and problem.time and not problem.period.is_integer:
        return weekdays(problem, rows)
    if name == SIZE and known.history is not None:
        return _by_key(problem, rows, _sizes(problem, RowsByPart.of(known.history)))
    if known.static is not None and name in known.static and problem.keys:
        return _by_key(problem, rows, known.static.set_index(list(problem.keys))[name])
    return None


def _learned(problem: Problem, known: Background, name: str, values: "pd.Series[Any]") -> RowsByPart:
    """The values of a column in the training rows as the column VALUE; those given where the rows are not at hand."""
    history = None if known.history is None else RowsByPart.of(known.history)
    if history is None or _values(problem, next(iter(history)).head(0), known, name) is None:
        return RowsByPart.of(values.to_frame(VALUE))
    return history.map(lambda part: pd.DataFrame({VALUE: _values(problem, part, known, name)}))


def _by_key(problem: Problem, rows: pd.DataFrame, values: "pd.Series[Any]") -> "pd.Series[Any]":
    """The value of each row's key, missing for a key without one."""
    keys = pd.MultiIndex.from_frame(rows[list(problem.keys)]) if len(problem.keys) > 1 else rows[problem.keys[0]]
    return pd.Series(values.reindex(keys).to_numpy(), index=rows.index)


def _week(problem: Problem, rows: pd.DataFrame, cutoff: int) -> "pd.Series[Any]":
    """The week of the horizon, or the period itself where it is a week or longer; week 1 follows the cutoff."""
    ahead = problem.period.number(rows[problem.time_name].to_numpy()) - cutoff
    length = {"day": DAYS_OF_WEEK, "hour": DAYS_OF_WEEK * 24}.get(problem.period.name, 1)
    return pd.Series((ahead - 1) // length + 1, index=rows.index)


def _sizes(problem: Problem, history: RowsByPart) -> "pd.Series[Any]":
    """By key, "large" if its median past target is above that of the median key, else "small"."""
    median = pd.concat([_medians(problem, part) for part in history])
    return (median > median.median()).map({True: "large", False: "small"})


def _medians(problem: Problem, rows: pd.DataFrame) -> "pd.Series[Any]":
    past = rows[rows[problem.target] != 0]
    return past.groupby(list(problem.keys))[problem.target].median()


def _binned(values: "pd.Series[Any]", count: int, learned: RowsByPart) -> "pd.Series[Any]":
    """The bin of a number as text; the bins are quantiles of the training rows, else of the rows."""
    edges = np.unique(pooled.quantiles(learned, VALUE, np.linspace(0, 1, count + 1)[1:-1].tolist()))
    if np.isnan(edges).any():
        return pd.Series(pd.NA, index=values.index, dtype="object")
    place = np.searchsorted(edges, values.to_numpy(dtype=np.float64), side="left")
    names = _names_of(edges)
    texts = pd.Series([names[each] for each in place], index=values.index, dtype="object")
    return texts.where(values.notna())


def _names_of(edges: NDArray[np.float64]) -> list[str]:
    """The bins between some edges; an edge belongs to the bin below it."""
    if not edges.size:
        return ["all"]
    between = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    return [f"up to {edges[0]:g}", *between, f"above {edges[-1]:g}"]
