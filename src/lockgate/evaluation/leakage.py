"""Leakage check: no feature depends on sales after its cutoff, and the stored history matches the data up to it.

Features are code: the check replaces sales with noise, day by day, fits the recipe again and compares the matrices.
The state of the recipe is data in the bundle: the check fits it again on the rows. It knows a recipe by its interface.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from lockgate.features.known_inputs import KnownInputs, covariate_columns
from lockgate.features.recipe import Recipe, State, Table
from lockgate.forecaster.ensemble import Forecaster

Columns = dict[str, NDArray[np.float64]]  # by name: each feature and each offset of some rows

TOLERANCE = 1e-4  # of log sales: far above rounding on another processor, far below the effect of one day of sales
COMPARED_DAYS = 42
SEED = 20
STORES = 40  # a sample of this many stores finds the same leaks as all stores
DAYS_BACK = 7  # each feature of past sales uses at least one of the last seven days


@dataclass(frozen=True)
class FeatureLeakage:
    """The sales on which one feature (or offset) depends."""

    feature: str
    youngest: int | None  # days from the cutoff back to the youngest sale that changes it; None: no sale does
    leaks: bool  # sales after the cutoff change it


@dataclass(frozen=True)
class LeakageReport:
    """The result for a forecaster."""

    leaking_features: tuple[str, ...]  # they change with sales after the cutoff
    tested_features: int
    features_using_history: int  # they change with sales up to the cutoff; 0: the check cannot detect a leak
    history_mismatch: tuple[str, ...]  # the bundle's history gives other values than the rows up to the cutoff
    cutoff: str  # a date

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "LeakageReport":
        """The report from plain values, as in JSON or from `dataclasses.asdict`."""
        lists = {name: tuple(values[name]) for name in ("leaking_features", "history_mismatch")}
        return cls(**dict(values) | lists)


def check(forecaster: Forecaster, rows: pd.DataFrame) -> LeakageReport | None:
    """Check a forecaster's features and stored history with `rows`, which may include days after its cutoff.

    Returns None if the rows do not reach its cutoff, or if too few days are before it.
    """
    table = _table(forecaster, rows)
    if table is None:
        return None
    perturbed = _Perturbation.of(forecaster.recipe, table, forecaster.window.horizon, SEED)
    later = perturbed.changed(perturbed.cutoff + 1, perturbed.table.last)
    earlier = perturbed.changed(perturbed.table.first, perturbed.cutoff)
    return LeakageReport(
        later,
        len(perturbed.columns),
        len(earlier),
        _history_mismatch(forecaster, table),
        str(forecaster.window.trained_until(forecaster.problem.period)),
    )


def by_feature(recipe: Recipe, table: Table, horizon: int, seed: int) -> tuple[FeatureLeakage, ...]:
    """The result for each feature on the last `horizon` days of a table; the cutoff is the day before them."""
    perturbed = _Perturbation.of(recipe, table, horizon, seed)
    leaks = perturbed.changed(perturbed.cutoff + 1, perturbed.table.last)
    by_day = [perturbed.changed(perturbed.cutoff - back, perturbed.cutoff - back) for back in range(DAYS_BACK)]
    return tuple(
        FeatureLeakage(name, next((back for back, names in enumerate(by_day) if name in names), None), name in leaks)
        for name in perturbed.columns
    )


def _table(forecaster: Forecaster, rows: pd.DataFrame) -> Table | None:
    """The rows of the forecaster's keys up to its cutoff."""
    problem, series, cutoff = forecaster.problem, forecaster.state.series, forecaster.state.cutoff
    period = problem.period.number(rows[problem.time_name].to_numpy())
    known = rows[(series.places(rows) >= 0) & (period <= cutoff)]
    if known.empty or period.max() < cutoff:
        return None
    table = Table.of(problem, known, series.frame)
    return table if table.last == cutoff and cutoff - table.first > 2 * forecaster.window.horizon else None


def _history_mismatch(forecaster: Forecaster, table: Table) -> tuple[str, ...]:
    """Features of the days after the cutoff that differ between the stored state and one that is fitted again."""
    fitted = forecaster.recipe.fit(table, [table.last], forecaster.window.horizon)[table.last]
    rows = _days_ahead(forecaster)
    stored, expected = columns(forecaster.state, rows), columns(fitted, rows)
    return tuple(name for name in expected if not _close(stored[name], expected[name]))


def _close(stored: NDArray[np.float64], expected: NDArray[np.float64]) -> bool:
    return np.allclose(stored, expected, rtol=0.0, atol=TOLERANCE, equal_nan=True)


def _days_ahead(forecaster: Forecaster) -> KnownInputs:
    """Every key in each of the next periods, with all known covariates 0 and with all of them 1."""
    keys, periods = len(forecaster.state.series), min(forecaster.window.horizon, COMPARED_DAYS)
    key, ahead, plan = (grid.ravel() for grid in np.meshgrid(*map(np.arange, (keys, periods, 2)), indexing="ij"))
    names = [column.name for column in covariate_columns(forecaster.problem)]
    return KnownInputs(key, forecaster.state.cutoff + 1 + ahead, {name: plan.astype(np.int8) for name in names})


@dataclass(frozen=True)
class _Perturbation:
    """A table, a cutoff in it, and the columns of the days after the cutoff."""

    recipe: Recipe
    table: Table
    cutoff: int
    columns: Columns
    rng: Generator

    @classmethod
    def of(cls, recipe: Recipe, table: Table, horizon: int, seed: int) -> "_Perturbation":
        some = _sample(table)
        cutoff = some.last - horizon
        return cls(recipe, some, cutoff, _columns_after(recipe, some, cutoff), np.random.default_rng(seed))

    def changed(self, first: int, last: int) -> tuple[str, ...]:
        """The columns that change when noise replaces the sales of the days first..last."""
        noisy = _columns_after(self.recipe, _with_noise(self.table, first, last, self.rng), self.cutoff)
        return tuple(
            name for name, column in self.columns.items() if not np.array_equal(noisy[name], column, equal_nan=True)
        )


def _columns_after(recipe: Recipe, table: Table, cutoff: int) -> Columns:
    """Features and offsets of all store days after the cutoff.

    A later state is fitted too, as in a training: both share sums, but must not share sales.
    """
    state = recipe.fit(table, [cutoff, table.last], table.last - cutoff)[cutoff]
    return columns(state, table.known_inputs(cutoff + 1, table.last))


def columns(state: State, rows: KnownInputs) -> Columns:
    """Features and offsets of some rows after a state's cutoff, by name."""
    matrix = state.transform(rows)
    features = {name: matrix.values[:, place].astype(np.float64) for place, name in enumerate(matrix.names)}
    return features | {f"offset {name}": offset for name, offset in matrix.offsets.items()}


def _with_noise(table: Table, first: int, last: int, rng: Generator) -> Table:
    """The same table with noise as the target of the periods first..last, learned or not."""
    shape = (len(table.series), last + 1 - first)
    return table.with_target(first, np.nanmax(np.abs(table.history.target)) * np.exp(rng.normal(4.0, 2.0, size=shape)))


def _sample(table: Table) -> Table:
    count = len(table.series)
    return table.take(np.unique(np.linspace(0, count - 1, min(STORES, count)).astype(np.int64)))
