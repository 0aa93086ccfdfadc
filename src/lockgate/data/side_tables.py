"""Side tables: one row for each value of the key. Covariates are joined to the rows; static features stay apart."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from lockgate.data import row_rules
from lockgate.data.cells import cells, form_of, request_type
from lockgate.data.readers import RawTable
from lockgate.problem.columns import Column, Role, names
from lockgate.problem.description import Problem, SourceFile


@dataclass(frozen=True)
class SideTable:
    """The typed rows of a side table: its key, its covariates and its static features."""

    source: SourceFile
    columns: tuple[Column, ...]  # beside the key
    rows: pd.DataFrame

    @property
    def key(self) -> list[str]:
        """The columns by which it is joined."""
        return list(self.source.key)

    @property
    def covariates(self) -> list[str]:
        """The names of its covariates."""
        return [column.name for column in self.columns if column.role is not Role.STATIC_FEATURES]

    @property
    def static(self) -> list[str]:
        """The names of its static features."""
        return [column.name for column in self.columns if column.role is Role.STATIC_FEATURES]

    @property
    def is_optional(self) -> bool:
        """Whether a row needs no row here: all values are covariates that may be missing."""
        return not self.static and all(column.missing for column in self.columns)


def columns_of(problem: Problem, source: SourceFile) -> tuple[Column, ...]:
    """The columns of a side table beside its key."""
    return tuple(column for column in problem.table if column.side_table == source.file)


def read(problem: Problem, source: SourceFile, raw_table: RawTable) -> SideTable:
    """A side table; raises BadData for a bad value, a repeated key or a broken rule."""
    key = tuple(replace(problem.column(name), missing="") for name in source.key)
    columns, form = columns_of(problem, source), form_of(source)
    rows = cells(raw_table, {column.name: request_type(problem, column, form) for column in (*key, *columns)})
    row_rules.refuse_in_side_table(problem, source.key, rows, raw_table.place)
    return SideTable(source, columns, rows)


def joined(rows: pd.DataFrame, sides: Iterable[SideTable], place: row_rules.Place) -> pd.DataFrame:
    """The rows in their order, with those covariates of the side tables that they lack.

    Raises BadData for a row that has no row in a side table, unless the table is optional.
    """
    for side in sides:
        if not side.is_optional:
            row_rules.refuse_without_side_row(side.key, rows, side.rows, side.source.file, place)
        if held := [name for name in side.covariates if name not in rows]:
            rows = rows.merge(side.rows[[*side.key, *held]], on=side.key, how="left")
    return rows


def static_features(side: SideTable) -> pd.DataFrame:
    """The static features of a side table with its key."""
    return side.rows[[*side.key, *side.static]]


def of_file(problem: Problem, source: SourceFile) -> list[str]:
    """The names of the columns that are read from a file."""
    return [*source.key, *names(columns_of(problem, source))] if source.key else names(problem.history)
