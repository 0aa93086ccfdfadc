"""The rows of a plain table or of states for an external model: the columns of the request, as numbers or texts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.forecaster import typed_rows
from lockgate.forecaster.checked_rows import RowProblem
from lockgate.forecaster.external_rows import ModelRows, frame
from lockgate.forecaster.interface import RowCounts
from lockgate.forecaster.raw_rows import RawRows
from lockgate.forecaster.table import learned
from lockgate.problem.columns import Category, Column, Date, Months
from lockgate.problem.description import Problem

SECONDS_OF_DAY = 86_400


@dataclass(frozen=True)
class TableRows:
    """Rows of a plain table or of states. `example` are raw rows that can be forecast, by column."""

    problem: Problem
    example: Mapping[str, list[Any]]

    @property
    def window(self) -> None:
        """None: a table has no time, and the time of a state has no end."""
        return None

    @property
    def numbers(self) -> tuple[str, ...]:
        """Numbers, flags, dates as days since 1970-01-01, and categories that the description lists, as places."""
        return tuple(column.name for column in self.problem.request if _is_number(column))

    @property
    def texts(self) -> tuple[str, ...]:
        """Categories, and names of months."""
        return tuple(column.name for column in self.problem.request if isinstance(column.kind, Category | Months))

    def check(self, rows: RawRows) -> RowCounts:
        """Check the rows and count them; raises BadData for rows that cannot be forecast."""
        return RowCounts(len(typed_rows.typed(self.problem, rows)), 0, 0)

    def problems(self, rows: RawRows) -> list[RowProblem]:
        """Each value that cannot be forecast, by row. Raises BadData if a column is missing."""
        return typed_rows.problems(self.problem, rows)

    def values(self, rows: RawRows, columns: tuple[str, ...], texts: tuple[str, ...]) -> ModelRows:
        """Some columns of the rows that are learned. Raises BadData for rows that cannot be forecast."""
        typed, which = typed_rows.typed(self.problem, rows), self._learned(rows)
        typed = typed if which.all() else typed[which]
        found = {
            name: typed[name].to_numpy(dtype=object)
            if name in texts
            else _numbers(self.problem.column(name), typed[name])
            for name in columns
        }
        return ModelRows(frame(found, texts), which)

    def _learned(self, rows: RawRows) -> NDArray[np.bool_]:
        """The rows that are learned; of classes, a model forecasts all rows."""
        return learned(self.problem, rows) if self.problem.task == "regression" else np.ones(len(rows), dtype=np.bool_)

    def probe(self, count: int) -> dict[str, list[Any]]:
        """The example, at most this many rows."""
        return {name: values[:count] for name, values in self.example.items()}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """None: the description of the problem says it all."""
        return {}


def _is_number(column: Column) -> bool:
    kind = column.kind
    return bool(kind.values) if isinstance(kind, Category) else not isinstance(kind, Months)


def _numbers(column: Column, values: "pd.Series[Any]") -> NDArray[np.float64]:
    kind = column.kind
    if isinstance(kind, Category):
        codes = pd.Index(kind.values).get_indexer(pd.Index(values)).astype(np.float64)
        return np.where(codes < 0, np.nan, codes)
    if isinstance(kind, Date):
        times = values.to_numpy().astype("datetime64[s]")
        return np.where(np.isnat(times), np.nan, times.astype(np.int64) / SECONDS_OF_DAY)
    return np.asarray(values, dtype=np.float64)


def of(problem: Problem, rows: pd.DataFrame, count: int) -> TableRows:
    """The rows of a problem; values of prepared rows make the example.

    Each column has its values in another order, so that the example holds no row of the data; a key of a state has one
    row at a time.
    """
    step = max(len(rows) // count, 1)
    places = np.arange(count) * step
    example = {}
    for place, column in enumerate(problem.request):
        moved = (places + place * step) % len(rows)
        example[column.name] = raw_values(column, rows[column.name].iloc[moved])
    if problem.kind == "state":
        at = list(zip(*(example[name] for name in (*problem.keys, problem.time_name)), strict=True))
        first = [at.index(found) for found in dict.fromkeys(at)]
        example = {name: [values[row] for row in first] for name, values in example.items()}
    return TableRows(problem, example)


def raw_values(column: Column, values: "pd.Series[Any]") -> list[Any]:
    """Values of a prepared column as JSON has them; None for a missing one."""
    if isinstance(column.kind, Date):
        values = values.dt.strftime("%Y-%m-%dT%H:%M:%S").str.removesuffix("T00:00:00")
    return [None if pd.isna(value) else value for value in values.astype(object).tolist()]
