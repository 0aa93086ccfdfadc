"""The history as arrays of keys x periods."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.known_inputs import Categories, Codes, KnownInputs, covariate_columns, encoded
from lockgate.features.series import Series
from lockgate.problem.description import Problem

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Panel:
    """Keys x periods. `target` is NaN where nothing is learned: no row, a row outside `where`, or no value."""

    first: int  # number of the first period
    target: Floats
    covariates: Mapping[str, Codes]  # by name; 0 without a row
    present: Flags  # there is a row

    @property
    def last(self) -> int:
        """Number of the last period."""
        return self.first + int(self.target.shape[1]) - 1

    def between(self, first: int, last: int) -> "Panel":
        """The columns of the periods first..last, both included and both inside."""
        span = slice(first - self.first, last + 1 - self.first)
        covariates = {name: grid[:, span] for name, grid in self.covariates.items()}
        return Panel(first, self.target[:, span], covariates, self.present[:, span])

    def take(self, keys: Ints) -> "Panel":
        """Some of the keys, by place."""
        covariates = {name: grid[keys] for name, grid in self.covariates.items()}
        return Panel(self.first, self.target[keys], covariates, self.present[keys])


def panel(
    problem: Problem,
    rows: pd.DataFrame,
    series: Series,
    categories: Categories,
    span: tuple[int, int] | None = None,
) -> Panel:
    """Lay out rows (as in ingest.Tables.rows) over the series, and over all periods of `span`, both included.

    Without a span, these are the periods from the first to the last of the rows.
    """
    period = problem.period.number(rows[problem.time_name].to_numpy())
    first, last = span or (int(period.min()), int(period.max()))
    width = last - first + 1
    cells = series.places(rows) * width + (period - first)
    target = rows[problem.target].to_numpy(dtype=np.float64)
    learned = ~np.isnan(target) & learned_rows(problem, rows)

    def grid(values: Codes, empty: float = 0) -> Codes:
        filled = np.full(len(series) * width, empty, dtype=values.dtype)
        filled[cells] = values
        return filled.reshape(-1, width)

    codes = encoded(covariate_columns(problem), rows, categories)
    return Panel(
        first=first,
        target=grid(np.where(learned, target, np.nan), np.nan),
        covariates={name: grid(values) for name, values in codes.items()},
        present=grid(np.ones(len(rows), dtype=np.bool_)),
    )


def lowest_of(target: Floats) -> float | None:
    """The lowest target that is learned; None if there is none."""
    known = target[~np.isnan(target)]
    return float(known.min()) if known.size else None


def learned_rows(problem: Problem, rows: pd.DataFrame) -> Flags:
    """The rows that are learned and scored: those of `where`."""
    if problem.where is None:
        return np.ones(len(rows), dtype=np.bool_)
    return np.asarray(rows[problem.where.column] == problem.where.equals, dtype=np.bool_)


def panel_rows(history: Panel) -> KnownInputs:
    """Every key x period of a panel as rows, keys outermost."""
    keys, width = history.target.shape
    return KnownInputs(
        key=np.repeat(np.arange(keys), width),
        period=np.tile(np.arange(history.first, history.first + width), keys),
        covariates={name: grid.ravel() for name, grid in history.covariates.items()},
    )
