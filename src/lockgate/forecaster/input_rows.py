"""Raw rows that somebody wants forecast: read, checked, turned into arrays; refused where no forecast is honest."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.errors import BadData
from lockgate.features import calendar
from lockgate.features.known_inputs import Known
from lockgate.features.panel import HOLIDAY_LETTERS, holiday_codes

REQUIRED = ("Store", "Date", "Promo", "StateHoliday", "SchoolHoliday")
NO_DAY = np.iinfo(np.int64).min
SHOWN = 5
NEW_STORE = "a new one needs a line in store.csv and a training"
ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Limits:
    """What can be asked of a forecaster: its stores (sorted), and the days after `origin` up to `last_day`."""

    store_ids: NDArray[np.int32]
    origin: int
    last_day: int

    @property
    def dates(self) -> str:
        """The allowed dates in words."""
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
class Failure:
    """A rule that some rows break."""

    column: str
    bad: NDArray[np.bool_]
    allowed: str


@dataclass(frozen=True)
class Asked:
    """Checked rows."""

    known: Known
    open: NDArray[np.bool_]
    open_missing: NDArray[np.bool_]  # taken as open


def read(rows: pd.DataFrame, limits: Limits) -> Asked:
    """Check raw rows and turn them into arrays, in their order; `rows` is not changed.

    Columns Store, Date (ISO text, date or datetime), Promo, StateHoliday, SchoolHoliday, and Open (a missing value or
    column means open); a DayOfWeek, if there is one, must agree with the date; other columns are ignored. Raises
    BadData that names the first bad rows.
    """
    asked, failures = _read(rows, limits)
    first = list(islice(_describe(rows, failures), SHOWN))
    if first:
        bad = int(np.logical_or.reduce([failure.bad for failure in failures]).sum())
        shown = "; ".join(map(str, first))
        where, hint = first[0].column, first[0].allowed
        raise BadData(f"{bad} of {len(rows)} rows cannot be forecast: {shown}", where=where, hint=hint)
    return asked


def problems(rows: pd.DataFrame, limits: Limits) -> list[RowProblem]:
    """All that is wrong with raw rows, by row; empty if they can be forecast. Raises BadData for a missing column."""
    return sorted(_describe(rows, _read(rows, limits)[1]), key=lambda problem: problem.row)


def _read(rows: pd.DataFrame, limits: Limits) -> tuple[Asked, list[Failure]]:
    _check_columns(rows)
    ids = limits.store_ids
    store_is_known, place = _places(_numbers(rows["Store"]), ids)
    day, holiday = _days(rows["Date"]), _holidays(rows["StateHoliday"])
    promo, school = _numbers(rows["Promo"]), _numbers(rows["SchoolHoliday"])
    opened, open_missing = _optional(rows, "Open")
    weekday, weekday_missing = _optional(rows, "DayOfWeek")
    other_weekday = (weekday != calendar.weekdays(day) + 1) & ~weekday_missing & (day != NO_DAY)
    failures = [
        Failure("Store", ~store_is_known, f"known stores: {len(ids)} from {ids[0]} to {ids[-1]}; {NEW_STORE}"),
        Failure("Date", (day <= limits.origin) | (day > limits.last_day), f"{limits.dates}, as YYYY-MM-DD"),
        Failure("DayOfWeek", other_weekday, "DayOfWeek fits the date; Monday is 1"),
        Failure("Open", ~(_is_flag(opened) | open_missing), "Open is 0, 1 or missing (taken as open)"),
        Failure("Promo", ~_is_flag(promo), "Promo is 0 or 1"),
        Failure("StateHoliday", holiday < 0, f"StateHoliday is one of {', '.join(HOLIDAY_LETTERS)}"),
        Failure("SchoolHoliday", ~_is_flag(school), "SchoolHoliday is 0 or 1"),
    ]
    known = Known(place, day, (promo == 1).astype(np.int8), (school == 1).astype(np.int8), holiday)
    return Asked(known, open_missing | (opened == 1), open_missing), failures


def _check_columns(rows: pd.DataFrame) -> None:
    missing = [name for name in REQUIRED if name not in rows.columns]
    if missing:
        found = ", ".join(map(str, rows.columns[:20]))
        raise BadData(f"missing column {missing[0]}", where=f"found {found}", hint=f"needed: {', '.join(REQUIRED)}")
    if not rows.columns.is_unique:
        twice = rows.columns[rows.columns.duplicated()][0]
        raise BadData(f"column {twice} appears twice", hint="name each column once")


def _describe(rows: pd.DataFrame, failures: list[Failure]) -> Iterator[RowProblem]:
    for failure in failures:
        for row in np.flatnonzero(failure.bad):
            value = _shown(rows[failure.column].iloc[row])
            yield RowProblem(int(row), failure.column, value, failure.allowed)


def _shown(value: object) -> str:
    text = str(value).removesuffix(" 00:00:00")
    return ascii(text[:40])[1:-1] or "empty"


def _optional(rows: pd.DataFrame, column: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Numbers of a column that may be absent, and where it says nothing."""
    if column not in rows:
        return np.full(len(rows), np.nan), np.ones(len(rows), dtype=np.bool_)
    return _numbers(rows[column]), np.asarray(rows[column].isna())


def _numbers(column: "pd.Series[float]") -> NDArray[np.float64]:
    """Values as float64, NaN for what is missing or no number."""
    kind = getattr(column.dtype, "kind", "O")
    if kind not in "iufb" or not isinstance(column.dtype, np.dtype):
        column = pd.to_numeric(column, errors="coerce")
    return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))


def _is_flag(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray((values == 0) | (values == 1))


def _places(stores: NDArray[np.float64], ids: NDArray[np.int32]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which stores are known, and each one's place in `ids`."""
    place = np.minimum(np.searchsorted(ids, stores), len(ids) - 1)
    return np.asarray(ids[place] == stores), place


def _holidays(column: "pd.Series[str]") -> NDArray[np.int8]:
    """Codes of StateHoliday, -1 for an unknown one; the number 0 is as good as the text "0"."""
    values = column.to_numpy(dtype=object)
    if column.dtype.kind in "iuf":
        return np.where(column.to_numpy() == 0, 0, -1).astype(np.int8)
    codes = holiday_codes(values)
    if codes.min(initial=0) < 0:
        codes[[code < 0 and type(value) is int and value == 0 for code, value in zip(codes, values, strict=True)]] = 0
    return codes


def _days(column: "pd.Series[str]") -> NDArray[np.int64]:
    """Day numbers; NO_DAY for what is no whole day."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "M":
        return _whole_days(column.to_numpy())
    values = column.to_numpy(dtype=object)
    try:
        if all(type(value) is str and ISO_DATE.fullmatch(value) for value in values):
            return calendar.day_numbers(values.astype("datetime64[D]"))
    except ValueError:
        pass
    return np.fromiter(map(_day, values), dtype=np.int64, count=len(values))


def _whole_days(times: NDArray[np.datetime64]) -> NDArray[np.int64]:
    days = times.astype("datetime64[D]")
    return np.where((days == times) & ~np.isnat(times), days.astype(np.int64), NO_DAY)


def _day(value: object) -> int:
    try:
        if isinstance(value, str) and ISO_DATE.fullmatch(value):
            return date.fromisoformat(value).toordinal() - date(1970, 1, 1).toordinal()
        if isinstance(value, pd.Timestamp) and value.tzinfo is None:
            return int(_whole_days(np.array([value.to_datetime64()]))[0])
        if type(value) is date:
            return value.toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        pass
    return int(NO_DAY)
