"""The rows that two versions forecast, with both forecasts, and how far the forecasts are apart."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.evaluation.slices import Slice
from lockgate.problem.description import Problem
from lockgate.problem.target_values import outside_where

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SMALL = 0.01  # of the median forecast: forecasts below count as this, and so as at most 1, in a relative difference
EVEN = 0.5  # the probability from which on a row counts as of the positive class


@dataclass(frozen=True)
class Pairs:
    """Rows in the problem's own columns, and what each version forecasts for them.

    Forecasts are (rows,), or (rows, classes) with more than two classes. `target` is the target as numbers (see
    problem/target_values.py), NaN where it is unknown. `parts` are the slices, and which rows are in each. `unit`
    is the unit of the errors of each row in the metric, None: as they are.
    """

    problem: Problem
    rows: pd.DataFrame
    target: Floats
    first: Floats
    second: Floats
    parts: tuple[tuple[Slice, Bools], ...] = ()
    unit: Floats | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, chosen: Bools) -> "Pairs":
        """The chosen rows."""
        parts = tuple((part, mask[chosen]) for part, mask in self.parts)
        return replace(
            self,
            rows=self.rows[chosen],
            target=self.target[chosen],
            first=self.first[chosen],
            second=self.second[chosen],
            parts=parts,
            unit=None if self.unit is None else self.unit[chosen],
        )

    @property
    def is_relative(self) -> bool:
        """Whether a difference is a share of the first forecast; else it is a difference of probabilities."""
        return self.problem.task == "regression"

    @cached_property
    def outside(self) -> Bools:
        """The rows that `where` leaves out: a rule gives their forecast, so they are in no difference."""
        return outside_where(self.problem, self.rows)

    @cached_property
    def difference(self) -> Floats:
        """How much higher the second forecast is in each row: a share of the first, or a difference of probabilities.

        With more than two classes: half the sum of the absolute differences, so 1 if the two agree on nothing.
        """
        apart = self.second - self.first
        if self.is_relative:
            return np.asarray(apart / np.maximum(np.abs(self.first), self._smallest))
        return apart if apart.ndim == 1 else np.asarray(np.abs(apart).sum(axis=1) / 2)

    @property
    def _smallest(self) -> float:
        """The size as which a smaller forecast counts in a relative difference."""
        size = np.abs(self.first[self.first != 0])
        return min(1.0, SMALL * float(np.median(size))) if size.size else 1.0

    @property
    def first_class(self) -> NDArray[np.int64]:
        """The class that the first version forecasts: the most probable one."""
        return _class_of(self.first)

    @property
    def second_class(self) -> NDArray[np.int64]:
        """The class that the second version forecasts."""
        return _class_of(self.second)


def _class_of(forecast: Floats) -> NDArray[np.int64]:
    return np.asarray(forecast >= EVEN if forecast.ndim == 1 else forecast.argmax(axis=1), dtype=np.int64)
