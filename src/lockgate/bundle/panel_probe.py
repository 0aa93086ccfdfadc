"""Raw rows that probe a panel's forecaster: keys, periods and known covariates from the description."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockgate.forecaster.panel_rows import PanelRequest
from lockgate.problem.columns import Category, Column, Decimal, Flag, Role, Whole

STEP = 5  # periods between the periods of two rows
NUMBERS = 7  # different values of a numeric covariate
TEXT = "2000-01-01"  # a date, and a text where a category has none


def rows(request: PanelRequest, count: int) -> dict[str, list[Any]]:
    """Raw rows of different keys, periods and known covariates, by column; values are those that JSON has."""
    problem, series, window, places = request.problem, request.series, request.window, np.arange(count)
    keys = series.frame.iloc[places * len(series) // count][list(problem.keys)]
    numbers = window.cutoff + 1 + places * STEP % (window.last - window.cutoff)
    times = [int(number) if problem.period.is_integer else problem.period.text(int(number)) for number in numbers]
    covariates = {
        column.name: _values(column, place, request, places)
        for place, column in enumerate(problem.of_role(Role.KNOWN_COVARIATES))
    }
    return {**{str(name): keys[name].tolist() for name in keys}, problem.time_name: times, **covariates}


def _values(column: Column, place: int, request: PanelRequest, count: NDArray[np.int64]) -> list[Any]:
    where = request.problem.where
    if where and column.name == where.column:
        return [where.equals] * len(count)
    match column.kind:
        case Flag():
            return list((count // 2**place % 2).tolist())
        case Category():
            texts = request.categories[column.name] or (TEXT,)
            return [texts[number % len(texts)] for number in count]
        case Whole(low, high) | Decimal(low, high):
            return list(np.clip(count % NUMBERS, low, high).tolist())
        case _:
            return [TEXT if not column.missing else None] * len(count)
