"""Numbers of a request as float64, in every form that common clients send; a value that is no number is NaN."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def plain(column: "pd.Series[Any]") -> NDArray[Any]:
    """The values of a column of any pandas type: numbers and times as numpy has them, all others as objects."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind != "O":
        return np.asarray(column.to_numpy())
    return np.asarray(column.to_numpy(dtype=object))


def numbers(values: NDArray[Any]) -> NDArray[np.float64]:
    """Values as float64; NaN for a missing value and for a value that is no number."""
    return np.asarray(values if values.dtype.kind in "iufb" else _converted(values), dtype=np.float64)


def _converted(values: NDArray[Any]) -> NDArray[Any]:
    try:
        return np.asarray(pd.to_numeric(values, errors="coerce"))
    except OverflowError:  # JSON's integers have any length
        return np.asarray(pd.to_numeric(values.astype(str).astype(object), errors="coerce"))
