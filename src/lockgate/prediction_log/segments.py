"""The name of a row in the log: its segment (the values of the key columns) and the number of its period.

Predictions and truth get it from here, so that equal keys in other forms (1, 1.0, "1") meet.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data.column_types import CellFault, ColumnType, full_type
from lockgate.errors import WrongUsage
from lockgate.forecaster import input_values, time_values, typed_rows
from lockgate.forecaster.raw_rows import RawRows
from lockgate.prediction_log.record import Column, Json
from lockgate.problem import columns as problem_columns
from lockgate.problem.columns import Category, Date, Months
from lockgate.problem.description import Problem

Ints = NDArray[np.int64]
LARGEST_WHOLE = 2.0**53  # below it, a float64 holds every whole number


def segment_columns(problem: Problem, rows: RawRows) -> dict[str, Column]:
    """The values of the key columns, one a row. The rows must be valid."""
    return {name: _key_values(problem, problem.column(name), rows[name]) for name in problem.keys}


def segments(problem: Problem, rows: RawRows) -> list[dict[str, Json]]:
    """The segment of each row; empty ones where the problem has no keys. The rows must be valid."""
    names = problem.keys
    if not names:
        return [{} for _ in range(len(rows))]
    values = map(_plain, segment_columns(problem, rows).values())
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def segment_of(problem: Problem, texts: Mapping[str, str]) -> dict[str, Json]:
    """A segment, or a part of one, from texts by the name of the key. Raises WrongUsage for a text that is no key."""
    return {name: keys_of_texts(problem, name, (text,))[0] for name, text in texts.items()}


def keys_of_texts(problem: Problem, name: str, texts: Sequence[str]) -> Sequence[Json]:
    """The values of a key column from texts. Raises WrongUsage for a column that is no key, or a text without value."""
    if name not in problem.keys:
        keys = f"its keys: {', '.join(problem.keys)}" if problem.keys else "it has no keys"
        raise WrongUsage(f"{name} is no key of {problem.name}", hint=keys)
    column = problem.column(name)
    of_column = full_type(column.kind)
    values = [_value(of_column, column, text) for text in texts]
    return _plain(_key_values(problem, column, pd.Series(values)))


def with_keys(problem: Problem, rows: RawRows, wanted: Mapping[str, Sequence[Json]]) -> NDArray[np.bool_]:
    """The rows whose key columns have one of the values that are wanted of each. The rows must be valid."""
    found = np.ones(len(rows), dtype=np.bool_)
    for name, values in wanted.items():
        keys = _plain(_key_values(problem, problem.column(name), rows[name]))
        chosen = set(values)
        found &= np.fromiter((key in chosen for key in keys), np.bool_, len(keys))
    return found


def periods(problem: Problem, rows: RawRows) -> Ints | None:
    """The number of each row's period; None where the problem has no time. The rows must be valid."""
    if problem.time is None:
        return None
    kind, times = problem.column(problem.time_name).kind, rows[problem.time_name]
    if isinstance(kind, Date):
        given, places = input_values.distinct(times)
        found = problem.period.number(time_values.seconds(kind, problem.period, given))
        return found if places is None else found[places]
    return input_values.numbers(times).astype(np.int64)


def _key_values(problem: Problem, column: problem_columns.Column, values: "pd.Series[Any] | NDArray[Any]") -> Column:
    match column.kind:
        case Category() | Months():
            return [value if type(value) is str else typed_rows.text_of_category(value) for value in values.tolist()]
        case Date():
            seconds = time_values.seconds(column.kind, None, input_values.plain(values))
            return [str(text).removesuffix("T00:00:00") for text in np.datetime_as_string(seconds)]
    numbers = input_values.numbers(input_values.plain(values))
    if (np.abs(numbers) < LARGEST_WHOLE).all() and (numbers == np.floor(numbers)).all():
        return numbers.astype(np.int64)
    return [int(number) if number.is_integer() else number for number in numbers.tolist()]


def _value(of_column: ColumnType, column: problem_columns.Column, text: str) -> Any:
    try:
        return of_column.value(text)
    except CellFault as fault:
        raise WrongUsage(f"{column.name} is {text!r}: {fault.why}", hint=fault.hint) from None


def _plain(column: Column) -> Sequence[Json]:
    values: Sequence[Json] = column.tolist() if isinstance(column, np.ndarray) else column
    return values
