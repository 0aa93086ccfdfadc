"""Leakage check: no feature depends on sales after its cutoff, and the stored history matches the data up to it.

Features are code: the check replaces sales with noise, day by day, fits the recipe again and compares the matrices.
The state of the recipe is data in the bundle: the check fits it again on the rows. It knows a recipe by its interface.

The rows may be in parts with whole keys. Where a sample of the keys learned what all keys share, the state is fitted
again on one part after the other. Without a sample, all keys learned it together, so all rows are read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from lockgate.data.rows_by_part import Rows, RowsByPart
from lockgate.features.known_inputs import Categories, KnownInputs, categories_of, covariate_columns, union_of
from lockgate.features.recipe import Part, Recipe, State, Table, Whole, lowest_target, static_columns
from lockgate.forecaster.ensemble import Forecaster
from lockgate.problem.columns import Role

Places = NDArray[np.int64]  # of keys in the series of the forecaster
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


def check(forecaster: Forecaster, rows: Rows) -> LeakageReport | None:
    """Check a forecaster's features and stored history with `rows`, which may include days after its cutoff.

    Returns None if the rows do not reach its cutoff, or if too few days are before it.
    """
    learned = _Learned.of(forecaster, rows)
    if learned is None:
        return None
    some = learned.table(_sample(len(forecaster.state.series)))
    perturbed = _Perturbation.of(forecaster.recipe, some, forecaster.window.horizon, SEED)
    later = perturbed.changed(perturbed.cutoff + 1, perturbed.table.last)
    earlier = perturbed.changed(perturbed.table.first, perturbed.cutoff)
    return LeakageReport(
        later,
        len(perturbed.columns),
        len(earlier),
        _history_mismatch(learned),
        str(forecaster.window.trained_until(forecaster.problem.period)),
    )


def by_feature(recipe: Recipe, table: Table, horizon: int, seed: int) -> tuple[FeatureLeakage, ...]:
    """The result for each feature on the last `horizon` days of a table; the cutoff is the day before them."""
    perturbed = _Perturbation.of(recipe, table.take(_sample(len(table.series))), horizon, seed)
    leaks = perturbed.changed(perturbed.cutoff + 1, perturbed.table.last)
    by_day = [perturbed.changed(perturbed.cutoff - back, perturbed.cutoff - back) for back in range(DAYS_BACK)]
    return tuple(
        FeatureLeakage(name, next((back for back, names in enumerate(by_day) if name in names), None), name in leaks)
        for name in perturbed.columns
    )


@dataclass(frozen=True)
class _Outline:
    """What one part of the rows tells about the check: `places` are those of its keys."""

    places: Places
    first: int
    last: int
    categories: Categories
    lowest: float | None  # target that is learned
    some: pd.DataFrame  # the rows of some keys


@dataclass(frozen=True)
class _Learned:
    """The rows of the forecaster's keys up to its cutoff, part by part, and what a part must know of all."""

    forecaster: Forecaster
    parts: RowsByPart
    outlines: tuple[_Outline, ...]
    whole: Whole

    @classmethod
    def of(cls, forecaster: Forecaster, rows: Rows) -> "_Learned | None":
        """From prepared rows; None if they do not reach the cutoff, or if too few periods are before it.

        Without a sample of keys in the bundle, all rows are one part.
        """
        parts = RowsByPart.of(rows)
        if forecaster.sample is None:
            parts = RowsByPart.of(parts.joined())
        found = [_outline(forecaster, part) for part in parts]
        outlines = tuple(each for each in found if len(each.places))
        cutoff, problem, series = forecaster.state.cutoff, forecaster.problem, forecaster.state.series
        if not outlines:
            return None
        first, last = min(each.first for each in outlines), max(each.last for each in outlines)
        if last != cutoff or cutoff - first <= 2 * forecaster.window.horizon:
            return None
        categories = union_of([each.categories for each in outlines])
        categories |= categories_of(static_columns(problem, series), series.frame)
        known = parts.map(partial(_known, forecaster))
        return cls(forecaster, known, outlines, Whole(first, last, len(series), categories))

    def table(self, places: Places) -> Table:
        """The table of keys whose rows the outlines have."""
        rows = pd.concat([each.some for each in self.outlines], ignore_index=True)
        return self._table(rows, places)

    def tables(self) -> Iterator[tuple[Places, Table]]:
        """The keys of each part and their table; keys without rows are in the first one."""
        series = self.forecaster.state.series
        rest = np.setdiff1d(np.arange(len(series)), np.concatenate([each.places for each in self.outlines]))
        for part in self.parts:
            if len(part):
                places = np.union1d(series.places(part), rest)
                yield places, self._table(part, places)
                rest = rest[:0]

    @property
    def lowest(self) -> float | None:
        """The lowest target that is learned."""
        return min((each.lowest for each in self.outlines if each.lowest is not None), default=None)

    def _table(self, rows: pd.DataFrame, places: Places) -> Table:
        series = self.forecaster.state.series.take(places)
        some = rows[series.places(rows) >= 0]
        return Table.of_part(self.forecaster.problem, some, Part(series, places), self.whole)


def _known(forecaster: Forecaster, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the forecaster's keys up to its cutoff."""
    period = forecaster.problem.period.number(rows[forecaster.problem.time_name].to_numpy())
    return rows[(forecaster.state.series.places(rows) >= 0) & (period <= forecaster.state.cutoff)]


def _outline(forecaster: Forecaster, rows: pd.DataFrame) -> _Outline:
    problem, series = forecaster.problem, forecaster.state.series
    known = _known(forecaster, rows)
    period, place = problem.period.number(known[problem.time_name].to_numpy()), series.places(known)
    some = _sample(len(series)) if forecaster.sample is None else np.union1d(_sample(len(series)), forecaster.sample)
    return _Outline(
        np.unique(place),
        int(period.min()) if len(known) else 0,
        int(period.max()) if len(known) else 0,
        categories_of(problem.of_role(Role.KNOWN_COVARIATES), known),
        lowest_target(problem, known),
        known[np.isin(place, some)],
    )


def _history_mismatch(learned: _Learned) -> tuple[str, ...]:
    """Features of the days after the cutoff that differ between the stored state and one that is fitted again."""
    forecaster, horizon = learned.forecaster, learned.forecaster.window.horizon
    recipe, sample, cutoff = forecaster.recipe, forecaster.sample, forecaster.state.cutoff
    shared = None
    if sample is not None:
        shared = recipe.shared_of(learned.table(sample), len(forecaster.state.series), learned.lowest, horizon)
    differ: dict[str, bool] = {}
    for places, table in learned.tables():
        fitted = recipe.fit(table, [cutoff], horizon, shared)[cutoff]
        rows = _days_ahead(forecaster, len(places))
        stored, expected = columns(forecaster.state, replace(rows, key=places[rows.key])), columns(fitted, rows)
        for name in expected:
            differ[name] = differ.get(name, False) or not _close(stored[name], expected[name])
    return tuple(name for name, is_different in differ.items() if is_different)


def _close(stored: NDArray[np.float64], expected: NDArray[np.float64]) -> bool:
    return np.allclose(stored, expected, rtol=0.0, atol=TOLERANCE, equal_nan=True)


def _days_ahead(forecaster: Forecaster, keys: int) -> KnownInputs:
    """Rows of the first `keys` keys in each of the next periods: once with all known covariates 0, once with all 1."""
    periods = min(forecaster.window.horizon, COMPARED_DAYS)
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
        cutoff = table.last - horizon
        return cls(recipe, table, cutoff, _columns_after(recipe, table, cutoff), np.random.default_rng(seed))

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


def _sample(count: int) -> Places:
    """The places of at most STORES of some keys."""
    return np.unique(np.linspace(0, count - 1, min(STORES, count)).astype(np.int64))
