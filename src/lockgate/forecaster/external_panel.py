"""The rows of a panel for an external model: columns that are known before the period, of known keys in a window."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from lockgate.features.external_columns import ExternalColumns
from lockgate.forecaster.checked_rows import RowProblem
from lockgate.forecaster.external_rows import ModelRows, frame
from lockgate.forecaster.interface import RowCounts, count_rows
from lockgate.forecaster.panel_rows import PanelRequest
from lockgate.forecaster.raw_rows import RawRows
from lockgate.forecaster.window import Window
from lockgate.problem.description import Problem


@dataclass(frozen=True)
class PanelRows:
    """Rows of a panel. `example` are raw rows that can be forecast, by column."""

    columns: ExternalColumns
    window: Window
    example: Mapping[str, list[Any]]

    @property
    def problem(self) -> Problem:
        """The problem of the rows."""
        return self.columns.problem

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that a model may take as numbers."""
        return self.columns.numbers

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns that a model may take as texts."""
        return self.columns.texts

    def check(self, rows: RawRows) -> RowCounts:
        """Check the rows and count them; raises BadData for rows that cannot be forecast."""
        return count_rows(self.request.read(rows), self.window.judged)

    def problems(self, rows: RawRows) -> list[RowProblem]:
        """Each value that cannot be forecast, by row. Raises BadData if a column is missing."""
        return self.request.problems(rows)

    def values(self, rows: RawRows, columns: tuple[str, ...], texts: tuple[str, ...]) -> ModelRows:
        """Some columns of the rows that are learned. Raises BadData for rows that cannot be forecast."""
        read = self.request.read(rows)
        known = read.known.take(read.open)
        found = {name: self.columns.column(name, name in texts, known) for name in columns}
        return ModelRows(frame(found, texts), read.open)

    def probe(self, count: int) -> dict[str, list[Any]]:
        """The example, at most this many rows."""
        return {name: values[:count] for name, values in self.example.items()}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The series and their static features."""
        return self.columns.arrays()

    @cached_property
    def request(self) -> PanelRequest:
        """The rows that it takes."""
        return PanelRequest(self.problem, self.columns.series, self.columns.categories, self.window)
