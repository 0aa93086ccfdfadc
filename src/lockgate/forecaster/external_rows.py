"""The rows that an external model forecasts: one interface for panels, states and plain tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.forecaster.checked_rows import RowProblem
from lockgate.forecaster.interface import RowCounts
from lockgate.forecaster.raw_rows import RawRows
from lockgate.forecaster.window import Window
from lockgate.problem.description import Problem


class ExternalRows(Protocol):
    """The rows that an external forecaster takes, and their columns as the model takes them."""

    @property
    def problem(self) -> Problem:
        """The problem of the rows."""

    @property
    def window(self) -> Window | None:
        """The periods of a panel; None for a plain table and for states."""

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that a model may take as numbers."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns that a model may take as texts."""

    def check(self, rows: RawRows) -> RowCounts:
        """Check the rows and count them; raises BadData for rows that cannot be forecast."""

    def problems(self, rows: RawRows) -> list[RowProblem]:
        """Each value that cannot be forecast, by row. Raises BadData if a column is missing."""

    def values(self, rows: RawRows, columns: tuple[str, ...], texts: tuple[str, ...]) -> "ModelRows":
        """Some columns of the rows that are learned. Raises BadData for rows that cannot be forecast."""

    def probe(self, count: int) -> dict[str, list[Any]]:
        """Raw rows that can be forecast, by column."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a bundle holds of the rows."""


@dataclass(frozen=True)
class ModelRows:
    """The columns of a model for the rows that are learned: float64, or texts; and which rows these are."""

    values: pd.DataFrame
    learned: NDArray[np.bool_]


def frame(columns: Mapping[str, NDArray[Any]], texts: tuple[str, ...]) -> pd.DataFrame:
    """Columns as a model takes them: texts as pandas's text, with NaN for a missing one, and numbers as float64."""
    return pd.DataFrame(
        {name: pd.array(values, dtype="str") if name in texts else values for name, values in columns.items()}
    )
