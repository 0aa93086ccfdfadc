"""Raw rows that probe a panel's forecaster: keys, periods and known covariates from the description."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockgate.forecaster.ensemble import Forecaster
from lockgate.problem.columns import Category, Column, Decimal, Flag, Role, Whole

STEP = 5  # periods between the periods of two rows
NUMBERS = 7  # different values of a numeric covariate
TEXT = "2000-01-01"  # a date, and a text where a category has none


def rows(forecaster: Forecaster, count: int) -> dict[str, list[Any]]:
    """Raw rows of different keys, periods and known covariates, by column; values are those that JSON has."""
    problem, state, places = forecaster.problem, forecaster.state, np.arange(count)
    keys = state.series.frame.iloc[places * len(state.series) // count][list(problem.keys)]
    numbers = state.cutoff + 1 + places * STEP % forecaster.served_days
    times = [int(number) if problem.period.is_integer else problem.period.text(int(number)) for number in numbers]
    covariates = {
        column.name: _values(column, place, forecaster, places)
        for place, column in enumerate(problem.of_role(Role.KNOWN_COVARIATES))
    }
    return {**{str(name): keys[name].tolist() for name in keys}, problem.time_name: times, **covariates}


def _values(column: Column, place: int, forecaster: Forecaster, count: NDArray[np.int64]) -> list[Any]:
    where = forecaster.problem.where
    if where and column.name == where.column:
        return [where.equals] * len(count)
    match column.kind:
        case Flag():
            return list((count // 2**place % 2).tolist())
        case Category():
            texts = forecaster.state.categories[column.name] or (TEXT,)
            return [texts[number % len(texts)] for number in count]
        case Whole(low, high) | Decimal(low, high):
            return list(np.clip(count % NUMBERS, low, high).tolist())
        case _:
            return [TEXT if not column.missing else None] * len(count)
