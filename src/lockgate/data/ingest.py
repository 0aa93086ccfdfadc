"""Reads the files of a problem by its description: rows, static features of each key, and rows to forecast.

The tables do not depend on the order of columns in the files, and with a time not on the order of rows.
"""

import datetime
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate import digests
from lockgate.data import raw_parts, readers, repeated_times, row_counts, row_rules, side_tables, text_file, unfit_rows
from lockgate.data.cells import cells, form_of, request_type
from lockgate.data.column_types import ColumnType, TextForm, column_type, full_type, time_type
from lockgate.data.raw_parts import COMPRESSED
from lockgate.data.readers import RawTable
from lockgate.data.row_counts import RowCount
from lockgate.data.side_tables import SideTable
from lockgate.data.time_parts import with_time
from lockgate.errors import BadData
from lockgate.problem.columns import Column, Date, Role, names
from lockgate.problem.description import Problem, SourceFile
from lockgate.problem.params import Source

RAW = Path("data", "raw")  # the folder of the files, in that of the problem


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

    A file may be compressed with gzip, or a folder of parts (raw_parts.py). Raises BadData if a file is missing, exists
    in two forms or has a similar name, and if files exist although the source is the generator: files and generator
    never replace each other in silence.
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
    read_in = [
        (source, path, raw_of(problem, source, path)) for source, path in zip(problem.sources, files, strict=True)
    ]
    sides = [side_tables.read(problem, source, table) for source, _, table in read_in if source.key]
    [(main, file, raw_table)] = [each for each in read_in if not each[0].key]
    typed = cells(raw_table, history_types(problem, main, today or datetime.date.today()))
    again = _repeats(raw_table) if main.duplicates == "drop" else None
    found = checked(problem, sides, TypedRows(typed, raw_table.place, again, file.name))
    unfit_rows.refuse_none_left(len(found.rows), found.counts)
    notes = [ignored(problem, source, table.names, path.name) for source, path, table in read_in]
    remarks = (*row_counts.notes(found.counts), *filter(None, notes))
    return Tables(found.rows, static_table(problem, found.keys, found.static, sides), remarks)


@dataclass(frozen=True)
class TypedRows:
    """Rows of the file of rows, or all rows of some of its keys: typed, in the order of the file."""

    frame: pd.DataFrame
    place: row_rules.Place
    again: NDArray[np.bool_] | None  # which rows repeat an earlier row; None if these are kept
    file: str  # the name of the file


@dataclass(frozen=True)
class CheckedRows:
    """Rows in their final form, their keys, the static features that they held, and counts of the rows left out."""

    rows: pd.DataFrame
    keys: pd.DataFrame  # one row a key
    static: pd.DataFrame  # one row a key; empty if the file holds no static features
    counts: tuple[RowCount, ...]


def checked(problem: Problem, sides: Sequence[SideTable], typed: TypedRows) -> CheckedRows:
    """Check rows of whole keys by all rules, and bring them into their final form. Raises BadData with the line."""
    raw, place, dropped = _without_duplicates(typed)
    raw, place, left_out = unfit_rows.without(problem, raw, place)
    raw, place, joined = repeated_times.joined(problem, raw, place)
    row_rules.refuse_in_history(problem, raw, place)
    static = _of_rows(problem, raw, place)
    raw = side_tables.joined(raw, sides, place)
    row_rules.refuse_broken_rules(problem, raw, place)
    keys = raw[list(problem.keys)].drop_duplicates(ignore_index=True)
    return CheckedRows(as_rows(problem, raw), keys, static, (*dropped, *left_out, *joined))


def raw_of(problem: Problem, source: SourceFile, path: Path) -> RawTable:
    """The cells of a file of the problem, or of all its parts, with the time if it is described in several columns."""
    return with_time(raw_parts.read(path, source), problem.time)


def history_types(problem: Problem, source: SourceFile, today: datetime.date) -> dict[str, ColumnType]:
    """Column types of the file of rows; the last valid date of the time is `today`."""
    return {column.name: _history_type(problem, column, form_of(source), today) for column in problem.history}


def _history_type(problem: Problem, column: Column, form: TextForm, today: datetime.date) -> ColumnType:
    if column.drop_rows:
        return unfit_rows.lenient_type(problem, column, form)
    if column.role is Role.TIME and isinstance(column.kind, Date):
        in_future = f"in the future (today is {today})"
        return time_type(column.kind, problem.period.name, today, in_future)
    return full_type(column.kind, form) if column.full_history else column_type(column, form)


def source_of(*paths: Path) -> FileSource:
    """Name, size and SHA-256 of the files; those of the parts of a folder begin with its name."""
    return FileSource(tuple(input_file(path, part) for path in paths for part in raw_parts.parts_of(path)))


def input_file(path: Path, part: Path) -> InputFile:
    """Name, size and SHA-256 of a part of a file; the part may be the file itself."""
    name = path.name if part == path else f"{path.name}/{part.name}"
    return InputFile(name, part.stat().st_size, digests.of_file(part))


def read_forecast_rows(problem: Problem, path: Path, raw: Path | None = None) -> pd.DataFrame:
    """Rows to forecast, from a text table in the form of the problem's rows or from parquet; all columns of the file.

    The columns of `problem.request`, and of the row's number and checks if present, are typed. Other columns keep their
    type (text from a text table). Covariates of a side table that the file lacks are joined if the side table is in
    the folder `raw`. Raises BadData like `read`.
    """
    if text_file.magic(path) == text_file.PARQUET:
        found = readers.read_parquet(path)
    else:
        found = readers.read_csv(path, form_of_request(problem, path))
    raw_table = described(problem, found)
    sides = request_side_tables(problem, raw_table, raw) if raw else []
    frame, types = request_rows(problem, raw_table, sides)
    row_rules.refuse_failed_checks(problem, frame, raw_table.place)
    rows = pd.DataFrame({name: frame[name] if name in types else raw_table.untouched(name) for name in raw_table.names})
    return side_tables.joined(rows, sides, raw_table.place)


def request_rows(
    problem: Problem, raw_table: RawTable, sides: Sequence[SideTable]
) -> tuple[pd.DataFrame, dict[str, ColumnType]]:
    """The typed columns of rows to forecast: those of a request, and the row's number and checks; and their types.

    Columns that the side tables hold may be lacking. Raises BadData for a missing column or a bad value.
    """
    types = request_types(problem, raw_table, sides)
    return cells(raw_table, types), types


def request_types(problem: Problem, raw_table: RawTable, sides: Sequence[SideTable]) -> dict[str, ColumnType]:
    """The types of the columns of `request_rows`."""
    form = TextForm() if raw_table.unit == "row" else form_of(problem.main_source)
    extras = [column for column in problem.of_role(Role.CHECK, Role.ROW_ID) if column.name in raw_table.names]
    columns = [*_in_request(problem, raw_table, {side.source.file for side in sides}), *extras]
    return {column.name: request_type(problem, column, form) for column in columns}


def described(problem: Problem, raw_table: RawTable) -> RawTable:
    """The cells of rows to forecast under the described names of its columns, with the time if it has its parts."""
    rename = {old: new for old, new in problem.main_source.rename.items() if old in raw_table.names}
    return with_time(readers.renamed(raw_table, rename), problem.time)


def request_side_tables(problem: Problem, raw_table: RawTable, raw: Path) -> list[SideTable]:
    """The side tables in the folder `raw` that hold covariates of a request which the file of rows lacks."""
    return side_tables_of(problem, raw_table.names, raw)


def side_tables_of(problem: Problem, given: Collection[str], raw: Path) -> list[SideTable]:
    """The side tables in the folder `raw` that hold columns of a request which are not given."""
    lacking = {column.side_table for column in problem.request if column.name not in given}
    paths = [(source, _one_form(raw, source.file)) for source in problem.sources if source.file in lacking]
    return [side_tables.read(problem, source, raw_of(problem, source, path)) for source, path in paths if path]


def form_of_request(problem: Problem, path: Path) -> SourceFile:
    """The form of a file of rows to forecast: commas if its first line names the columns with commas.

    Otherwise the form of the file of rows, whose names without a header leave the target out.
    """
    main = problem.main_source
    found = {main.rename.get(name, name) for name in readers.first_cells(path)}
    if problem.time and problem.time.of and set(problem.time.of) <= found:
        found.add(problem.time.column)
    if {column.name for column in problem.required if not column.side_table} <= found:
        return readers.COMMAS.model_copy(update={"missing": main.missing})
    if not main.names or problem.target not in main.names:
        return main
    return main.model_copy(update={"names": tuple(name for name in main.names if name != problem.target)})


def _in_request(problem: Problem, raw_table: RawTable, joined: set[str]) -> list[Column]:
    """The columns of a request that the file has, or has to have: those of joined side tables may be left out."""
    there = set(raw_table.names)
    return [
        column
        for column in problem.request
        if column.name in there or not (column.missing or (column.side_table and column.side_table in joined))
    ]


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


def _of_rows(problem: Problem, raw: pd.DataFrame, place: row_rules.Place) -> pd.DataFrame:
    """The static features that the file of rows holds, one row a key; empty if it holds none."""
    held = [column.name for column in problem.of_role(Role.STATIC_FEATURES) if not column.side_table]
    if not held:
        return pd.DataFrame()
    row_rules.refuse_varying(list(problem.keys), held, raw, place)
    return raw[[*problem.keys, *held]].drop_duplicates(list(problem.keys))


def static_table(
    problem: Problem, of_rows: pd.DataFrame, held: pd.DataFrame, sides: Sequence[SideTable]
) -> pd.DataFrame:
    """The static features of all tables joined, in the order of the described columns, sorted by key.

    `of_rows` are the keys of the rows, and `held` the static features that their file holds. A side table may have a
    part of the key only, such as the store of a store and department: its features are those of all such keys.
    """
    parts = [
        *([held] if len(held.columns) else []),
        *(side_tables.static_features(each) for each in sides if each.static),
    ]
    if not parts:
        return pd.DataFrame()
    keys = list(problem.keys)
    whole = [part[keys] for part in parts if set(keys) <= set(part)]
    joined = pd.concat([*whole, of_rows]).drop_duplicates()
    for part in parts:
        joined = joined.merge(part, how="left", on=[name for name in keys if name in part])
    ordered = [column.name for column in problem.table if column.name in joined]
    return joined[ordered].sort_values(keys, ignore_index=True)


def _without_duplicates(typed: TypedRows) -> tuple[pd.DataFrame, row_rules.Place, tuple[RowCount, ...]]:
    """The rows without those that repeat an earlier row, if these are dropped; the place of a row; their count."""
    if typed.again is None:
        return typed.frame, typed.place, ()
    kept = np.flatnonzero(~typed.again)
    why = f" that repeat an earlier row ({typed.file})"
    count = RowCount("dropped", int(typed.again.sum()), len(typed.frame), why)
    return typed.frame.iloc[kept].reset_index(drop=True), lambda row: typed.place(int(kept[row])), (count,)


def _repeats(raw_table: RawTable) -> NDArray[np.bool_]:
    """Which rows repeat an earlier row in every column of the file, also in those that are not read."""
    codes = pd.DataFrame({name: raw_table.texts(name).codes for name in raw_table.names})
    return np.asarray(codes.duplicated())


def ignored(problem: Problem, source: SourceFile, found: Sequence[str], file: str) -> str:
    """A note on the columns of a file that are neither read nor dropped; "" without such a column."""
    known = (*side_tables.of_file(problem, source), *problem.drop, problem.row_id)
    passed = (*known, *(problem.time.of if problem.time else ()))
    extra = [name for name in found if name not in passed]
    return f"ignored column {', '.join(extra)} ({file})" if extra else ""


def _one_form(folder: Path, name: str) -> Path | None:
    """The file, the file compressed with gzip, or the folder of its parts, with the file's name or its stem."""
    plain, stem = folder / name, folder / Path(name).stem
    there = [path for path in (plain, folder / f"{name}{COMPRESSED}") if path.exists() or path.is_symlink()]
    there += [stem] if stem != plain and stem.is_dir() else []
    if len(there) > 1:
        found = " and ".join(f"{path.name}/" if path.is_dir() else path.name for path in there)
        raise BadData(f"{name} exists in two forms: {found}", where=str(folder), hint="keep one of them")
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
