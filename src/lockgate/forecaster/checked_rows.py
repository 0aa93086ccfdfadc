"""The rows of a panel's request that can be forecast, as arrays; and the problems of those that cannot."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.features.known_inputs import KnownInputs


@dataclass(frozen=True)
class RowProblem:
    """A row that cannot be forecast: its position (from 0), the column, the value found, and what is allowed."""

    row: int
    column: str
    value: str
    allowed: str

    def __str__(self) -> str:
        return f"row {self.row}: {self.column} is {self.value}"


@dataclass(frozen=True)
class BrokenRule:
    """A rule for a column, the rows that break it, and what is allowed."""

    column: str
    bad: NDArray[np.bool_]
    allowed: str


@dataclass(frozen=True)
class CheckedRows:
    """Rows that can be forecast, as arrays. Rows that are not open are not learned: their forecast is a constant."""

    known: KnownInputs
    open: NDArray[np.bool_]
    open_missing: NDArray[np.bool_]  # they do not say so, and are taken as open
