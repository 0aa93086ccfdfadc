"""The typed cells of a file, by the description of its columns."""

from collections.abc import Mapping

import pandas as pd

from lockgate.data import readers
from lockgate.data.column_types import ColumnType, TextForm, column_type, time_type, typed
from lockgate.data.readers import RawTable
from lockgate.errors import BadData
from lockgate.problem.columns import Column, Date, Role
from lockgate.problem.description import Problem, SourceFile


def cells(raw_table: RawTable, column_types: Mapping[str, ColumnType]) -> pd.DataFrame:
    """The columns of these types. Raises BadData for a missing column, and for the first bad value of each column."""
    if missing := [name for name in column_types if name not in raw_table.names]:
        what = f"missing column {', '.join(missing)}; found {', '.join(map(readers.shown, raw_table.names[:20]))}"
        hint = "names are spelled as under problem.columns, upper and lower case"
        raise BadData(what, where=f"{raw_table.path}, header", hint=hint)
    frame = typed(raw_table, column_types)
    last = column_types.get(raw_table.names[-1])
    if raw_table.open_ends and last and last.open_ended:
        raise BadData(
            f"the last line has no line end, so its {raw_table.names[-1]} may be truncated",
            where=raw_table.place(raw_table.open_ends[0]),
            hint="restore the file, or end its last line if it is complete",
        )
    return frame


def form_of(source: SourceFile) -> TextForm:
    """The form of the texts of a file."""
    return TextForm(source.decimal, source.missing, source.thousands)


def request_type(problem: Problem, column: Column, form: TextForm) -> ColumnType:
    """The type of a column outside the history: its time may lie in the future."""
    if column.role is Role.TIME and isinstance(column.kind, Date):
        return time_type(column.kind, problem.period.name, column.kind.last)
    return column_type(column, form)
