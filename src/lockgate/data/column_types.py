"""Column types: each one converts the text of a cell to a value, or refuses it with a reason and a hint.

Each distinct text of a column is converted once, so one strict rule both finds faults and makes the values. Many
numbers are converted together (`many_numbers.py`), unless one of them is doubtful.
"""

import datetime
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data import many_numbers
from lockgate.data.readers import RawTable, TextColumn, shown
from lockgate.errors import BadData
from lockgate.problem.columns import Category, Column, ColumnKind, Date, Decimal, Flag, Months, Whole
from lockgate.problem.description import EXACT
from lockgate.problem.periods import PeriodName

WHOLE = re.compile(r"-?[0-9]+(\.0+)?")  # pandas writes 1.0 where a column once held an empty cell
DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
ISO_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?)?")
ISO_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
MOST_FAULTS = 1000  # distinct bad texts of a column that are counted at most
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class CellFault(ValueError):
    """The text of a cell is not a value of its column type; `why` is the reason, `hint` what to write instead."""

    def __init__(self, why: str, hint: str) -> None:
        super().__init__(why)
        self.why = why
        self.hint = hint


@dataclass(frozen=True)
class ColumnType:
    """The values that a column may hold."""

    dtype: str  # pandas dtype of the column
    value: Callable[[str], Any]  # text -> value; raises CellFault
    open_ended: bool = False  # a truncated cell can be a valid value, as 12 for 123
    many: Callable[[Any], NDArray[Any] | None] | None = None  # values of an Arrow array; None: convert one by one
    takes_booleans: bool = True  # of a parquet file, as 1 and 0


@dataclass(frozen=True)
class TextForm:
    """The form of the texts of a file: decimal mark, thousands mark, and texts that mean a missing value."""

    decimal: str = "."
    missing: tuple[str, ...] = ()  # beside the empty text
    thousands: str = ""


PLAIN = TextForm()


def column_type(column: Column, form: TextForm = PLAIN) -> ColumnType:
    """The type of a column in which a missing value, if it has a meaning, becomes NaN."""
    units = column.kind.units if isinstance(column.kind, Decimal) else ()
    given = full_type(column.kind, form)
    return optional(given, (*form.missing, *units)) if column.missing else given


def full_type(kind: ColumnKind, form: TextForm = PLAIN) -> ColumnType:
    """The type of a column without missing values."""
    match kind:
        case Whole(low, high):
            return replace(whole(low, high, form.thousands), takes_booleans=False)
        case Decimal(low, high, units):
            return replace(decimal(low, high, units, form), takes_booleans=False)
        case Flag():
            return whole(0, 1)
        case Category(()):
            return any_text(form.missing)
        case Category(values):
            return letter(values)
        case Date(first, last, ""):
            return iso_date(first, last)
        case Date(first, last, date_form):
            return date_of_form(first, last, date_form)
        case Months():
            return checked(promo_months)


def whole(low: int, high: int, thousands: str = "") -> ColumnType:
    """Whole numbers low..high, in the first of int8, int32 and int64 that holds them."""

    def value(text: str) -> int:
        plain = ungrouped(text, thousands)
        if not WHOLE.fullmatch(plain):
            raise CellFault(_no_number(text, "a whole number"), _number_hint(text))
        return int(_in_range(int(plain.partition(".")[0]), low, high))

    dtype = next(
        dtype for dtype in ("int8", "int32", "int64") if low >= np.iinfo(dtype).min and high <= np.iinfo(dtype).max
    )
    many = None if thousands else partial(many_numbers.whole, low=low, high=high)
    return ColumnType(dtype, value, high > 9, many)


def decimal(low: float, high: float, units: Sequence[str] = (), form: TextForm = PLAIN) -> ColumnType:
    """Finite decimal numbers low..high; with units, one may stand before or after each number."""

    def value(text: str) -> float:
        number = ungrouped(_without_unit(text, units), form.thousands)
        plain = number if form.decimal == "." else number.replace(".", "?").replace(form.decimal, ".")
        if not DECIMAL.fullmatch(plain) or not math.isfinite(float(plain)):
            wanted = f"a finite number{f' in {chr(32).join(units)}' if units else ''}"
            raise CellFault(_no_number(text, wanted), _number_hint(text))
        return float(_in_range(float(plain), low, high))

    is_plain = not units and form.decimal == "." and not form.thousands
    many = partial(many_numbers.decimals, low=low, high=high) if is_plain else None
    return ColumnType("float64", value, not units, many)


def ungrouped(text: str, thousands: str) -> str:
    """A number without the marks between its groups of three digits: 150000 for 150,000; other texts as they are."""
    if not thousands or thousands not in text:
        return text
    grouped = rf"[+-]?[0-9]{{1,3}}(?:{re.escape(thousands)}[0-9]{{3}})+(?:[.,][0-9]+)?"
    return text.replace(thousands, "") if re.fullmatch(grouped, text) else text


def _without_unit(text: str, units: Sequence[str]) -> str:
    bare = text.strip() if units else text
    for unit in units:
        if bare.endswith(unit):
            return bare.removesuffix(unit).strip()
        if bare.startswith(unit):
            return bare.removeprefix(unit).strip()
    return bare


def optional(column_type: ColumnType, missing: Sequence[str] = ()) -> ColumnType:
    """The same type; an empty cell, and a cell with one of these texts, is missing."""

    def value(text: str) -> Any:
        return math.nan if not text.strip() or text.strip() in missing else column_type.value(text)

    def many(values: Any) -> NDArray[np.float64] | None:
        lacking = many_numbers.missing(values, missing)
        known = column_type.many(values.filter(~lacking)) if column_type.many and not lacking.all() else None
        if known is None:
            return None
        found = np.full(len(values), np.nan)
        found[~lacking] = known
        return found

    dtype = column_type.dtype if column_type.dtype in ("str", "datetime64[s]") else "float64"
    return replace(column_type, dtype=dtype, value=value, many=many if column_type.many else None)


def any_text(missing: Sequence[str] = ()) -> ColumnType:
    """Any text that does not mean a missing value."""

    def value(text: str) -> str:
        if not text.strip() or text in missing:
            hint = "fill the cell, or describe the meaning of a missing value: missing, under problem.columns"
            raise CellFault(_empty_or(text, "a missing value"), hint)
        return text

    return ColumnType("str", value, open_ended=True)


def date_of_form(first: datetime.date, last: datetime.date, form: str, past_last: str = "") -> ColumnType:
    """Times first..last in a form of strptime; `past_last` is the reason for refusing a later one."""

    def value(text: str) -> np.datetime64:
        try:
            time = datetime.datetime.strptime(text, form).replace(tzinfo=None)
        except ValueError as error:
            raise CellFault(_empty_or(text, f"not a date of the form {form}"), "correct the date") from error
        return _time_in_range(time, first, last, past_last)

    return ColumnType("datetime64[s]", value)


def _time_in_range(time: datetime.datetime, first: datetime.date, last: datetime.date, past_last: str) -> np.datetime64:
    if not first <= time.date() <= last:
        why = past_last if time.date() > last and past_last else f"outside {first} .. {last}"
        raise CellFault(why, "correct the date, or remove the row")
    return np.datetime64(time, "s")


def letter(allowed: tuple[str, ...]) -> ColumnType:
    """One of the allowed texts."""

    def value(text: str) -> str:
        if text not in allowed:
            raise CellFault(_empty_or(text, f"not one of {', '.join(allowed)}"), f"allowed: {', '.join(allowed)}")
        return text

    return ColumnType("str", value)


def iso_date(first: datetime.date, last: datetime.date, past_last: str = "") -> ColumnType:
    """Dates YYYY-MM-DD first..last; `past_last` is the reason for refusing a later date."""

    def value(text: str) -> np.datetime64:
        if not ISO_DATE.fullmatch(text):
            raise CellFault(_empty_or(text, "not a date of the form YYYY-MM-DD"), "write dates like 2015-07-31")
        try:
            day = datetime.date.fromisoformat(text)
        except ValueError as error:
            raise CellFault(f"no day of the calendar: {error}", "correct the date") from error
        return _time_in_range(datetime.datetime.combine(day, datetime.time()), first, last, past_last)

    return ColumnType("datetime64[s]", value)


def time_type(kind: Date, period: PeriodName, last: datetime.date, past_last: str = "") -> ColumnType:
    """The type of a time up to `last`: in the form of the column, or as ISO writes its period."""
    if kind.form:
        return date_of_form(kind.first, last, kind.form, past_last)
    if period == "hour":
        return iso_time(kind.first, last, past_last)
    return iso_month(kind.first, last, past_last) if period == "month" else iso_date(kind.first, last, past_last)


def iso_time(first: datetime.date, last: datetime.date, past_last: str = "") -> ColumnType:
    """Times YYYY-MM-DD HH:MM, with seconds or without, first..last; a date alone is its midnight."""

    def value(text: str) -> np.datetime64:
        if not ISO_TIME.fullmatch(text):
            why = _empty_or(text, "not a time of the form YYYY-MM-DD HH:MM")
            raise CellFault(why, "write times like 2015-07-31 13:00")
        try:
            time = datetime.datetime.fromisoformat(text)
        except ValueError as error:
            raise CellFault(f"no time of the calendar: {error}", "correct the time") from error
        return _time_in_range(time, first, last, past_last)

    return ColumnType("datetime64[s]", value, open_ended=True)


def iso_month(first: datetime.date, last: datetime.date, past_last: str = "") -> ColumnType:
    """Months YYYY-MM, which are their first day, or dates YYYY-MM-DD, first..last."""
    day = iso_date(first, last, past_last)

    def value(text: str) -> np.datetime64:
        found: np.datetime64 = day.value(f"{text}-01" if ISO_MONTH.fullmatch(text) else text)
        return found

    return ColumnType(day.dtype, value, open_ended=True)


def checked(column_type: Callable[[str], object]) -> ColumnType:
    """Text that a function accepts; the function raises CellFault for any other text."""

    def value(text: str) -> str:
        column_type(text)
        return text

    return ColumnType("str", value, open_ended=True)


def promo_months(interval: str) -> tuple[int, ...]:
    """The months, from 1, that a text names: 'Mar,Jun,Sept,Dec' -> (3, 6, 9, 12); '' -> ().

    Raises CellFault for any other text. September may be Sept.
    """
    names = ["Sep" if name == "Sept" else name for name in interval.split(",")] if interval else []
    if strange := [name for name in names if name not in MONTHS]:
        raise CellFault(f"{strange[0]!r} is no month", "write months like Mar,Jun,Sept,Dec")
    return tuple(MONTHS.index(name) + 1 for name in names)


def category_codes(texts: NDArray[np.object_], categories: Sequence[str]) -> NDArray[np.int8]:
    """The place of each text in `categories`; -1 for any other text."""
    codes = np.full(len(texts), -1, dtype=np.int8)
    for code, category in enumerate(categories):
        codes[texts == category] = code
    return codes


def typed(raw_table: RawTable, column_types: Mapping[str, ColumnType]) -> pd.DataFrame:
    """The columns of `column_types`, in that order, as values; rows in file order.

    Raises BadData for the first bad cell of the file, with its line and text, how many more there are, and a hint.
    """
    columns, faults = {}, []
    for name, column_type in column_types.items():
        texts = raw_table.texts(name)
        values, bad = _values_of(texts, column_type)
        if bad:
            faults.append(_first_fault(name, texts, bad))
        else:
            columns[name] = _spread(values, column_type, texts.codes)
    if faults:
        row, what, hint = min(faults)
        raise BadData(what, where=raw_table.place(row), hint=hint)
    return pd.DataFrame(columns)


def _values_of(texts: TextColumn, column_type: ColumnType) -> tuple[Sequence[Any] | NDArray[Any], dict[int, CellFault]]:
    """The value of each text, and the faults; many numbers are converted together."""
    if column_type.many and len(texts.values) > many_numbers.FEW:
        found = column_type.many(texts.values)
        if found is not None:
            return found, {}
    return _values(texts, column_type)


def _values(
    texts: TextColumn, column_type: ColumnType, most: int = MOST_FAULTS
) -> tuple[list[Any], dict[int, CellFault]]:
    values: list[Any] = []
    bad = {}
    refuses = texts.are_booleans and not column_type.takes_booleans
    for code, text in enumerate(texts.distinct()):
        try:
            if refuses and text:
                raise CellFault("true or false, where the description says a number", "describe it as type: flag")
            values.append(column_type.value(text))
        except CellFault as fault:
            bad[code] = fault
            if len(bad) == most:
                break
    return values, bad


def faults(texts: TextColumn, column_type: ColumnType) -> dict[int, CellFault]:
    """The codes of all texts of a column that are no values of its type."""
    return _values(texts, column_type, len(texts.values))[1]


def _first_fault(name: str, texts: TextColumn, bad: dict[int, CellFault]) -> tuple[int, str, str]:
    rows = np.flatnonzero(np.isin(texts.codes, list(bad)))
    code = int(texts.codes[rows[0]])
    least = "at least " if len(bad) == MOST_FAULTS else ""
    more = f" (and {least}{len(rows) - 1} more such cells)" if len(rows) > 1 else ""
    return int(rows[0]), f"{name} is {shown(texts.text(code))}: {bad[code].why}{more}", bad[code].hint


def _spread(values: Sequence[Any] | NDArray[Any], column_type: ColumnType, codes: NDArray[np.int32]) -> Any:
    if column_type.dtype == "datetime64[s]":
        times = [np.datetime64("NaT") if isinstance(value, float) else value for value in values]
        return np.array(times, dtype=column_type.dtype)[codes]
    if column_type.dtype == "str":
        return pd.array(values, dtype="str").take(codes)
    return np.array(values, dtype=column_type.dtype)[codes]


def _in_range(number: float, low: float, high: float) -> float:
    if number < 0 <= low:
        raise CellFault("negative", "correct the value, or remove the row")
    if not low <= number <= high:
        too_long = "use type: category, because a request cannot hold this number exactly"
        hint = too_long if high == EXACT < number else "correct the value, or remove the row"
        raise CellFault(f"outside {_bound(low)} .. {_bound(high)}", hint)
    return number


def _bound(number: float) -> str:
    return str(int(number)) if math.isfinite(number) and number == int(number) else str(number)


def _no_number(text: str, wanted: str) -> str:
    return _empty_or(text, f"not {wanted}")


def _empty_or(text: str, why: str) -> str:
    return "the cell is empty" if not text.strip() else why


def _number_hint(text: str) -> str:
    bare = text.replace(",", "").replace("'", "").replace(" ", "").replace("_", "")
    return f"write it without separators: {bare}" if WHOLE.fullmatch(bare) else "correct the value, or remove the row"
