"""Numbers of a request as float64, in every form that common clients send; a value that is no number is NaN."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray


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
