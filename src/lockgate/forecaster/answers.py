"""The answers of a forecaster as columns: a value with its bounds, or a class with its probability."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.errors import BadData
from lockgate.forecaster.checked_rows import RowProblem
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.forecaster.raw_rows import RawRows
from lockgate.problem.description import Problem
from lockgate.problem.metrics import POSITIVE_FROM
from lockgate.problem.target_values import forecast_range

VALUE = ("prediction", "lower", "upper")
BINARY = ("prediction", "class")
PROBABILITY = "probability_"
IMPOSSIBLE = "have no possible forecast"
SHOWN = 5  # rows in a message


class ImpossibleForecasts(BadData):
    """Forecasts that are not finite or out of range: only an external model makes them. `problems` has each of them."""

    problems: tuple[RowProblem, ...] = ()


def answers(forecaster: ForecasterProtocol, rows: RawRows, confidence: float) -> pd.DataFrame:
    """One row of answers for each row, in their order.

    A regression has `prediction`, `lower` and `upper`. Two classes have `prediction`, the probability of the positive
    class, and `class`. More classes have `class`, and `probability_<class>` for each class. Raises BadData for rows
    that cannot be forecast, ImpossibleForecasts, and WrongUsage for a confidence out of range.
    """
    found = by_column(forecaster, rows, confidence)
    if problems := impossible(forecaster.problem, found):
        raise _refusal(problems, len(rows))
    texts = {name: pd.array(each, dtype="str") for name, each in found.items() if name == "class"}
    return pd.DataFrame(found | texts)


def by_column(forecaster: ForecasterProtocol, rows: RawRows, confidence: float) -> dict[str, NDArray[Any]]:
    """As `answers`, in arrays by the name of the column, whether the forecasts are possible or not."""
    found = forecaster.interval(rows, confidence)
    classes = np.array(forecaster.classes, dtype=object)
    if not len(classes):
        return dict(vars(found))
    if found.prediction.ndim == 1:
        chosen = classes[(found.prediction >= POSITIVE_FROM).astype(np.int64)]
        return {"prediction": found.prediction, "class": chosen}
    probabilities = {f"{PROBABILITY}{name}": found.prediction[:, place] for place, name in enumerate(classes)}
    return {"class": classes[np.argmax(found.prediction, axis=1)], **probabilities}


def impossible(problem: Problem, found: Mapping[str, NDArray[Any]]) -> list[RowProblem]:
    """The forecasts that are not finite or out of `forecast_range`, by row. Unknown bounds are no fault."""
    lowest, highest = forecast_range(problem)
    at_least = f", {lowest:g} or more" if np.isfinite(lowest) else ""
    allowed = f"a finite number{at_least}" if problem.task == "regression" else "a probability from 0 to 1"
    problems = []
    for name, values in found.items():
        if name == VALUE[0] or name.startswith(PROBABILITY):
            places = np.flatnonzero(~((values >= lowest) & (values <= highest) & np.isfinite(values)))
            shown = zip(places.tolist(), values[places].tolist(), strict=True)
            problems += [RowProblem(row, name, f"{value:g}", f"{name} is {allowed}") for row, value in shown]
    return sorted(problems, key=lambda each: each.row)


def _refusal(problems: Sequence[RowProblem], rows: int) -> ImpossibleForecasts:
    bad, shown = len({each.row for each in problems}), "; ".join(map(str, problems[:SHOWN]))
    hint = f"{problems[0].allowed}; correct the model, or choose another version: lockgate list"
    found = ImpossibleForecasts(f"{bad} of {rows} rows {IMPOSSIBLE}: {shown}", where="the model", hint=hint)
    found.problems = tuple(problems)
    return found


def columns_of(problem: Problem, classes: Sequence[str] = ()) -> dict[str, Any]:
    """The names of the answers' columns and their types (float, str); `classes` are those of the forecaster."""
    if problem.task == "regression":
        return dict.fromkeys(VALUE, float)
    if problem.task == "binary":
        return {"prediction": float, "class": str}
    return {"class": str, **{f"{PROBABILITY}{name}": float for name in classes}}
