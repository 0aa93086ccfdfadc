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

from lockgate.features.known_inputs import Categories, KnownInputs, categories_of
from lockgate.features.panel import Panel, panel, panel_rows
from lockgate.features.scale import Scale
from lockgate.features.series import Series
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
class Table:
    """The rows of a table, laid out as keys x periods, and their series with static features."""

    problem: Problem
    history: Panel
    series: Series
    categories: Categories  # of known covariates and static features

    @classmethod
    def of(cls, problem: Problem, rows: pd.DataFrame, static: pd.DataFrame) -> "Table":
        """Lay out rows (as in ingest.Tables.rows), on all periods from their first to their last.

        `static` has one row a key with the static features; it may be empty.
        """
        series = Series.of(problem, rows, static)
        categories = categories_of(problem.of_role(Role.KNOWN_COVARIATES), rows)
        categories |= categories_of(static_columns(problem, series), series.frame)
        return cls(problem, panel(problem, rows, series, categories), series, categories)

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
        return replace(self, history=self.history.take(keys), series=self.series.take(keys))


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

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its arrays by name, as a bundle stores them; `Recipe.restore` makes the state from them."""


@dataclass(frozen=True)
class Recipe:
    """The functions of a recipe, and the names of its features."""

    names: tuple[str, ...]
    fit: Callable[[Table, Iterable[int], int], Mapping[int, State]]  # (table, cutoffs, horizon): a state by cutoff
    restore: Callable[[Mapping[str, NDArray[Any]], int, int], State]  # (arrays, cutoff, horizon)
