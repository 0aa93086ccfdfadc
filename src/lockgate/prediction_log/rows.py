"""Rows and answers of a request as rows of the log."""

from datetime import date
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from lockgate.forecaster.answers import PROBABILITY
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.prediction_log import segments
from lockgate.prediction_log.record import Json, LoggedRow
from lockgate.problem.description import Problem

MIDNIGHT = "T00:00:00"


def logged_rows(
    problem: Problem, forecaster: ForecasterProtocol, rows: pd.DataFrame, answers: pd.DataFrame
) -> tuple[LoggedRow, ...]:
    """The rows of a request with their answers (`forecaster/answers.py`), in their order, as plain values.

    `features` are the columns of `problem.request` that the rows have, as they were given; a missing value, and an
    answer that is not finite, is None. The rows must be those that the forecaster has answered.
    """
    names = [column.name for column in problem.request if column.name in rows]
    features = zip(*(_values(rows[name]) for name in names), strict=True)
    periods = segments.periods(problem, rows)
    until = forecaster.window.cutoff if forecaster.window else None
    horizons = [None if until is None or period is None else period - until for period in periods]
    answered = {str(name): _values(answers[name]) for name in answers}
    unknown = [None] * len(rows)
    columns = (answered.get(name, unknown) for name in ("prediction", "lower", "upper", "class"))
    return tuple(
        LoggedRow(dict(zip(names, values, strict=True)), *rest)
        for values, *rest in zip(
            features, segments.segments(problem, rows), periods, horizons, *columns, _probabilities(answered, unknown),
            strict=True,
        )
    )  # fmt: skip


def _probabilities(answered: dict[str, list[Any]], unknown: list[None]) -> list[Any]:
    """The probability of each class, row by row; None unless there are more than two classes."""
    found = {name.removeprefix(PROBABILITY): each for name, each in answered.items() if name.startswith(PROBABILITY)}
    if not found:
        return unknown
    return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]


def _values(column: "pd.Series[Any]") -> list[Json]:
    """The values of a column as plain values of JSON."""
    kind = column.dtype.kind if isinstance(column.dtype, np.dtype) else "O"
    if kind in "iub":
        return list(column.tolist())
    if kind == "f":
        return [value if isfinite(value) else None for value in column.tolist()]
    if kind == "M":
        return [None if text == "NaT" else text for text in _texts(column.to_numpy())]
    return [_plain(value) for value in column.tolist()]


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
