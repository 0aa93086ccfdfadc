"""Reads and checks the raw rows of a forecast request; a refusal names the allowed values."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.errors import BadData
from lockgate.features import calendar
from lockgate.features.known_inputs import KnownInputs
from lockgate.forecaster import input_values
from lockgate.forecaster.input_values import DATE_FORM, NO_DAY
from lockgate.problem import columns
from lockgate.problem.columns import KEY, OPEN, TIME, WEEKDAY, Category, Column

SHOWN = 5
NEW_STORE = "a new one needs a line in store.csv and a training"


@dataclass(frozen=True)
class Limits:
    """The rows that a forecaster takes: its stores (sorted), and the days after `origin` up to `last_day`."""

    store_ids: NDArray[np.int32]
    origin: int
    last_day: int

    @property
    def dates(self) -> str:
        """The allowed dates, as text."""
        first, last = np.array([self.origin + 1, self.last_day]).astype("datetime64[D]")
        return f"dates from {first} to {last}"


@dataclass(frozen=True)
class RowProblem:
    """A row that cannot be forecast: its position (from 0), the column, the value found, and what is allowed."""

    row: int
    column: str
    value: str
    allowed: str

    def __str__(self) -> str:
        return f"row {self.row}: {self.column} is {self.value}"


@dataclass(frozen=True)
class BrokenRule:
    """A rule for a column, the rows that break it, and what is allowed."""

    column: str
    bad: NDArray[np.bool_]
    allowed: str


@dataclass(frozen=True)
class Covariate:
    """A known covariate of rows as codes, the rows without a value, and the rows that break its rule.

    The code of a flag is its value, that of a category its place. `missing` is False where a missing value has no
    meaning.
    """

    codes: NDArray[np.int8]
    missing: NDArray[np.bool_]
    bad: NDArray[np.bool_]
    allowed: str


@dataclass(frozen=True)
class CheckedRows:
    """Rows that can be forecast, as arrays."""

    known: KnownInputs
    open: NDArray[np.bool_]
    open_missing: NDArray[np.bool_]  # taken as open


def read(rows: pd.DataFrame, limits: Limits) -> CheckedRows:
    """Check raw rows and turn them into arrays, in their order; `rows` is not changed.

    The columns are those of `columns.REQUEST`; one whose missing values have a meaning may be missing as a whole. A
    weekday, if the column exists, must agree with the date; other columns are ignored. Raises BadData that names the
    first bad rows.
    """
    checked, failures = _read(rows, limits)
    first = list(islice(_describe(rows, failures), SHOWN))
    if first:
        bad = int(np.logical_or.reduce([failure.bad for failure in failures]).sum())
        shown = "; ".join(map(str, first))
        where, hint = first[0].column, first[0].allowed
        raise BadData(f"{bad} of {len(rows)} rows cannot be forecast: {shown}", where=where, hint=hint)
    return checked


def problems(rows: pd.DataFrame, limits: Limits) -> list[RowProblem]:
    """All problems of raw rows, by row; empty if they can be forecast. Raises BadData for a missing column."""
    return sorted(_describe(rows, _read(rows, limits)[1]), key=lambda problem: problem.row)


def _read(rows: pd.DataFrame, limits: Limits) -> tuple[CheckedRows, list[BrokenRule]]:
    _check_columns(rows)
    ids = limits.store_ids
    store_is_known, place = _places(input_values.numbers(rows[KEY]), ids)
    day = input_values.days(rows[TIME])
    covariates = {column.name: _covariate(rows, column) for column in columns.KNOWN_COVARIATES}
    weekday, weekday_missing = _optional(rows, WEEKDAY)
    other_weekday = (weekday != calendar.weekdays(day) + 1) & ~weekday_missing & (day != NO_DAY)
    failures = [
        BrokenRule(KEY, ~store_is_known, f"known stores: {len(ids)} from {ids[0]} to {ids[-1]}; {NEW_STORE}"),
        BrokenRule(TIME, day == NO_DAY, f"{limits.dates}; {DATE_FORM}"),
        BrokenRule(TIME, ((day <= limits.origin) | (day > limits.last_day)) & (day != NO_DAY), limits.dates),
        BrokenRule(WEEKDAY, other_weekday, f"{WEEKDAY} fits the date; Monday is 1"),
        *(BrokenRule(name, covariate.bad, covariate.allowed) for name, covariate in covariates.items()),
    ]
    codes = {name: covariate.codes for name, covariate in covariates.items() if name != OPEN}
    known = KnownInputs(place, day, codes)
    opened = covariates[OPEN]
    return CheckedRows(known, opened.missing | (opened.codes == 1), opened.missing), failures


def _covariate(rows: pd.DataFrame, column: Column) -> Covariate:
    if isinstance(column.kind, Category):
        return _category(rows[column.name], column.name, column.kind.values)
    return _flag(rows, column)


def _category(values: "pd.Series[str]", name: str, categories: tuple[str, ...]) -> Covariate:
    codes = input_values.codes(values, categories)
    nowhere = np.zeros(len(values), dtype=np.bool_)
    return Covariate(codes, nowhere, codes < 0, f"{name} is one of {', '.join(categories)}")


def _flag(rows: pd.DataFrame, column: Column) -> Covariate:
    if column.missing:
        values, missing = _optional(rows, column.name)
        allowed = f"0, 1 or missing ({column.missing})"
    else:
        values, missing = input_values.numbers(rows[column.name]), np.zeros(len(rows), dtype=np.bool_)
        allowed = "0 or 1"
    bad = ~((values == 0) | (values == 1) | missing)
    return Covariate((values == 1).astype(np.int8), missing, bad, f"{column.name} is {allowed}")


def _check_columns(rows: pd.DataFrame) -> None:
    required = columns.names(columns.REQUIRED)
    missing = [name for name in required if name not in rows.columns]
    if missing:
        found = ", ".join(map(str, rows.columns[:20]))
        raise BadData(f"missing column {missing[0]}", where=f"found {found}", hint=f"needed: {', '.join(required)}")
    if not rows.columns.is_unique:
        twice = rows.columns[rows.columns.duplicated()][0]
        raise BadData(f"column {twice} appears twice", hint="name each column once")


def _describe(rows: pd.DataFrame, failures: list[BrokenRule]) -> Iterator[RowProblem]:
    for failure in failures:
        for row in np.flatnonzero(failure.bad):
            value = _shown(rows[failure.column].iloc[row])
            yield RowProblem(int(row), failure.column, value, failure.allowed)


def _shown(value: object) -> str:
    text = str(value).removesuffix(" 00:00:00")
    return ascii(text[:40])[1:-1] or "empty"


def _optional(rows: pd.DataFrame, column: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Numbers of an optional column, and a flag for each missing value."""
    if column not in rows:
        return np.full(len(rows), np.nan), np.ones(len(rows), dtype=np.bool_)
    return input_values.numbers(rows[column]), np.asarray(rows[column].isna())


def _places(stores: NDArray[np.float64], ids: NDArray[np.int32]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Flags of the known stores, and the place of each store in `ids`."""
    place = np.minimum(np.searchsorted(ids, stores), len(ids) - 1)
    return np.asarray(ids[place] == stores), place
