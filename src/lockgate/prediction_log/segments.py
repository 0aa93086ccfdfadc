"""The name of a row in the log: its segment (the values of the key columns) and the number of its period.

Predictions and truth get it from here, so that equal keys in other forms (1, 1.0, "1") meet.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lockgate.data.column_types import CellFault, full_type
from lockgate.errors import WrongUsage
from lockgate.forecaster import input_values, time_values, typed_rows
from lockgate.prediction_log.record import Json
from lockgate.problem.columns import Category, Column, Date, Months
from lockgate.problem.description import Problem


def segments(problem: Problem, rows: pd.DataFrame) -> list[dict[str, Json]]:
    """The segment of each row; empty ones where the problem has no keys. The rows must be valid."""
    names = problem.keys
    if not names:
        return [{} for _ in range(len(rows))]
    values = [_key_values(problem, problem.column(name), rows[name]) for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def segment_of(problem: Problem, texts: Mapping[str, str]) -> dict[str, Json]:
    """A segment, or a part of one, from texts by the name of the key. Raises WrongUsage for a text that is no key."""
    if strange := [name for name in texts if name not in problem.keys]:
        keys = f"its keys: {', '.join(problem.keys)}" if problem.keys else "it has no keys"
        raise WrongUsage(f"{strange[0]} is no key of {problem.name}", hint=keys)
    return {name: _key_of_text(problem, problem.column(name), texts[name]) for name in texts}


def periods(problem: Problem, rows: pd.DataFrame) -> list[int] | list[None]:
    """The number of each row's period; None where the problem has no time. The rows must be valid."""
    if problem.time is None:
        return [None] * len(rows)
    kind, times = problem.column(problem.time_name).kind, rows[problem.time_name]
    if isinstance(kind, Date):
        found = problem.period.number(time_values.seconds(kind, problem.period, times))
    else:
        found = input_values.numbers(times).astype(np.int64)
    numbers: list[int] = found.tolist()
    return numbers


def _key_values(problem: Problem, column: Column, values: "pd.Series[Any]") -> list[Any]:
    match column.kind:
        case Category() | Months():
            return [typed_rows.text_of_category(value) for value in values.tolist()]
        case Date():
            seconds = time_values.seconds(column.kind, None, values)
            return [str(text).removesuffix("T00:00:00") for text in np.datetime_as_string(seconds)]
    numbers: list[float] = input_values.numbers(values).tolist()
    return [int(number) if number.is_integer() else number for number in numbers]


def _key_of_text(problem: Problem, column: Column, text: str) -> Json:
    try:
        value = full_type(column.kind).value(text)
    except CellFault as fault:
        raise WrongUsage(f"{column.name} is {text!r}: {fault.why}", hint=fault.hint) from None
    found: Json = _key_values(problem, column, pd.Series([value]))[0]
    return found
