"""The target as numbers, and the rows of which the target is learned and scored."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lockgate.problem.columns import Decimal, Whole
from lockgate.problem.description import Problem

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


def forecast_range(problem: Problem) -> tuple[float, float]:
    """The lowest and the highest possible forecast: 0 and 1 for probabilities, 0 and the cap for periods left.

    0 and infinity for a target whose range starts at 0 or above, such as sales; every number for other targets.
    """
    if problem.task != "regression":
        return 0.0, 1.0
    if problem.derived:
        return 0.0, float(problem.derived.cap or "inf")
    kind = problem.column(problem.target).kind
    never_negative = isinstance(kind, Whole | Decimal) and kind.low >= 0
    return 0.0 if never_negative else float("-inf"), float("inf")


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


def outside_where(problem: Problem, rows: "pd.DataFrame") -> "NDArray[np.bool_]":
    """The rows that `where` leaves out: they are not learned and not scored, and a rule gives their forecast.

    A missing value counts as the value that is learned.
    """
    import numpy as np

    if problem.where is None:
        return np.zeros(len(rows), dtype=np.bool_)
    values = rows[problem.where.column]
    return np.asarray(values.notna() & (values != problem.where.equals), dtype=np.bool_)


def class_texts(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """The classes as texts, as the description names them: 1, 1.0 and "1" are the class 1. Missing values stay."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values):
        return values.map(lambda value: f"{value:.15g}", na_action="ignore").astype("str")
    return values.astype("str")


def classes_of(problem: Problem, target: "pd.Series[Any]") -> tuple[str, ...]:
    """The classes of a target, sorted; of two, the positive one last; () for a regression."""
    if problem.task == "regression":
        return ()
    found = sorted(set(class_texts(target.dropna())))
    if problem.task == "binary":
        return (*[name for name in found if name != problem.positive][:1], problem.positive)
    return tuple(found)
