"""Converts the columns of raw rows to arrays: numbers, dates and categories, in every form that common clients send.

A value that has none of these forms becomes NaN, NO_DAY or -1; `input_rows` refuses the row.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime, time

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data.column_types import category_codes
from lockgate.features import calendar

NO_DAY = np.iinfo(np.int64).min
EPOCH = date(1970, 1, 1).toordinal()
ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Midnight as JavaScript, pandas and databases write it, in any zone: the day is the one in the text.
MIDNIGHT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]00:00(?::00(?:\.0{1,9})?)?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?| UTC)?"
)
DATE_FORM = (
    "write the date as 2015-08-01, or as its midnight: 2015-08-01T00:00:00Z;"
    " a time of day and a number (such as epoch milliseconds) are no date"
)


def numbers(column: "pd.Series[float]") -> NDArray[np.float64]:
    """Values as float64; NaN for a missing value and for a value that is no number."""
    kind = getattr(column.dtype, "kind", "O")
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if kind not in "iufb" or not isinstance(column.dtype, np.dtype):
        column = _converted(column)
    return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))


def _converted(column: "pd.Series[float]") -> "pd.Series[float]":
    try:
        return pd.to_numeric(column, errors="coerce")
    except OverflowError:  # JSON's integers have any length
        return pd.to_numeric(column.astype(str), errors="coerce")


def codes(column: "pd.Series[str]", categories: Sequence[str]) -> NDArray[np.int8]:
    """The place of each value in `categories`, -1 for any other value; the number 0 means the category "0"."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf":
        texts = np.where(column.to_numpy() == 0, "0", "").astype(object)
    else:
        texts = np.array([_category(value) for value in column.to_numpy(dtype=object)], dtype=object)
    return category_codes(texts, categories)


def _category(value: object) -> str:
    if isinstance(value, str):
        return str(value)
    is_number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return "0" if is_number and value == 0 else ""


def days(column: "pd.Series[str]") -> NDArray[np.int64]:
    """Day numbers since 1970-01-01; NO_DAY for a value that is no whole day."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_localize(None)  # the day on the clock of its own zone
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
    whole = times.astype("datetime64[D]")
    return np.where((whole == times) & ~np.isnat(times), whole.astype(np.int64), NO_DAY)


def _day(value: object) -> int:
    if isinstance(value, str):
        return _day_of_text(value)
    if isinstance(value, np.datetime64):
        return int(_whole_days(np.array([value]))[0])
    if isinstance(value, datetime):
        return _day_of_time(value)
    return value.toordinal() - EPOCH if type(value) is date else NO_DAY


def _day_of_text(text: str) -> int:
    midnight = MIDNIGHT.fullmatch(text)
    day = midnight[1] if midnight else text
    try:
        return date.fromisoformat(day).toordinal() - EPOCH if ISO_DATE.fullmatch(day) else NO_DAY
    except ValueError:
        return NO_DAY


def _day_of_time(value: datetime) -> int:
    if pd.isna(value) or value.time() != time.min or (isinstance(value, pd.Timestamp) and value.nanosecond):
        return NO_DAY
    return value.toordinal() - EPOCH
