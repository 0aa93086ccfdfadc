"""The interface of a recipe: `fit(table, cutoffs, horizon)` gives states, and a state transforms rows into a matrix.

Training, forecaster, bundle and leakage check use the features of the ensemble through this interface only. So the
leakage check can fit any recipe again on a changed table: docs/decisions/one-interface-of-recipes.md.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.errors import BadData
from lockgate.features.known_inputs import Categories, KnownInputs, categories_of
from lockgate.features.panel import Panel, learned_rows, panel, panel_rows
from lockgate.features.scale import Scale
from lockgate.features.series import Series
from lockgate.features.shared import LOWEST_TARGET, NUMBER_OF_KEYS, Shared
from lockgate.problem.columns import Column, Role
from lockgate.problem.description import Problem

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SERVED_HORIZONS = 2  # a version serves the horizon after its holdout, too
GROUP_MEAN = "group_mean"  # an offset: the mean of the row's group
RIDGE = "ridge"  # the offset that is also a forecast, and so a member of the blend


@dataclass(frozen=True)
class Matrix:
    """Features of rows, and the offsets that boosters start from, in the scale of the recipe."""

    values: NDArray[np.float32]  # (rows, names)
    names: tuple[str, ...]
    offsets: Mapping[str, Floats]  # by name; one entry a row
    scale: Scale

    def take(self, which: NDArray[np.int64]) -> "Matrix":
        """Some of the rows, by place."""
        offsets = {name: offset[which] for name, offset in self.offsets.items()}
        return Matrix(self.values[which], self.names, offsets, self.scale.take(which))

    @classmethod
    def join(cls, parts: Sequence["Matrix"]) -> "Matrix":
        """All rows of several matrices of one recipe."""
        names, offsets = parts[0].names, parts[0].offsets
        return cls(
            np.concatenate([part.values for part in parts]),
            names,
            {name: np.concatenate([part.offsets[name] for part in parts]) for name in offsets},
            Scale.join([part.scale for part in parts]),
        )


@dataclass(frozen=True)
class Terms:
    """A linear forecast of rows as a sum in the scale of the recipe: a base, and a term for each source.

    A source is a column of the problem, or words such as "calendar". The base is the forecast of the row's key for an
    average period of the calendar, with covariates at their usual value.
    """

    base: Floats  # (rows,)
    values: Floats  # (rows, sources)
    sources: tuple[str, ...]

    @classmethod
    def grouped(cls, base: Floats, values: Floats, sources: Sequence[str]) -> "Terms":
        """The terms of regressors, (rows, regressors), summed by their sources."""
        names = tuple(dict.fromkeys(sources))
        found = np.zeros((len(values), len(names)))
        for place, source in enumerate(sources):  # in this order, whatever the batch
            found[:, names.index(source)] += values[:, place]
        return cls(base, found, names)


@dataclass(frozen=True)
class Whole:
    """What a part of a table must know of the whole: its periods, its number of keys, and all categories."""

    first: int  # number of the first period
    last: int
    keys: int
    categories: Categories  # of known covariates and static features


@dataclass(frozen=True)
class Part:
    """Some keys of a whole table: their series, and the places of the series in the whole table."""

    series: Series
    places: NDArray[np.int64]


@dataclass(frozen=True)
class Table:
    """The rows of a table, laid out as keys x periods, and their series with static features."""

    problem: Problem
    history: Panel
    series: Series
    categories: Categories  # of known covariates and static features
    places: NDArray[np.int64] | None = None  # of the series among those of the whole table; None: all are here

    @classmethod
    def of(
        cls, problem: Problem, rows: pd.DataFrame, static: pd.DataFrame, categories: Categories | None = None
    ) -> "Table":
        """Lay out rows (as in ingest.Tables.rows), on all periods from their first to their last.

        `static` has one row a key with the static features; it may be empty. Without `categories`, they are those of
        the rows and keys.
        """
        series = Series.of(problem, rows, static)
        if categories is None:
            categories = categories_of(problem.of_role(Role.KNOWN_COVARIATES), rows)
            categories |= categories_of(static_columns(problem, series), series.frame)
        return cls(problem, panel(problem, rows, series, categories), series, categories)

    @classmethod
    def of_part(cls, problem: Problem, rows: pd.DataFrame, part: "Part", whole: "Whole") -> "Table":
        """Lay out the rows of some keys as a part of a whole table; equal to `take` on the whole table."""
        history = panel(problem, rows, part.series, whole.categories, (whole.first, whole.last))
        places = None if len(part.series) == whole.keys else part.places
        return cls(problem, history, part.series, whole.categories, places)

    @property
    def first(self) -> int:
        """Number of the first period."""
        return self.history.first

    @property
    def last(self) -> int:
        """Number of the last period."""
        return self.history.last

    def known_inputs(self, first: int, last: int) -> KnownInputs:
        """Every key x period of the periods first..last as rows, keys outermost."""
        return panel_rows(self.history.between(first, last))

    def target(self, first: int, last: int) -> Floats:
        """The target of the rows of `known_inputs`; NaN where nothing is learned."""
        return self.history.between(first, last).target.ravel()

    def with_target(self, first: int, target: Floats) -> "Table":
        """The same table with other targets, (keys, periods), from the period `first` on."""
        changed = self.history.target.copy()
        start = first - self.first
        changed[:, start : start + target.shape[1]] = target
        return replace(self, history=replace(self.history, target=changed))

    def take(self, keys: NDArray[np.int64]) -> "Table":
        """Some of the series, by place."""
        places = keys if self.places is None else self.places[keys]
        return replace(self, history=self.history.take(keys), series=self.series.take(keys), places=places)


def learned_targets(problem: Problem, rows: pd.DataFrame) -> pd.DataFrame:
    """Keys and target of the rows whose target is learned: it is known, and `where` holds."""
    learned = learned_rows(problem, rows) & rows[problem.target].notna().to_numpy()
    return rows.loc[learned, [*problem.keys, problem.target]]


def lowest_target(problem: Problem, rows: pd.DataFrame) -> float | None:
    """The lowest target that is learned of rows; None if there is none."""
    lowest = learned_targets(problem, rows)[problem.target].min()
    return None if pd.isna(lowest) else float(lowest)


def static_columns(problem: Problem, series: Series) -> tuple[Column, ...]:
    """The static features that the series have."""
    return tuple(column for column in problem.of_role(Role.STATIC_FEATURES) if column.name in series.frame)


class State(Protocol):
    """What a recipe has learned from the table up to a cutoff."""

    @property
    def cutoff(self) -> int:
        """Number of the last period that was used."""

    @property
    def horizon(self) -> int:
        """The periods after the cutoff for which it was fitted; it transforms rows of SERVED_HORIZONS times as many."""

    @property
    def series(self) -> Series:
        """Its series."""

    @property
    def categories(self) -> Categories:
        """The texts of each known covariate that is a category; their places are the codes in KnownInputs."""

    @property
    def scale(self) -> Scale:
        """The scale of each series, (keys,)."""

    @property
    def little_history(self) -> Flags:
        """The series with little or no history, (keys,)."""

    def transform(self, rows: KnownInputs) -> Matrix:
        """The matrix of rows after the cutoff; a row's features do not depend on the other rows."""

    @property
    def origins(self) -> tuple[str, ...]:
        """What each feature is made of: a column of the problem, or words such as "calendar"."""

    @property
    def changing(self) -> tuple[str, ...]:
        """The features that change with time by nature, beside those of times, dates and keys."""

    def terms(self, rows: KnownInputs) -> Terms:
        """The forecast of the offset RIDGE for rows after the cutoff, as a sum."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its arrays by name, as a bundle stores them; `Recipe.restore` makes the state from them."""


class Fit(Protocol):
    """Fits the states of a recipe."""

    def __call__(
        self, table: Table, cutoffs: Iterable[int], horizon: int, shared: Shared | None = None, /
    ) -> Mapping[int, State]:
        """A state by cutoff; `shared` records what all keys share, or gives it back for some of the keys."""


@dataclass(frozen=True)
class Recipe:
    """The functions of a recipe, and the names of its features."""

    names: tuple[str, ...]
    fit: Fit
    restore: Callable[[Mapping[str, NDArray[Any]], int, int], State]  # (arrays, cutoff, horizon)
    is_shared: Callable[
        [str], bool
    ]  # whether an array of a state, by name, is of all keys; the others: one entry a key

    def shared_of(self, sample: Table, keys: int, lowest: float | None, horizon: int) -> Shared:
        """What a sample of the keys learns for all keys at its last period: for the fit of other keys.

        `keys` is the number of all keys, `lowest` the lowest target that is learned of them.
        """
        recorded = Shared().with_values({NUMBER_OF_KEYS: keys, LOWEST_TARGET: lowest})
        self.fit(sample, [sample.last], horizon, recorded)
        return recorded.replayed()

    def join(self, states: Sequence[State]) -> State:
        """The state of all keys, from the states of ranges of them at one cutoff, in the order of the keys.

        Raises BadData if the states do not fit together.
        """
        first = states[0]
        parts = [state.arrays() for state in states]
        if any((state.cutoff, state.horizon) != (first.cutoff, first.horizon) for state in states):
            raise BadData("the states of the ranges of keys have different cutoffs or horizons")
        return self.restore(self._joined(parts), first.cutoff, first.horizon)

    def _joined(self, parts: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
        return {name: self._array(name, [part[name] for part in parts]) for name in parts[0]}

    def _array(self, name: str, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        if not self.is_shared(name):
            return np.concatenate(parts)
        if all(np.array_equal(parts[0], part, equal_nan=parts[0].dtype.kind == "f") for part in parts):
            return parts[0]
        raise BadData(f"the states of the ranges of keys differ in the array {name}, which all keys share")
