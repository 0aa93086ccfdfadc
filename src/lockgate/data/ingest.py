"""Reads the files of a problem by its description: rows, static features of each key, and rows to forecast.

The tables do not depend on the order of columns in the files, and with a time not on the order of rows.
"""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate import digests
from lockgate.data import readers, row_rules, text_file
from lockgate.data.column_types import ColumnType, TextForm, column_type, full_type, time_type, typed
from lockgate.data.readers import RawTable
from lockgate.errors import BadData
from lockgate.problem.columns import Column, Date, Role, names
from lockgate.problem.description import Problem, SourceFile
from lockgate.problem.params import Source

COMPRESSED = ".gz"


@dataclass(frozen=True)
class InputFile:
    """An input file: name without folder, size and SHA-256."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class FileSource:
    """The files that rows were read from."""

    files: tuple[InputFile, ...]
    kind: str = "csv"


@dataclass(frozen=True)
class Tables:
    """Rows sorted by key and time (without time: in file order), static features by key, and notes for the user.

    `static` has the columns of the keys and the static features, sorted by key; it is empty without a side table.
    """

    rows: pd.DataFrame
    static: pd.DataFrame
    notes: tuple[str, ...] = ()


def raw_files(problem: Problem, folder: Path, source: Source) -> tuple[Path, ...] | None:
    """The files of the problem in a folder, in the order of its sources; None if the source is the generator.

    A file may be compressed with gzip. Raises BadData if a file is missing, exists in both forms or has a similar name,
    and if files exist although the source is the generator: files and generator never replace each other in silence.
    """
    wanted = [each.file for each in problem.sources]
    found = {name: _one_form(folder, name) for name in wanted}
    there = [path for path in found.values() if path]
    if source == "generated":
        _refuse_unused(folder, wanted, [path.name for path in there])
        return None
    if not there:
        _refuse_similar_names(folder, wanted)
        raise BadData(f"there is no {' and no '.join(wanted)}", where=str(folder), hint=_how_to_put(problem, wanted))
    for name in wanted:
        if not found[name]:
            beside = " and ".join(path.name for path in there)
            raise BadData(f"{name} is missing beside {beside}", where=str(folder), hint="put all files there")
    return tuple(there)


def read(problem: Problem, files: Iterable[Path], today: datetime.date | None = None) -> Tables:
    """Read and check the files of a problem; `today` (default: by this machine's clock) is the last valid date.

    Raises BadData with the line, the value and a hint.
    """
    read_in = [(source, readers.read(path, source)) for source, path in zip(problem.sources, files, strict=True)]
    sides = [(source, table, _side_table(problem, source, table)) for source, table in read_in if source.key]
    [(main, raw_table)] = [(source, table) for source, table in read_in if not source.key]
    raw = _cells(raw_table, history_types(problem, main, today or datetime.date.today()))
    raw, place, dropped = _without_duplicates(main, raw, raw_table)
    row_rules.refuse_in_history(problem, raw, place)
    for source, _, side in sides:
        row_rules.refuse_without_side_row(source.key, raw, side, source.file, place)
    known = {source.file: columns_of_file(problem, source) for source, _ in read_in}
    notes = [_ignored(problem, table, known[source.file]) for source, table in read_in]
    static = [*_of_rows(problem, raw, place), *(side for _, _, side in sides)]
    return Tables(as_rows(problem, raw), _static(problem, static), (*dropped, *filter(None, notes)))


def history_types(problem: Problem, source: SourceFile, today: datetime.date) -> dict[str, ColumnType]:
    """Column types of the file of rows; the last valid date of the time is `today`."""
    return {column.name: _history_type(problem, column, form_of(source), today) for column in problem.history}


def _history_type(problem: Problem, column: Column, form: TextForm, today: datetime.date) -> ColumnType:
    if column.role is Role.TIME and isinstance(column.kind, Date):
        in_future = f"in the future (today is {today})"
        return time_type(column.kind, problem.period.name, today, in_future)
    return full_type(column.kind, form) if column.full_history else column_type(column, form)


def form_of(source: SourceFile) -> TextForm:
    """The form of the texts of a file."""
    return TextForm(source.decimal, source.missing)


def columns_of_file(problem: Problem, source: SourceFile) -> tuple[Column, ...]:
    """The columns that are read from a file: those of a side table with its key, or those of the rows."""
    if not source.key:
        return problem.history
    own = [column for column in problem.table if column.side_table == source.file]
    return (*(replace(problem.column(name), missing="") for name in source.key), *own)


def source_of(*paths: Path) -> FileSource:
    """Name, size and SHA-256 of the files."""
    return FileSource(tuple(InputFile(path.name, path.stat().st_size, digests.of_file(path)) for path in paths))


def read_forecast_rows(problem: Problem, path: Path) -> pd.DataFrame:
    """Rows to forecast, from a text table in the form of the problem's rows or from parquet; all columns of the file.

    The columns of `problem.request`, and of the row's number and checks if present, are typed. Other columns keep their
    type (text from a text table). Raises BadData like `read`.
    """
    main = problem.main_source
    is_parquet = text_file.magic(path) == text_file.PARQUET
    source = main if is_parquet else _of_request(problem, main, path)
    raw_table = readers.read_parquet(path) if is_parquet else readers.read_csv(path, source)
    form = TextForm() if is_parquet else form_of(source)
    extras = [column for column in problem.of_role(Role.CHECK, Role.ROW_ID) if column.name in raw_table.names]
    types = {
        column.name: _request_type(problem, column, form) for column in (*_in_request(problem, raw_table), *extras)
    }
    frame = _cells(raw_table, types)
    row_rules.refuse_failed_checks(problem, frame, raw_table.place)
    return pd.DataFrame({name: frame[name] if name in types else raw_table.untouched(name) for name in raw_table.names})


def _request_type(problem: Problem, column: Column, form: TextForm) -> ColumnType:
    if column.role is Role.TIME and isinstance(column.kind, Date):
        return time_type(column.kind, problem.period.name, column.kind.last)
    return column_type(column, form)


def _of_request(problem: Problem, main: SourceFile, path: Path) -> SourceFile:
    """The form of a file of rows to forecast: commas if its first line names the columns with commas.

    Otherwise the form of the file of rows, whose names without a header leave the target out.
    """
    if {column.name for column in problem.required} <= set(readers.first_cells(path)):
        return readers.COMMAS.model_copy(update={"missing": main.missing})
    if not main.names or problem.target not in main.names:
        return main
    return main.model_copy(update={"names": tuple(name for name in main.names if name != problem.target)})


def _in_request(problem: Problem, raw_table: RawTable) -> list[Column]:
    return [column for column in problem.request if not column.missing or column.name in raw_table.names]


def as_rows(problem: Problem, raw: pd.DataFrame) -> pd.DataFrame:
    """The rows in their final form: the columns `problem.rows`, with a derived target, sorted by key and time."""
    if problem.derived:
        raw = raw.assign(**{problem.target: _periods_left(problem, raw)})
    rows = raw[names(problem.rows)]
    return rows.sort_values([*problem.keys, problem.time_name], ignore_index=True) if problem.time else rows


def _periods_left(problem: Problem, raw: pd.DataFrame) -> "pd.Series[float]":
    """The periods from each row to the last row of its key, at most `derived.cap`."""
    number = pd.Series(problem.period.number(raw[problem.time_name].to_numpy()), index=raw.index)
    last = number.groupby([raw[name] for name in problem.keys]).transform("max")
    left = (last - number).astype("float64")
    return left.clip(upper=problem.derived.cap) if problem.derived else left


def _side_table(problem: Problem, source: SourceFile, raw_table: RawTable) -> pd.DataFrame:
    form = form_of(source)
    side = _cells(raw_table, {column.name: column_type(column, form) for column in columns_of_file(problem, source)})
    row_rules.refuse_in_side_table(problem, source.key, side, raw_table.place)
    return side


def _of_rows(problem: Problem, raw: pd.DataFrame, place: row_rules.Place) -> list[pd.DataFrame]:
    """The static features that the file of rows holds, one row a key; none if it holds none."""
    held = [column.name for column in problem.of_role(Role.STATIC_FEATURES) if not column.side_table]
    if not held:
        return []
    row_rules.refuse_varying(list(problem.keys), held, raw, place)
    return [raw[[*problem.keys, *held]].drop_duplicates(list(problem.keys))]


def _static(problem: Problem, sides: list[pd.DataFrame]) -> pd.DataFrame:
    """The static features of all tables joined, in the order of the described columns, sorted by key."""
    if not sides:
        return pd.DataFrame()
    joined = reduce(lambda left, right: left.merge(right, how="outer"), sides)
    ordered = [column.name for column in problem.table if column.name in joined]
    keys = [name for name in problem.keys if name in joined]
    return joined[ordered].sort_values(keys, ignore_index=True)


def _without_duplicates(
    source: SourceFile, raw: pd.DataFrame, raw_table: RawTable
) -> tuple[pd.DataFrame, row_rules.Place, tuple[str, ...]]:
    """The rows without those that repeat an earlier row, if the source drops them; the place of a row; notes."""
    again = _repeats(raw_table)
    if source.duplicates != "drop" or not again.any():
        return raw, raw_table.place, ()
    kept = np.flatnonzero(~again)
    note = f"dropped {again.sum():,} of {len(raw):,} rows that repeat an earlier row ({raw_table.path.name})"
    return raw.iloc[kept].reset_index(drop=True), lambda row: raw_table.place(int(kept[row])), (note,)


def _repeats(raw_table: RawTable) -> NDArray[np.bool_]:
    """Which rows repeat an earlier row in every column of the file, also in those that are not read."""
    codes = pd.DataFrame({name: raw_table.texts(name).codes for name in raw_table.names})
    return np.asarray(codes.duplicated())


def _cells(raw_table: RawTable, column_types: Mapping[str, ColumnType]) -> pd.DataFrame:
    if missing := [name for name in column_types if name not in raw_table.names]:
        what = f"missing column {', '.join(missing)}; found {', '.join(map(readers.shown, raw_table.names[:20]))}"
        hint = "names are spelled as under problem.columns, upper and lower case"
        raise BadData(what, where=f"{raw_table.path}, header", hint=hint)
    frame = typed(raw_table, column_types)
    last = column_types.get(raw_table.names[-1])
    if raw_table.open_end and last and last.open_ended:
        raise BadData(
            f"the last line has no line end, so its {raw_table.names[-1]} may be truncated",
            where=raw_table.place(len(frame) - 1),
            hint="restore the file, or end its last line if it is complete",
        )
    return frame


def _ignored(problem: Problem, raw_table: RawTable, known: tuple[Column, ...]) -> str:
    extra = [name for name in raw_table.names if name not in (*names(known), *problem.drop)]
    return f"ignored column {', '.join(extra)} ({raw_table.path.name})" if extra else ""


def _one_form(folder: Path, name: str) -> Path | None:
    plain = folder / name
    there = [path for path in (plain, folder / f"{name}{COMPRESSED}") if path.exists() or path.is_symlink()]
    if len(there) > 1:
        raise BadData(f"{name} exists plain and as {COMPRESSED}", where=str(folder), hint="keep one of them")
    return there[0] if there else None


def _how_to_put(problem: Problem, wanted: list[str]) -> str:
    copies = " ".join(f"--copy-paths data/raw/{name}" for name in wanted)
    is_chain = "store_panel" in problem.features
    generated = "for a generated chain of stores, set source: generated in params.yaml; " if is_chain else ""
    return f"put {' and '.join(wanted)} there; {generated}in a temporary workspace of DVC, add: {copies}"


def _refuse_similar_names(folder: Path, wanted: list[str]) -> None:
    """Refuse files under similar names that are not read, such as a zip or Train.CSV."""
    if similar := _similar_names(folder, wanted):
        hint = f"unpack and rename: {' and '.join(wanted)}, plain or {COMPRESSED}"
        raise BadData(f"{', '.join(similar)} is not read", where=str(folder), hint=hint)


def _refuse_unused(folder: Path, wanted: list[str], there: list[str]) -> None:
    if unused := there or _similar_names(folder, wanted):
        raise BadData(
            f"{', '.join(unused)} would not be used: params.yaml says source: generated",
            where=str(folder),
            hint="to train on the files, set source: files in params.yaml; for the generated chain, remove the files",
        )


def _similar_names(folder: Path, wanted: list[str]) -> list[str]:
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    stems = tuple(Path(name).stem.lower() for name in wanted)
    return [name for name in found if name.lower().startswith(stems) or name.lower().endswith(".zip")]
