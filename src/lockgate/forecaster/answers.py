"""The answers of a forecaster as columns: a value with its bounds, or a class with its probability."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.problem.description import Problem
from lockgate.problem.metrics import POSITIVE_FROM

VALUE = ("prediction", "lower", "upper")
BINARY = ("prediction", "class")
PROBABILITY = "probability_"


def answers(forecaster: ForecasterProtocol, rows: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """One row of answers for each row, in their order.

    A regression has `prediction`, `lower` and `upper`. Two classes have `prediction`, the probability of the positive
    class, and `class`. More classes have `class`, and `probability_<class>` for each class. Raises BadData for rows
    that cannot be forecast, WrongUsage for a confidence out of range.
    """
    found = forecaster.interval(rows, confidence)
    classes = np.array(forecaster.classes, dtype=object)
    if not len(classes):
        return pd.DataFrame(vars(found))
    if found.prediction.ndim == 1:
        chosen = classes[(found.prediction >= POSITIVE_FROM).astype(np.int64)]
        return pd.DataFrame({"prediction": found.prediction, "class": pd.array(chosen, dtype="str")})
    chosen = pd.array(classes[np.argmax(found.prediction, axis=1)], dtype="str")
    probabilities = {f"{PROBABILITY}{name}": found.prediction[:, place] for place, name in enumerate(classes)}
    return pd.DataFrame({"class": chosen, **probabilities})


def columns_of(problem: Problem, classes: Sequence[str] = ()) -> dict[str, Any]:
    """The names of the answers' columns and their types (float, str); `classes` are those of the forecaster."""
    if problem.task == "regression":
        return dict.fromkeys(VALUE, float)
    if problem.task == "binary":
        return {"prediction": float, "class": str}
    return {"class": str, **{f"{PROBABILITY}{name}": float for name in classes}}
