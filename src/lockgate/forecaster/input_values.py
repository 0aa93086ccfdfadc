"""Numbers of a request as float64, in every form that common clients send; a value that is no number is NaN."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MANY = 100  # rows; for fewer, looking for equal values takes longer than reading each one


def plain(column: "pd.Series[Any] | NDArray[Any]") -> NDArray[Any]:
    """The values of a column of any type: numbers and times as numpy has them, all others as objects."""
    if isinstance(column, np.ndarray):
        return column
    if isinstance(column.dtype, np.dtype) and column.dtype.kind != "O":
        return np.asarray(column.to_numpy())
    return np.asarray(column.to_numpy(dtype=object))


def distinct(column: "pd.Series[Any] | NDArray[Any]") -> tuple[NDArray[Any], NDArray[np.intp] | None]:
    """The values of a column, and the place of each row's value among them; None if each row has its own value.

    Objects are read once for all rows that have an equal one, if there are many rows. True is not 1: a column of
    objects with booleans is read row by row.
    """
    is_plain = isinstance(column.dtype, np.dtype) and column.dtype.kind != "O"
    is_object = isinstance(column.dtype, np.dtype) and column.dtype.kind == "O"
    if is_plain or len(column) < MANY or (is_object and booleans(plain(column)).any()):
        return plain(column), None
    try:
        given = column if isinstance(column, np.ndarray) else column.array
        places, values = pd.factorize(given, use_na_sentinel=False)
    except TypeError:  # a value without a hash
        return plain(column), None
    return plain(pd.Series(values, dtype=column.dtype)), places


def booleans(values: NDArray[Any]) -> NDArray[np.bool_]:
    """The values that are true or false, not a number or a text."""
    if values.dtype != object or not {bool, np.bool_} & set(map(type, values)):
        return np.full(len(values), values.dtype.kind == "b")
    return np.fromiter((isinstance(value, bool | np.bool_) for value in values), np.bool_, len(values))


def numbers(values: NDArray[Any]) -> NDArray[np.float64]:
    """Values as float64; NaN for a missing value and for a value that is no number."""
    return np.asarray(values if values.dtype.kind in "iufb" else _converted(values), dtype=np.float64)


def _converted(values: NDArray[Any]) -> NDArray[Any]:
    try:
        return np.asarray(pd.to_numeric(values, errors="coerce"))
    except OverflowError:  # JSON's integers have any length
        return np.asarray(pd.to_numeric(values.astype(str).astype(object), errors="coerce"))
