"""Reads a file of ground truth: the target of rows that are named by keys and time, or by a request and a row."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data import readers, text_file
from lockgate.data.cells import cells, form_of
from lockgate.data.column_types import CellFault, ColumnType, TextForm, column_type, full_type, time_type, whole
from lockgate.data.readers import RawTable
from lockgate.data.time_parts import with_time
from lockgate.errors import BadData
from lockgate.problem.columns import Date
from lockgate.problem.description import Problem
from lockgate.problem.target_values import outside_where

REQUEST, ROW = "request_id", "row"
LAST_ROW = (1 << 31) - 1


@dataclass(frozen=True)
class TruthFile:
    """Rows with the columns of their name and the target; each name is there once.

    `place` gives file and line of a row. `left_out` rows are those that `where` leaves out: they are not scored.
    `ignored` are the columns that were not read.
    """

    rows: pd.DataFrame
    place: Callable[[int], str]
    left_out: int
    ignored: tuple[str, ...]


def named_by(problem: Problem) -> tuple[str, ...]:
    """The columns that name a row of truth: keys and time, or request and row where the problem has neither."""
    return tuple(filter(None, (*problem.keys, problem.time_name))) or (REQUEST, ROW)


def read(problem: Problem, path: Path, today: datetime.date | None = None) -> TruthFile:
    """Read a text table or a parquet file; the order of columns is free, and `row` may be missing: it is 0 then.

    Raises BadData with the line for a missing column, a value that the description does not allow, a time after
    `today` (by default this machine's date), and two values of one name. Of equal rows, the first one counts.
    """
    raw = _raw(problem, path)
    types = _types(problem, raw, today or datetime.date.today())
    frame = cells(raw, types)
    if REQUEST in frame and ROW not in frame:
        frame = frame.assign(**{ROW: 0})
    scored = np.flatnonzero(~_outside(problem, frame))
    rows = frame.iloc[scored][[*named_by(problem), problem.target]].reset_index(drop=True)
    kept = _each_name_once(problem, rows, lambda row: raw.place(int(scored[row])))
    places = scored[kept]
    ignored = tuple(name for name in raw.names if name not in types)
    return TruthFile(
        rows.iloc[kept].reset_index(drop=True),
        lambda row: raw.place(int(places[row])),
        len(frame) - len(scored),
        ignored,
    )


def _raw(problem: Problem, path: Path) -> RawTable:
    """The cells under the described names: a file of commas, or one in the form of the problem's rows."""
    main = problem.main_source
    if text_file.magic(path) == text_file.PARQUET:
        found = readers.read_parquet(path)
    else:
        first = {main.rename.get(name, name) for name in readers.first_cells(path)}
        commas = readers.COMMAS.model_copy(update={"missing": main.missing})
        found = readers.read_csv(path, commas if problem.target in first or REQUEST in first else main)
    found = readers.renamed(found, {old: new for old, new in main.rename.items() if old in found.names})
    return with_time(found, problem.time)


def _types(problem: Problem, raw: RawTable, today: datetime.date) -> dict[str, ColumnType]:
    """The types of the columns to read: those of the name, the target, and that of `where` if the file has it."""
    form = TextForm() if raw.unit == "row" else form_of(problem.main_source)
    found = {name: _type_of_name(problem, name, form, today) for name in named_by(problem)}
    if ROW not in raw.names and not problem.keys and not problem.time:
        del found[ROW]
    found[problem.target] = full_type(problem.column(problem.target).kind, form)
    if problem.where and problem.where.column in raw.names:
        found[problem.where.column] = column_type(problem.column(problem.where.column), form)
    return found


def _type_of_name(problem: Problem, name: str, form: TextForm, today: datetime.date) -> ColumnType:
    if not problem.keys and not problem.time:
        return ColumnType("str", _uuid) if name == REQUEST else whole(0, LAST_ROW)
    kind = problem.column(name).kind
    if name == problem.time_name and isinstance(kind, Date):
        return time_type(kind, problem.period.name, today, f"in the future (today is {today})")
    return full_type(kind, form)


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise CellFault("not the id of a request", "give the request_id of the answer, a UUID") from None


def _outside(problem: Problem, frame: pd.DataFrame) -> NDArray[np.bool_]:
    """The rows that are not scored, as far as the file says so."""
    if problem.where is None or problem.where.column not in frame:
        return np.zeros(len(frame), dtype=np.bool_)
    return outside_where(problem, frame)


def _each_name_once(problem: Problem, rows: pd.DataFrame, place: Callable[[int], str]) -> NDArray[np.int64]:
    """The first row of each name. Raises BadData if a later one has another value."""
    name = rows[list(named_by(problem))]
    if problem.time:  # two times of one period are one name
        name = name.assign(**{problem.time_name: problem.period.number(name[problem.time_name].to_numpy())})
    number = name.groupby(list(name), sort=False).ngroup().to_numpy()
    _, first = np.unique(number, return_index=True)
    values = rows[problem.target].to_numpy(dtype=object)
    other = np.flatnonzero(values != values[first[number]])
    if len(other):
        row, earlier = int(other[0]), int(first[number[other[0]]])
        shown = ", ".join(f"{column} {value}" for column, value in rows.iloc[row][list(name)].items())
        more = f" (and {len(other) - 1} more such rows)" if len(other) > 1 else ""
        both = f"{values[earlier]} in {place(earlier)}, and {values[row]}{more}"
        hint = "keep the right one; a later file may correct a value"
        raise BadData(f"{shown} has two values of {problem.target}: {both}", where=place(row), hint=hint)
    return np.sort(first)
