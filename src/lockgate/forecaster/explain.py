"""Explains the forecasts of a forecaster, whatever its kind."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.errors import WrongUsage
from lockgate.forecaster import explain_panel, explain_table
from lockgate.forecaster.ensemble import Forecaster
from lockgate.forecaster.explanation import Explanation
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.forecaster.table import TableForecaster
from lockgate.problem.description import Problem

Ints = NDArray[np.int64]

INSTEAD = "choose a version that Lockgate trained: lockgate list"
UNKNOWN = "an external model has no explanations: its features and its training are unknown"


def can_explain(forecaster: ForecasterProtocol) -> bool:
    """Whether forecasts of this forecaster can be explained."""
    return isinstance(forecaster, Forecaster | TableForecaster)


def with_history(problem: Problem, rows: pd.DataFrame, places: Ints) -> tuple[pd.DataFrame, Ints]:
    """The rows at the places, and the places in them; of states with all rows of their keys.

    Equal keys have equal values: the rows were typed.
    """
    if problem.kind != "state":
        return rows.iloc[places], np.arange(len(places))
    key = rows.groupby(list(problem.keys), sort=False, dropna=False).ngroup().to_numpy()
    kept = np.flatnonzero(np.isin(key, key[places]))
    return rows.iloc[kept], np.searchsorted(kept, places)


def explain(forecaster: ForecasterProtocol, rows: pd.DataFrame, places: Ints) -> Explanation:
    """Why some of the rows, by place, have their forecasts.

    The explanation of a row is the same alone and in any batch (of a state: with the rows of its key) and order; `rows`
    is not changed. Raises BadData for rows that cannot be forecast, WrongUsage for an external model.
    """
    if isinstance(forecaster, Forecaster):
        return explain_panel.explain(forecaster, rows.iloc[places])
    if isinstance(forecaster, TableForecaster):
        if forecaster.problem.kind == "table":
            rows, places = rows.iloc[places], np.arange(len(places))
        return explain_table.explain(forecaster, rows, places)
    raise WrongUsage(UNKNOWN, hint=INSTEAD)
