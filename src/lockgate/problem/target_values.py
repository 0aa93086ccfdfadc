"""The target as numbers: the values of a regression, 0 or 1 for two classes, the place of a class of more."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lockgate.problem.description import Problem

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


def target_values(problem: Problem, values: "pd.Series[Any]", classes: Sequence[str] = ()) -> "NDArray[np.float64]":
    """The target as numbers, NaN where a value is missing.

    Binary: 1 for the positive class, else 0. Multiclass: the place of the class in `classes`, NaN for another class.
    """
    import numpy as np
    import pandas as pd

    if problem.task == "regression":
        return np.asarray(pd.to_numeric(values, errors="coerce"), dtype=np.float64)
    texts = class_texts(values)
    if problem.task == "binary":
        return np.where(texts.isna(), np.nan, (texts == problem.positive).to_numpy(dtype=np.float64))
    places = {name: float(place) for place, name in enumerate(classes)}
    return np.asarray(texts.map(places), dtype=np.float64)


def class_texts(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """The classes as texts, as the description names them: 1, 1.0 and "1" are the class 1. Missing values stay."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values):
        return values.map(lambda value: f"{value:.15g}", na_action="ignore").astype("str")
    return values.astype("str")
