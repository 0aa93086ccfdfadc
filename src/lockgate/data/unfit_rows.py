"""Rows of the history that are left out: a value of a column with `drop_rows` is missing or out of range."""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data import row_counts
from lockgate.data.cells import request_type
from lockgate.data.column_types import ColumnType, TextForm, column_type, optional
from lockgate.data.row_counts import RowCount
from lockgate.data.row_rules import Place
from lockgate.errors import BadData
from lockgate.problem.columns import Column, ColumnKind, Date, Decimal, Whole
from lockgate.problem.description import EARLIEST, LARGEST, LATEST, Problem


def lenient_type(problem: Problem, column: Column, form: TextForm) -> ColumnType:
    """The type of a column whose values may be missing or out of range, since such rows are left out."""
    return optional(request_type(problem, replace(column, kind=_widest(column.kind)), form), form.missing)


def without(problem: Problem, raw: pd.DataFrame, place: Place) -> tuple[pd.DataFrame, Place, tuple[RowCount, ...]]:
    """The rows without those that are left out, the place of a row, and a count for each column that may do so."""
    unfit = {column: _unfit(column, raw[column.name]) for column in problem.history if column.drop_rows}
    if not unfit:
        return raw, place, ()
    kept = np.flatnonzero(~np.logical_or.reduce(list(unfit.values())))
    counts = tuple(_count(column, int(rows.sum()), len(raw)) for column, rows in unfit.items())
    found = raw.iloc[kept].reset_index(drop=True)
    plain = {column.name: column_type(column).dtype for column in unfit}
    return found.astype(plain), lambda row: place(int(kept[row])), counts


def refuse_none_left(rows: int, counts: Iterable[RowCount]) -> None:
    """Raise BadData if no row remains."""
    if not rows:
        what = f"{'; '.join(row_counts.notes(counts))}: no row remains"
        raise BadData(what, where="problem.columns", hint="correct range or drop_rows")


def _widest(kind: ColumnKind) -> ColumnKind:
    match kind:
        case Whole():
            return Whole(-LARGEST, LARGEST)
        case Decimal(_, _, units):
            return Decimal(-math.inf, math.inf, units)
        case Date(_, _, form):
            return Date(EARLIEST, LATEST, form)
        case _:
            return kind


def _unfit(column: Column, values: "pd.Series[float]") -> NDArray[np.bool_]:
    missing = values.isna().to_numpy()
    match column.kind:
        case Whole(low, high) | Decimal(low, high, _):
            outside = ~values.between(low, high).to_numpy() & ~missing
        case Date(first, last, _):
            days = values.to_numpy().astype("datetime64[D]")
            outside = ((days < np.datetime64(first)) | (days > np.datetime64(last))) & ~missing
        case _:
            outside = np.zeros(len(values), dtype=bool)
    return np.asarray(outside | (missing & (not column.missing)))


def _count(column: Column, rows: int, of: int) -> RowCount:
    return RowCount("left out", rows, of, f": {column.name} is missing or out of range (drop_rows)")
