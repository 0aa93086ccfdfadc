"""A few rows of the holdout, chosen by the size of their error, with the explanation of their forecasts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.forecaster import explain
from lockgate.forecaster.explanation_records import explained, plain
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.problem.description import Problem
from lockgate.problem.metrics import METRICS
from lockgate.problem.target_values import outside_where, target_values

Floats = NDArray[np.float64]
Json = dict[str, Any]
CASES: Mapping[str, float] = {"largest error": 1.0, "large error": 0.9, "median error": 0.5, "smallest error": 0.0}


def explained_rows(forecaster: ForecasterProtocol, holdout: pd.DataFrame, forecast: Floats) -> list[Json]:
    """The rows of CASES: name, number (from 1), inputs, truth and record; [] for an external model and without errors.

    `forecast` are those of all rows of the holdout, NaN for rows that cannot be forecast.
    """
    problem = forecaster.problem
    chosen = _chosen(problem, holdout, forecast, forecaster.classes)
    if not chosen or not explain.can_explain(forecaster):
        return []
    known = np.flatnonzero(_finite(forecast))
    places = np.searchsorted(known, list(chosen))
    rows, at = explain.with_history(problem, holdout.iloc[known].drop(columns=problem.target), places)
    return [
        {"name": name, "number": place + 1, **_values(problem, holdout.iloc[place]), "record": record}
        for (place, name), record in zip(chosen.items(), explained(forecaster, rows, at), strict=True)
    ]


def _values(problem: Problem, row: "pd.Series[Any]") -> Json:
    names = [column.name for column in problem.request if column.name in row]
    return {"inputs": {name: plain(row[name]) for name in names}, "truth": plain(row[problem.target])}


def _chosen(problem: Problem, holdout: pd.DataFrame, forecast: Floats, classes: tuple[str, ...]) -> dict[int, str]:
    """The places of the cases with their names; {} without a row that is scored and has a forecast."""
    truth = target_values(problem, holdout[problem.target], classes)
    scored = METRICS[problem.metric].scored(truth) & ~np.isnan(truth) & ~outside_where(problem, holdout)
    places = np.flatnonzero(_finite(forecast) & scored)
    if not len(places):
        return {}
    order = places[np.argsort(_error(forecast[places], truth[places]), kind="stable")]
    found: dict[int, str] = {}
    for name, share in CASES.items():
        found.setdefault(int(order[round(share * (len(order) - 1))]), name)
    return found


def _error(forecast: Floats, truth: Floats) -> Floats:
    """The size of each error; of more than two classes, what the true class lacks to 1."""
    if forecast.ndim == 1:
        return np.abs(forecast - truth)
    return np.asarray(1 - forecast[np.arange(len(truth)), truth.astype(np.int64)])


def _finite(forecast: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(forecast).reshape(len(forecast), -1).all(axis=1), dtype=np.bool_)
