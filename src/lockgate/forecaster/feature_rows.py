"""The features of raw rows, as the boosters of a forecaster see them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.forecaster import typed_rows
from lockgate.forecaster.ensemble import Forecaster
from lockgate.forecaster.interface import CHUNK
from lockgate.forecaster.raw_rows import RawRows
from lockgate.forecaster.table import TableForecaster, learned
from lockgate.problem.columns import Date, Role

Singles = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class FeatureRows:
    """Features of rows, (rows, names); `learned` marks those that `where` does not leave out. Others are NaN."""

    values: Singles
    learned: Bools


def feature_rows(forecaster: Forecaster | TableForecaster, rows: RawRows) -> FeatureRows:
    """The features of rows that can be forecast; of a state, with the rows of their keys. Raises BadData as `predict`.

    They depend on the history that the forecaster holds, as its forecasts do.
    """
    if isinstance(forecaster, TableForecaster):
        known = learned(forecaster.problem, rows)
        values = forecaster.state.transform(typed_rows.typed(forecaster.problem, rows)).values
        return FeatureRows(np.where(known[:, None], values, np.float32(np.nan)), known)
    read = forecaster.request.read(rows)
    found = np.full((len(read.open), len(forecaster.recipe.names)), np.nan, dtype=np.float32)
    places = np.flatnonzero(read.open)
    for start in range(0, len(places), CHUNK):
        chunk = places[start : start + CHUNK]
        found[chunk] = forecaster.state.transform(read.known.take(chunk)).values
    return FeatureRows(found, np.asarray(read.open, dtype=np.bool_))


def names(forecaster: Forecaster | TableForecaster) -> tuple[str, ...]:
    """The names of its features."""
    return forecaster.state.names if isinstance(forecaster, TableForecaster) else forecaster.recipe.names


def changing(forecaster: Forecaster | TableForecaster) -> frozenset[str]:
    """The features that change with time by nature: of times, dates and the calendar; and those that name a key."""
    problem = forecaster.problem
    columns = {each.name for each in problem.request if each.role is Role.TIME or isinstance(each.kind, Date)}
    columns |= {*problem.keys, " and ".join(problem.keys)}
    of_column = (
        name for name, origin in zip(names(forecaster), forecaster.state.origins, strict=True) if origin in columns
    )
    return frozenset((*of_column, *forecaster.state.changing))
