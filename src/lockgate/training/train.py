"""Trains the forecaster of a problem, by its kind."""

import pandas as pd

from lockgate.forecaster.ensemble import Forecaster
from lockgate.forecaster.table import TableForecaster
from lockgate.problem.params import Params
from lockgate.training import panel, table
from lockgate.training.fitting import Progress
from lockgate.training.report import Report


def train(
    rows: pd.DataFrame, static: pd.DataFrame, params: Params, progress: Progress
) -> tuple[Forecaster | TableForecaster, Report]:
    """Fit a forecaster on rows and static features (frames as `prepare` writes them).

    Raises BadData if there is too little to learn from. The same rows, params and thread count give the same
    forecaster.
    """
    if params.problem.kind == "panel":
        return panel.train(rows, static, params, progress)
    return table.train(rows, static, params, progress)
