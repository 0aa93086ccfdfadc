"""Trains the forecaster of a problem, by its kind."""

from dataclasses import dataclass

import pandas as pd

from lockgate.engine.engine import Engine
from lockgate.forecaster.ensemble import Forecaster
from lockgate.forecaster.table import TableForecaster
from lockgate.problem.params import Params
from lockgate.training import panel, table
from lockgate.training.fitting import Progress
from lockgate.training.report import Report


@dataclass(frozen=True)
class Trained:
    """A forecaster and its report, and the rows that describe its training data: all rows, or those of a sample."""

    forecaster: Forecaster | TableForecaster
    report: Report
    rows: pd.DataFrame


def train(
    rows: pd.DataFrame, static: pd.DataFrame, params: Params, progress: Progress, engine: Engine = table.IN_PROCESS
) -> tuple[Forecaster | TableForecaster, Report]:
    """Fit a forecaster on rows and static features (frames as `prepare` writes them).

    The fits of plain tables and states are tasks of the engine; a panel is trained in this process (on a cluster:
    training/distributed). Raises BadData if there is too little to learn from. The same rows, params and thread count
    give the same forecaster.
    """
    if params.problem.kind == "panel":
        return panel.train(rows, static, params, progress)
    return table.train(rows, params, progress, engine)
