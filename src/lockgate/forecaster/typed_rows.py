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

from lockgate.errors import BadData
from lockgate.forecaster import input_values
from lockgate.forecaster.input_rows import SHOWN, BrokenRule, RowProblem
from lockgate.forecaster.input_values import NO_DAY
from lockgate.problem.columns import Category, Column, Date, Decimal, Flag, Months, Whole
from lockgate.problem.description import Problem

LONGEST_SHOWN = 40
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class TypedColumn:
    """The values of a column, the rows whose value is not allowed, and what is allowed."""

    values: NDArray[Any]
    bad: Bools
    allowed: str


def typed(problem: Problem, rows: pd.DataFrame) -> pd.DataFrame:
    """The columns of a request by their types, in the order of the rows; `rows` is not changed.

    An optional column may be missing as a whole; other columns are ignored. Raises BadData with the first bad rows.
    """
    frame, rules = _read(problem, rows)
    refuse(rows, rules)
    return frame


def refuse(rows: pd.DataFrame, rules: list[BrokenRule]) -> None:
    """Raise BadData with the first rows that break a rule."""
    if first := list(islice(described(rows, rules), SHOWN)):
        bad = int(np.logical_or.reduce([rule.bad for rule in rules]).sum())
        shown = "; ".join(map(str, first))
        raise BadData(
            f"{bad} of {len(rows)} rows cannot be forecast: {shown}", where=first[0].column, hint=first[0].allowed
        )


def problems(problem: Problem, rows: pd.DataFrame) -> list[RowProblem]:
    """All problems of raw rows, by row; empty if they can be forecast. Raises BadData for a missing column."""
    return sorted(described(rows, _read(problem, rows)[1]), key=lambda found: found.row)


def _read(problem: Problem, rows: pd.DataFrame) -> tuple[pd.DataFrame, list[BrokenRule]]:
    return read(problem.request, rows, [column.name for column in problem.required])


def read(request: tuple[Column, ...], rows: pd.DataFrame, required: list[str]) -> tuple[pd.DataFrame, list[BrokenRule]]:
    """Columns of a request by their types, and a rule for each one; a value that breaks it may have any type.

    Raises BadData if a required column is missing, or a column appears twice.
    """
    _check_columns(required, rows)
    columns = {column.name: _typed_column(column, rows) for column in request}
    frame = pd.DataFrame({name: found.values for name, found in columns.items()}, index=range(len(rows)))
    return frame, [BrokenRule(name, found.bad, found.allowed) for name, found in columns.items()]


def _check_columns(required: list[str], rows: pd.DataFrame) -> None:
    if missing := [name for name in required if name not in rows.columns]:
        found = ", ".join(map(str, rows.columns[:20]))
        raise BadData(f"missing column {missing[0]}", where=f"found {found}", hint=f"needed: {', '.join(required)}")
    if not rows.columns.is_unique:
        twice = rows.columns[rows.columns.duplicated()][0]
        raise BadData(f"column {twice} appears twice", hint="name each column once")


def _typed_column(column: Column, rows: pd.DataFrame) -> TypedColumn:
    given = rows[column.name] if column.name in rows else pd.Series([None] * len(rows), dtype=object)
    missing = _missing(given, column)
    values, valid, allowed = _reader(column)(given.where(~missing) if missing.any() else given)
    bad = ~valid & (~missing if column.missing else np.ones(len(rows), dtype=np.bool_))
    return TypedColumn(values, bad, allowed + (" or missing" if column.missing else ""))


def _missing(values: "pd.Series[Any]", column: Column) -> Bools:
    """The rows without a value: missing, an empty text, or a unit without a number."""
    empty = {"", *(column.kind.units if isinstance(column.kind, Decimal) else ())}
    texts = [isinstance(value, str) and value.strip() in empty for value in values.to_numpy(dtype=object)]
    return np.asarray(values.isna().to_numpy(dtype=np.bool_) | np.array(texts, dtype=np.bool_))


def _reader(column: Column) -> Callable[["pd.Series[Any]"], tuple[NDArray[Any], Bools, str]]:
    """A function from a column to values, the rows that have an allowed one, and what is allowed."""
    name = column.name
    match column.kind:
        case Whole(low, high):
            return lambda given: _number(given, (), (low, high, True), f"{name} is a whole number from {low} to {high}")
        case Decimal(low, high, units):
            return lambda given: _number(given, units, (low, high, False), f"{name} is a number from {low} to {high}")
        case Flag():
            return lambda given: _number(given, (), (0, 1, True), f"{name} is 0 or 1")
        case Category(values):
            return lambda given: _category(given, values, f"{name} is one of {', '.join(values)}" if values else name)
        case Months():
            return lambda given: _category(given, (), f"{name} is names of months")
        case Date(first, last):
            return lambda given: _date(given, (first, last), f"{name} is a date from {first} to {last}, as 2015-08-01")


def _number(
    given: "pd.Series[Any]", units: tuple[str, ...], limits: tuple[float, float, bool], allowed: str
) -> tuple[NDArray[Any], Bools, str]:
    low, high, whole = limits
    if units:
        given = given.map(lambda value: _without_unit(value, units))
    values = input_values.numbers(given)
    valid = np.isfinite(values) & (values >= low) & (values <= high)
    if whole:
        valid &= values == np.floor(np.where(np.isfinite(values), values, 0.5))
    return values, valid, allowed


def _without_unit(value: Any, units: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        for unit in units:
            if value.strip().endswith(unit):
                return value.strip().removesuffix(unit).strip()
    return value


def _category(given: "pd.Series[Any]", values: tuple[str, ...], allowed: str) -> tuple[NDArray[Any], Bools, str]:
    texts = np.array([_text(value) for value in given.to_numpy(dtype=object)], dtype=object)
    known = np.array([text is not None for text in texts], dtype=np.bool_)
    if values:
        known &= np.isin(np.where(known, texts, ""), values)
    texts[~known] = None
    return texts, known, allowed


def _text(value: object) -> str | None:
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)) or value is pd.NA:
        return None
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _date(given: "pd.Series[Any]", limits: tuple[Any, Any], allowed: str) -> tuple[NDArray[Any], Bools, str]:
    days = input_values.days(given)
    first, last = (np.datetime64(limit, "D").astype(np.int64) for limit in limits)
    valid = (days != NO_DAY) & (days >= first) & (days <= last)
    dates = np.where(days == NO_DAY, np.datetime64("NaT"), days.astype("datetime64[D]"))
    return dates.astype("datetime64[s]"), valid, allowed


def described(rows: pd.DataFrame, rules: list[BrokenRule]) -> Iterator[RowProblem]:
    """Each value that breaks a rule."""
    for rule in rules:
        for row in np.flatnonzero(rule.bad):
            value = rows[rule.column].iloc[row] if rule.column in rows else ""
            yield RowProblem(int(row), rule.column, ascii(str(value)[:LONGEST_SHOWN])[1:-1] or "empty", rule.allowed)
