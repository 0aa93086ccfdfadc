"""The explanation of forecasts of a plain table or of states."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.tabular import FeatureMatrix
from lockgate.forecaster import typed_rows
from lockgate.forecaster.explanation import CALIBRATION, LIMITS, RULE, SHIFT, Explanation
from lockgate.forecaster.interface import threads_for_rows
from lockgate.forecaster.table import TableForecaster, learned, weighted
from lockgate.models import attribution
from lockgate.models.booster import Contributions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def explain(forecaster: TableForecaster, rows: pd.DataFrame, places: Ints) -> Explanation:
    """Why some of the rows, by place, have their forecasts. A row of a state needs the rows of its key so far."""
    forecast = forecaster.predict(rows)[places]
    matrix = forecaster.state.transform(typed_rows.typed(forecaster.problem, rows)).take(places)
    chosen = np.argmax(forecast, axis=1) if forecast.ndim == 2 else np.full(len(forecast), len(forecaster.classes) - 1)
    found = _blended(forecaster, matrix, chosen)
    explained = Explanation(
        forecast=_of_class(forecast, chosen),
        base=found.base,
        contributions=found.values,
        values=matrix.values.astype(np.float64),
        names=matrix.names,
        origins=forecaster.state.origins,
        parts={},
        scale=_scale(forecaster),
        classes=tuple(forecaster.classes[place] for place in chosen) if forecaster.classes else (),
    )
    if forecaster.classes:
        before = _of_class(forecaster.blend.blended(forecaster.blend.members(matrix, len(forecaster.classes))), chosen)
        return replace(explained, parts={CALIBRATION: explained.forecast - before}).closed()
    return _with_parts(forecaster, rows.iloc[places], matrix, explained).closed()


def _blended(forecaster: TableForecaster, matrix: FeatureMatrix, chosen: Ints) -> Contributions:
    """The weighted contributions of all members, in units of the target or as probabilities."""
    base, values = np.zeros(len(matrix.values)), np.zeros(matrix.values.shape)
    for name, booster in forecaster.blend.fitted.items():
        own = _own(forecaster, booster.contributions(matrix.values, threads_for_rows(len(matrix.values))), chosen)
        base += forecaster.blend.weights[name] * own.base
        values += forecaster.blend.weights[name] * own.values
    return Contributions(base, values)


def _own(forecaster: TableForecaster, found: Contributions, chosen: Ints) -> Contributions:
    if forecaster.classes:
        return attribution.to_probability(found, chosen)
    return attribution.through_exp(found) if forecaster.blend.scale == "log" else found


def _with_parts(
    forecaster: TableForecaster, rows: pd.DataFrame, matrix: FeatureMatrix, explained: Explanation
) -> Explanation:
    """With the steps after the members: limits, the rule for rows that are not learned, and the shift."""
    problem, weights = forecaster.problem, forecaster.blend.weights
    free = forecaster.blend.members(matrix, 0)
    limited = forecaster.possible(free)
    limits = weighted(weights, limited) - weighted(weights, free)
    known = learned(problem, rows)
    otherwise = problem.where.otherwise if problem.where else 0.0
    before = weighted(weights, np.where(known[:, None], limited, otherwise))
    shifted = forecaster.blend.shift.moved(before)
    parts = {
        LIMITS: np.where(known, limits, 0.0) + forecaster.possible(shifted) - shifted,
        RULE: np.where(known, 0.0, before),
        SHIFT: shifted - before,
    }
    return replace(
        explained,
        base=np.where(known, explained.base, 0.0),
        contributions=np.where(known[:, None], explained.contributions, 0.0),
        parts=parts,
    )


def _of_class(forecast: Floats, chosen: Ints) -> Floats:
    return forecast if forecast.ndim == 1 else np.asarray(forecast[np.arange(len(chosen)), chosen])


def _scale(forecaster: TableForecaster) -> Literal["number", "log", "probability"]:
    if forecaster.classes:
        return "probability"
    return "log" if forecaster.blend.scale == "log" else "number"
