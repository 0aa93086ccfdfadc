"""Reads and checks the raw rows of a request for a panel by its description; a refusal names the allowed values."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.known_inputs import KnownInputs, covariate_columns, encoded
from lockgate.features.recipe import State
from lockgate.forecaster import typed_rows
from lockgate.forecaster.input_rows import BrokenRule, CheckedRows, RowProblem
from lockgate.problem.columns import Column, Date, Flag, Role, Whole
from lockgate.problem.description import Problem
from lockgate.problem.periods import Period

NO_PERIOD = np.iinfo(np.int64).min
ISO_FORMS = {"month": "%Y-%m"}  # beside the forms that pandas knows as ISO 8601
SHOWN_KEYS = 5


@dataclass(frozen=True)
class Window:
    """The periods that a forecaster takes: those after `cutoff` up to `last`."""

    cutoff: int
    last: int

    def allowed(self, period: Period) -> str:
        """The allowed times, as text."""
        return f"times from {period.text(self.cutoff + 1)} to {period.text(self.last)}"


def read(problem: Problem, state: State, window: Window, rows: pd.DataFrame) -> CheckedRows:
    """Check raw rows and turn them into arrays, in their order; `rows` is not changed.

    A column whose missing values have a meaning may be missing as a whole; other columns are ignored. Raises BadData
    that names the first bad rows.
    """
    frame, places, periods, rules = _read(problem, state, window, rows)
    typed_rows.refuse(rows, rules)
    covariates = encoded(covariate_columns(problem), frame, state.categories)
    learned, unknown = _learned(problem, frame)
    return CheckedRows(KnownInputs(places, periods, covariates), learned, unknown)


def problems(problem: Problem, state: State, window: Window, rows: pd.DataFrame) -> list[RowProblem]:
    """All problems of raw rows, by row; empty if they can be forecast. Raises BadData for a missing column."""
    rules = _read(problem, state, window, rows)[-1]
    return sorted(typed_rows.described(rows, rules), key=lambda found: found.row)


def _read(
    problem: Problem, state: State, window: Window, rows: pd.DataFrame
) -> tuple[pd.DataFrame, NDArray[np.int64], NDArray[np.int64], list[BrokenRule]]:
    untimed = tuple(column for column in problem.request if column.role is not Role.TIME)
    frame, rules = typed_rows.read(untimed, rows, [column.name for column in problem.required])
    periods = periods_of(problem.column(problem.time_name), problem.period, rows[problem.time_name])
    places = state.series.places(_keys(problem, frame))
    return frame, places, periods, [*_rules(problem, state, window, places, periods), *rules]


def _rules(
    problem: Problem, state: State, window: Window, places: NDArray[np.int64], periods: NDArray[np.int64]
) -> Iterator[BrokenRule]:
    if problem.keys:
        yield BrokenRule(problem.keys[0], places < 0, _known_keys(problem, state))
    allowed = window.allowed(problem.period)
    outside = (periods <= window.cutoff) | (periods > window.last)
    yield BrokenRule(problem.time_name, outside, allowed)


def _known_keys(problem: Problem, state: State) -> str:
    frame = state.series.frame[list(problem.keys)]
    shown = "; ".join(", ".join(map(str, row)) for row in frame.head(SHOWN_KEYS).itertuples(index=False))
    more = "; ..." if len(frame) > SHOWN_KEYS else ""
    return f"known values of {' and '.join(problem.keys)}: {len(frame)} ({shown}{more}); a new one needs a training"


def _keys(problem: Problem, frame: pd.DataFrame) -> pd.DataFrame:
    """The key columns; whole numbers as integers, -1 for a value that is no number."""
    keys = frame[list(problem.keys)]
    whole = [name for name in problem.keys if isinstance(problem.column(name).kind, Whole | Flag)]
    return keys.assign(**{name: keys[name].fillna(-1).astype(np.int64) for name in whole})


def periods_of(column: Column, period: Period, values: "pd.Series[Any]") -> NDArray[np.int64]:
    """The period of each value of a time column; NO_PERIOD for a value that is no time."""
    if period.is_integer:
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64)
        valid = np.isfinite(numbers) & (numbers == np.floor(np.where(np.isfinite(numbers), numbers, 0.5)))
        return np.where(valid, np.where(valid, numbers, 0), NO_PERIOD).astype(np.int64)
    times = _times(column, period, values)
    valid = times.notna().to_numpy()
    seconds = times.fillna(pd.Timestamp(0)).to_numpy().astype("datetime64[s]")
    return np.where(valid, period.number(seconds), NO_PERIOD)


def _times(column: Column, period: Period, values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Times without a zone; NaT for a value that is no time. A number is no time."""
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return values.dt.tz_localize(None)  # the time on the clock of its own zone
    if isinstance(values.dtype, np.dtype) and values.dtype.kind == "M":
        return values
    texts = values.map(lambda value: str(value) if not isinstance(value, bool | int | float | np.number) else None)
    found = pd.Series(pd.NaT, index=values.index, dtype="datetime64[s]")
    for form in filter(None, (column.kind.form if isinstance(column.kind, Date) else "", ISO_FORMS.get(period.name))):
        found = found.fillna(pd.to_datetime(texts, format=form, errors="coerce").astype("datetime64[s]"))
    iso = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=False)
    return found.fillna(pd.to_datetime(iso, errors="coerce").astype("datetime64[s]"))


def _learned(problem: Problem, frame: pd.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The rows that are learned and scored, and those that do not say so: they are taken as learned."""
    if problem.where is None:
        return np.ones(len(frame), dtype=np.bool_), np.zeros(len(frame), dtype=np.bool_)
    values = frame[problem.where.column]
    unknown = values.isna().to_numpy(dtype=np.bool_)
    return unknown | (values == problem.where.equals).to_numpy(dtype=np.bool_), unknown
