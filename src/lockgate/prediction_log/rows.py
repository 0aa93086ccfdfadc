"""Rows and answers of a request as columns of the log."""

from collections.abc import Mapping
from datetime import date
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.forecaster.answers import PROBABILITY
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.forecaster.raw_rows import RawRows
from lockgate.prediction_log import segments
from lockgate.prediction_log.record import Column, Json, LoggedRows
from lockgate.problem.description import Problem

MIDNIGHT = "T00:00:00"


def logged_rows(
    problem: Problem, forecaster: ForecasterProtocol, rows: RawRows, answers: pd.DataFrame | Mapping[str, NDArray[Any]]
) -> LoggedRows:
    """The rows of a request with their answers (`forecaster/answers.py`), in their order.

    `features` are the columns of `problem.request` that the rows have, as they were given. The rows must be those that
    the forecaster has answered.
    """
    periods = segments.periods(problem, rows)
    until = forecaster.window.cutoff if forecaster.window else None
    answered = {str(name): _column(each) for name, each in answers.items()}
    probabilities = {name: each for name, each in answered.items() if name.startswith(PROBABILITY)}
    return LoggedRows(
        len(rows),
        {column.name: _column(rows[column.name]) for column in problem.request if column.name in rows},
        segments.segment_columns(problem, rows),
        periods,
        None if until is None or periods is None else periods - until,
        answered.get("prediction"),
        answered.get("lower"),
        answered.get("upper"),
        answered.get("class"),
        {name.removeprefix(PROBABILITY): each for name, each in probabilities.items()} or None,
    )


def _column(column: "pd.Series[Any] | NDArray[Any]") -> Column:
    """A column of numbers as it is, and any other as plain values of JSON."""
    kind = column.dtype.kind if isinstance(column.dtype, np.dtype) else "O"
    if kind in "iubf":
        return np.asarray(column)
    if kind == "M":
        places, times = pd.factorize(np.asarray(column), use_na_sentinel=False)  # many rows have the same time
        texts = [None if text == "NaT" else text for text in _texts(times)]
        return [texts[place] for place in places.tolist()]
    return [value if type(value) is str else _plain(value) for value in column.tolist()]


def _texts(times: "np.typing.NDArray[np.datetime64]") -> list[str]:
    texts: list[str] = np.datetime_as_string(times.astype("datetime64[s]")).tolist()
    return [text.removesuffix(MIDNIGHT) for text in texts]


def _plain(value: Any) -> Json:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, np.generic):
        return _plain(value.item())
    if pd.isna(value):
        return None
    return value.isoformat().removesuffix(MIDNIGHT) if isinstance(value, date) else str(value)
