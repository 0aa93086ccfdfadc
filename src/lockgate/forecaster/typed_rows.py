"""Reads the raw rows of a request by the description: each column in the type that the features take.

Numbers become float64, categories texts, dates datetime64; a missing value is NaN, or NaT. A value that is not allowed
is a problem of its row, and a missing value is one in a column where it has no meaning.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data.column_types import CellFault, promo_months
from lockgate.errors import BadData
from lockgate.forecaster import input_values, time_values
from lockgate.forecaster.checked_rows import BrokenRule, RowProblem
from lockgate.forecaster.raw_rows import RawRows
from lockgate.problem.columns import Category, Column, Date, Decimal, Flag, Months, Role, Whole
from lockgate.problem.description import EXACT, Problem
from lockgate.problem.periods import Period

SHOWN = 5  # bad rows in a message
LONGEST_SHOWN = 40  # characters of a value
LONGEST_TEXT = 100_000  # characters
Bools = NDArray[np.bool_]
Columns = dict[str, NDArray[Any]]
_Read = tuple[NDArray[Any], Bools, str]  # the values of a column, the rows that have an allowed one, what is allowed


@dataclass(frozen=True)
class TypedColumn:
    """The values of a column, the rows whose value is not allowed, and what is allowed."""

    values: NDArray[Any]
    bad: Bools
    allowed: str


def typed(problem: Problem, rows: RawRows) -> pd.DataFrame:
    """The columns of a request by their types, in the order of the rows; `rows` is not changed.

    An optional column may be missing as a whole; other columns are ignored. Raises BadData with the first bad rows.
    """
    columns, rules = _read(problem, rows)
    refuse(rows, rules)
    return pd.DataFrame(columns, index=range(len(rows)))


def refuse(rows: RawRows, rules: list[BrokenRule]) -> None:
    """Raise BadData with the first rows that break a rule."""
    if first := list(islice(described(rows, rules), SHOWN)):
        bad = int(np.logical_or.reduce([rule.bad for rule in rules]).sum())
        shown = "; ".join(map(str, first))
        raise BadData(
            f"{bad} of {len(rows)} rows cannot be forecast: {shown}", where=first[0].column, hint=first[0].allowed
        )


def problems(problem: Problem, rows: RawRows) -> list[RowProblem]:
    """All problems of raw rows, by row; empty if they can be forecast. Raises BadData for a missing column."""
    return sorted(described(rows, _read(problem, rows)[1]), key=lambda found: found.row)


def _read(problem: Problem, rows: RawRows) -> tuple[Columns, list[BrokenRule]]:
    columns, rules = read(problem, problem.request, rows)
    if not problem.time:
        return columns, rules
    times = columns[problem.time_name]
    return columns, [*rules, *weekday_rules(problem, rows, times), *_repeated(problem, columns)]


def read(problem: Problem, columns: tuple[Column, ...], rows: RawRows) -> tuple[Columns, list[BrokenRule]]:
    """Columns of a request by their types, and a rule for each one; a value that breaks it may have any type.

    Raises BadData if a required column is missing, or a column appears twice.
    """
    _check_columns([column.name for column in problem.required], rows)
    found = {column.name: _typed_column(problem, column, rows) for column in columns}
    rules = [BrokenRule(name, typed.bad, typed.allowed) for name, typed in found.items()]
    return {name: typed.values for name, typed in found.items()}, rules


def weekday_rules(problem: Problem, rows: RawRows, times: NDArray[Any]) -> Iterator[BrokenRule]:
    """A rule for each column of weekdays that the rows have; a missing weekday, and an unknown time, break none."""
    for name in problem.checks:
        if name in rows:
            values, days = input_values.plain(rows[name]), times.astype("datetime64[D]")
            weekday = (days.astype(np.int64) + 3) % 7 + 1
            wrong = (input_values.numbers(values) != weekday) | input_values.booleans(values)
            bad = wrong & ~pd.isna(values) & ~np.isnat(days)
            yield BrokenRule(name, bad, f"{name} fits {problem.time_name}; Monday is 1")


def _repeated(problem: Problem, columns: Columns) -> Iterator[BrokenRule]:
    """A rule for states: two rows of a key at one time contradict each other."""
    if problem.kind == "state":
        frame = pd.DataFrame({name: columns[name] for name in (*problem.keys, problem.time_name)})
        bad = frame.duplicated(keep=False).to_numpy(dtype=np.bool_)
        yield BrokenRule(problem.time_name, bad, f"one row for each {' and '.join(problem.keys)} and time")


def _check_columns(required: list[str], rows: RawRows) -> None:
    if missing := [name for name in required if name not in rows]:
        found = ", ".join(map(str, rows.columns[:20]))
        raise BadData(f"missing column {missing[0]}", where=f"found {found}", hint=f"needed: {', '.join(required)}")
    if isinstance(rows, pd.DataFrame) and not rows.columns.is_unique:
        twice = rows.columns[rows.columns.duplicated()][0]
        raise BadData(f"column {twice} appears twice", hint="name each column once")


def _typed_column(problem: Problem, column: Column, rows: RawRows) -> TypedColumn:
    if column.name not in rows:
        return _typed_values(problem, column, np.full(len(rows), None, dtype=object))
    given, places = input_values.distinct(rows[column.name])
    found = _typed_values(problem, column, given)
    return found if places is None else TypedColumn(found.values[places], found.bad[places], found.allowed)


def _typed_values(problem: Problem, column: Column, given: NDArray[Any]) -> TypedColumn:
    missing = _missing(given, column, problem.main_source.missing)
    if given.dtype == object and missing.any():
        given = given.copy()
        given[missing] = None
    values, valid, allowed = _reader(problem, column)(given)
    bad = ~valid & (~missing if column.missing else True)
    return TypedColumn(values, bad, allowed + (" or missing" if column.missing else ""))


def _missing(values: NDArray[Any], column: Column, texts: tuple[str, ...]) -> Bools:
    """The rows without a value: missing, an empty text, a text that means missing, or a unit without a number."""
    missing: Bools = pd.isna(values)
    if values.dtype != object:
        return missing
    empty = {"", *(text.strip() for text in texts), *(column.kind.units if isinstance(column.kind, Decimal) else ())}
    return np.asarray(
        missing | _each(values, lambda value: isinstance(value, str) and value.strip() in empty, np.bool_)
    )


def _reader(problem: Problem, column: Column) -> Callable[[NDArray[Any]], _Read]:
    """A function from a column to values, the rows that have an allowed one, and what is allowed."""
    name, kind = column.name, column.kind
    match kind:
        case Whole(low, high):
            allowed = f"{name} is a whole number{_between(low, high)}"
            return lambda given: _without_booleans(given, _number(given, (), (low, high, True), allowed))
        case Decimal(low, high, units):
            allowed = f"{name} is a number{_between(low, high)}"
            return lambda given: _without_booleans(given, _number(given, units, (low, high, False), allowed))
        case Flag():
            allowed = f"{name} is 0, 1" if column.missing else f"{name} is 0 or 1"
            return lambda given: _number(given, (), (0, 1, True), allowed)
        case Category(values):
            if not values:
                allowed = f"{name} is a text of at most {LONGEST_TEXT:,} characters"
                return lambda given: _category(given, lambda text: len(text) <= LONGEST_TEXT, allowed)
            return lambda given: _category(given, values.__contains__, f"{name} is one of {', '.join(values)}")
        case Months():
            return lambda given: _category(given, _are_months, f"{name} is names of months, as Mar,Jun,Sept,Dec")
        case Date(first, last):
            period = problem.period if column.role is Role.TIME else None
            allowed = f"{name} is a date from {first} to {last}; {time_values.form_of(kind, period)}"
            return lambda given: _date(kind, period, given, allowed)


def _between(low: float, high: float) -> str:
    """The range in words; "" without limits."""
    from_low = f" from {low}" if low > -EXACT else ""
    return from_low + (f" to {high}" if high < EXACT else "")


def _are_months(text: str) -> bool:
    try:
        promo_months(text)
    except CellFault:
        return False
    return True


def _number(given: NDArray[Any], units: tuple[str, ...], limits: tuple[float, float, bool], allowed: str) -> _Read:
    low, high, whole = limits
    if units:
        given = _each(given, lambda value: _without_unit(value, units), np.object_)
    values = input_values.numbers(given)
    valid = np.isfinite(values) & (values >= low) & (values <= high)
    if whole:
        valid &= values == np.floor(np.where(np.isfinite(values), values, 0.5))
    return values, valid, allowed


def _without_booleans(given: NDArray[Any], found: _Read) -> _Read:
    """True and false are values of a flag, not numbers."""
    values, valid, allowed = found
    return values, valid & ~input_values.booleans(given), allowed


def _without_unit(value: Any, units: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        for unit in units:
            if value.strip().endswith(unit):
                return value.strip().removesuffix(unit).strip()
            if value.strip().startswith(unit):
                return value.strip().removeprefix(unit).strip()
    return value


def _category(given: NDArray[Any], is_allowed: Callable[[str], bool], allowed: str) -> _Read:
    def text_of(value: object) -> str | None:
        text = text_of_category(value)
        return text if text is not None and is_allowed(text) else None

    texts = _each(given, text_of, np.object_)
    return texts, np.asarray(pd.notna(texts)), allowed


def _each(values: NDArray[Any], function: Callable[[Any], Any], dtype: type) -> NDArray[Any]:
    """A function of each value, called once for equal values; a value without a hash is None."""
    given = [value if value.__hash__ else None for value in values.astype(object)]
    if input_values.booleans(values).any():  # True is equal to 1
        return np.array([function(value) for value in given], dtype=dtype)
    found = {value: function(value) for value in set(given)}
    return np.array([found[value] for value in given], dtype=dtype)


def text_of_category(value: object) -> str | None:
    """The text of a category: a whole number as without a fraction; None for a value that is no text and no number."""
    if isinstance(value, str):
        return value
    if not isinstance(value, bool | int | float | np.bool_ | np.number) or value != value:
        return None
    if isinstance(value, bool | np.bool_):
        return str(value)
    try:  # JSON's integers have any length
        return str(int(value)) if isinstance(value, int) or float(value).is_integer() else str(value)
    except ValueError:  # more digits than Python writes
        return None


def _date(kind: Date, period: Period | None, given: NDArray[Any], allowed: str) -> _Read:
    times = time_values.seconds(kind, period, given)
    days = times.astype("datetime64[D]")
    valid = ~np.isnat(times) & (days >= np.datetime64(kind.first)) & (days <= np.datetime64(kind.last))
    return times, valid, allowed


def described(rows: RawRows, rules: list[BrokenRule]) -> Iterator[RowProblem]:
    """Each value that breaks a rule."""
    for rule in rules:
        for row in np.flatnonzero(rule.bad):
            value = _value(rows[rule.column], row) if rule.column in rows else ""
            yield RowProblem(int(row), rule.column, ascii(_shown(value)[:LONGEST_SHOWN])[1:-1] or "empty", rule.allowed)


def _shown(value: object) -> str:
    try:
        return str(value)
    except ValueError:  # an integer with more digits than Python writes
        return "a very long number"


def _value(column: "pd.Series[Any] | NDArray[Any]", row: np.intp) -> Any:
    return column[row] if isinstance(column, np.ndarray) else column.iloc[row]
