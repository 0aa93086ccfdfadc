"""The interface of a recipe for plain tables and states: `fit(problem, rows, target)` gives a state and a matrix.

A state transforms rows into a matrix of numbers, one row a row; NaN is a missing number. Its arrays restore it without
a pickle. A row's features do not depend on the other rows (of a state: on those of other keys, or of later times).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.problem.description import Problem

Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class FeatureMatrix:
    """Features of rows, and their names."""

    values: NDArray[np.float32]  # (rows, names)
    names: tuple[str, ...]

    def take(self, which: NDArray[np.int64]) -> "FeatureMatrix":
        """Some of the rows, by place."""
        return FeatureMatrix(self.values[which], self.names)


class TabularState(Protocol):
    """What a recipe has learned from rows."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its features."""

    @property
    def origins(self) -> tuple[str, ...]:
        """What each feature is made of: a column of the problem, or words such as "operating condition"."""

    @property
    def changing(self) -> tuple[str, ...]:
        """The features that change with time by nature, beside those of times, dates and keys."""

    def transform(self, rows: pd.DataFrame) -> FeatureMatrix:
        """The matrix of rows, in their order; `rows` has the columns of `problem.request`, as ingest types them."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its arrays by name, as a bundle stores them."""


@dataclass(frozen=True)
class Learned:
    """A state, and the matrix of the rows that it has learned: what depends on a row's target is out of fold there."""

    state: TabularState
    matrix: FeatureMatrix


@dataclass(frozen=True)
class TabularRecipe:
    """The functions of a recipe. The target is (rows, outputs): its value, or a 0/1 column for each class."""

    fit: Callable[[Problem, pd.DataFrame, Floats, int], Learned]  # (problem, rows, target, seed)
    restore: Callable[[Problem, Arrays], TabularState]
