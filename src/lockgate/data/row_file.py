"""A file of rows to forecast, or a folder of parquet parts, read in chunks: memory does not depend on its size."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data import column_types, ingest, readers, row_rules, side_tables, text_file
from lockgate.data.bad_rows import BadRow, SetAside
from lockgate.data.column_types import CellFault, ColumnType, column_type
from lockgate.data.readers import RawTable
from lockgate.data.side_tables import SideTable
from lockgate.errors import BadData
from lockgate.problem.description import Problem

WHOLE_ROWS = 500_000  # of states: a file with at most this many rows may have its rows in any order
BadCell = tuple[int, str, str, str]  # the place of a row, the column, the value, the reason


@dataclass(frozen=True)
class Part:
    """Some rows of a file: their cells, and the typed columns of a request with covariates of side tables."""

    raw: RawTable
    rows: pd.DataFrame
    types: dict[str, ColumnType]  # of the columns that the file has

    def without(self, problem: Problem, bad: Sequence[BadCell], set_aside: SetAside) -> "Part | None":
        """The part without its bad rows, which are set aside; None if no row remains."""
        kept = _kept(problem, self.raw, bad, set_aside)
        if not kept.any():
            return None
        places = np.flatnonzero(kept)
        return Part(self.raw.take(places), self.rows.iloc[places].reset_index(drop=True), self.types)


@dataclass(frozen=True)
class RowFile:
    """A file of rows to forecast, as it was when it was opened. Side tables are in the folder `raw`.

    `size` is its number of bytes, or of rows in parquet.
    """

    problem: Problem
    path: Path
    raw: Path
    is_parquet: bool
    size: int
    stamp: tuple[tuple[int, int, int], ...]

    @classmethod
    def open(cls, problem: Problem, path: Path, raw: Path = ingest.RAW) -> "RowFile":
        """Look at a file; raises BadData if there is none, or if it is no file of rows."""
        is_parquet = path.is_dir() or text_file.magic(path) == text_file.PARQUET
        size = readers.parquet_rows(path) if is_parquet else path.stat().st_size
        return cls(problem, path, raw, is_parquet, size, _stamp(path))

    def parts(self, set_aside: SetAside | None = None, seen: Callable[[int], None] = lambda _: None) -> Iterator[Part]:
        """The rows in the order of the file. A part of states has all rows of its keys.

        Rows that cannot be read are refused with BadData, or, with `set_aside`, set aside; of states, with all rows of
        their key, because these are its history. `seen` gets the part of `size` that was read so far. Raises BadData if
        the file was changed since it was opened.
        """
        tables = self._tables(set_aside, seen)
        if self.problem.kind == "state":
            tables = with_whole_keys(self.problem, tables)
        sides: list[SideTable] | None = None
        for raw in tables:
            sides = ingest.request_side_tables(self.problem, raw, self.raw) if sides is None else sides
            if (part := part_of(self.problem, raw, sides, set_aside)) is not None:
                yield part
        self._refuse_changed()

    def keys(self) -> NDArray[np.int64]:
        """The distinct keys of the rows as numbers (`_keys`), in ascending order."""
        found = [np.unique(_keys(self.problem, raw)) for raw in self._tables(None, lambda _: None)]
        return np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)

    def with_key(self, number: int) -> str:
        """The values of the key with this number, as the first row that has it shows them."""
        for raw in self._tables(None, lambda _: None):
            if len(places := np.flatnonzero(_keys(self.problem, raw) == number)):
                return _values_of_key(self.problem, raw, int(places[0]))
        return ""

    def _tables(self, set_aside: SetAside | None, seen: Callable[[int], None]) -> Iterator[RawTable]:
        if self.is_parquet:
            found = readers.parquet_chunks(self.path, seen)
        else:
            form = ingest.form_of_request(self.problem, self.path)
            of_lines = None if self.problem.kind == "state" else set_aside  # a broken line has no key
            found = readers.csv_chunks(self.path, form, of_lines, seen)
        return (ingest.described(self.problem, each) for each in found)

    def _refuse_changed(self) -> None:
        if _stamp(self.path) != self.stamp:
            raise BadData("the file was changed while it was read", where=str(self.path), hint="try again")


def _stamp(path: Path) -> tuple[tuple[int, int, int], ...]:
    found = (part.stat() for part in readers.parquet_parts(path))
    return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)


def part_of(problem: Problem, raw: RawTable, sides: Sequence[SideTable], set_aside: SetAside | None) -> Part | None:
    """The typed rows of a table; None if all of its rows were set aside."""
    try:
        return _strict(problem, raw, sides)
    except BadData:
        if set_aside is None:
            raise
    for bad in (_bad_cells, _stray, _failed_checks):
        kept = _kept(problem, raw, sorted(bad(problem, raw, sides)), set_aside)
        if not kept.any():
            return None
        raw = raw if kept.all() else raw.take(np.flatnonzero(kept))
    return _strict(problem, raw, sides)


def _strict(problem: Problem, raw: RawTable, sides: Sequence[SideTable]) -> Part:
    frame, types = ingest.request_rows(problem, raw, sides)
    row_rules.refuse_failed_checks(problem, frame, raw.place)
    return Part(raw, side_tables.joined(frame, sides, raw.place), types)


def _kept(problem: Problem, raw: RawTable, bad: Sequence[BadCell], set_aside: SetAside) -> NDArray[np.bool_]:
    """The rows that are not bad; the others are set aside."""
    kept = np.ones(raw.table.num_rows, dtype=np.bool_)
    for row, name, value, reason in bad:
        kept[row] = False
        set_aside(BadRow(*raw.at(row), name, value, reason))
    if problem.kind == "state" and not kept.all():
        keys = _keys(problem, raw)
        for place in np.flatnonzero(np.isin(keys, keys[~kept]) & kept).tolist():
            reason = "another row of this key cannot be used, and the rows of a key are its history"
            set_aside(BadRow(*raw.at(place), problem.keys[0], _text(raw, problem.keys[0], place), reason))
            kept[place] = False
    return kept


def _bad_cells(problem: Problem, raw: RawTable, sides: Sequence[SideTable]) -> Iterator[BadCell]:
    types = ingest.request_types(problem, raw, sides)
    missing = [name for name in types if name not in raw.names]
    for name, of_column in types.items() if not missing else ():
        texts = raw.texts(name)
        faults = column_types.faults(texts, of_column)
        for row in np.flatnonzero(np.isin(texts.codes, list(faults))).tolist():
            yield row, name, texts.of_row(row), faults[int(texts.codes[row])].why


def _stray(problem: Problem, raw: RawTable, sides: Sequence[SideTable]) -> Iterator[BadCell]:
    """The rows without a row in a side table that needs one."""
    frame, _ = ingest.request_rows(problem, raw, sides)
    for side in (side for side in sides if not side.is_optional):
        for row in np.flatnonzero(row_rules.without_side_row(side.key, frame, side.rows)):
            value = row_rules.key_text(side.key, frame, int(row))
            yield int(row), side.key[-1], value, f"has no row in {side.source.file}"


def _failed_checks(problem: Problem, raw: RawTable, sides: Sequence[SideTable]) -> Iterator[BadCell]:
    frame, _ = ingest.request_rows(problem, raw, sides)
    for name in (name for name in problem.checks if name in frame):
        for row in np.flatnonzero(row_rules.wrong_weekday(name, problem.time_name, frame)):
            why = row_rules.says_weekday(name, problem.time_name, frame, int(row))
            yield int(row), name, str(frame[name].iloc[row]), why


def with_whole_keys(problem: Problem, tables: Iterable[RawTable], whole_rows: int = WHOLE_ROWS) -> Iterator[RawTable]:
    """Tables that have all rows of each of their keys.

    A file of at most `whole_rows` rows is one table, in any order. In a larger one, the rows of a key must stand
    together. Raises BadData for a key whose rows do not, and for one with more than `whole_rows` rows.
    """
    iterator, held = iter(tables), list[RawTable]()
    seen: set[int] = set()
    ended = False
    while not ended and sum(each.table.num_rows for each in held) <= whole_rows:
        table = next(iterator, None)
        ended = table is None
        held.extend([] if table is None else [table])
    if ended:
        yield from [readers.joined(held)] if held else []
        return
    rest = readers.joined(held)
    for table in iterator:
        whole, rest = _split_at_last_key(problem, rest, seen, whole_rows)
        yield from [whole] if whole.table.num_rows else []
        rest = readers.joined([rest, table])
    _refuse_again(problem, rest, _keys(problem, rest), seen)
    yield rest


def _split_at_last_key(problem: Problem, table: RawTable, seen: set[int], whole_rows: int) -> tuple[RawTable, RawTable]:
    """The rows before those of the last key, and the rest: more rows of it may follow."""
    keys = _keys(problem, table)
    start = int(np.flatnonzero(keys != keys[-1])[-1]) + 1 if (keys != keys[-1]).any() else 0
    if len(keys) - start > whole_rows:
        raise _too_large(problem, table, start, f"has more than {whole_rows:,} rows", "split it")
    whole = table.take(np.arange(start))
    _refuse_again(problem, whole, keys[:start], seen)
    return whole, table.take(np.arange(start, len(keys)))


def _refuse_again(problem: Problem, table: RawTable, keys: NDArray[np.int64], seen: set[int]) -> None:
    """Remember the keys of a table; raise BadData for one whose rows do not stand together."""
    starts = np.flatnonzero(np.diff(keys, prepend=keys[0] + 1)) if len(keys) else np.empty(0, dtype=np.int64)
    for start in starts.tolist():
        if int(keys[start]) in seen:
            names = " and ".join(problem.keys)
            why = f"has rows in several places of a file with more than {WHOLE_ROWS:,} rows"
            raise _too_large(problem, table, start, why, f"sort the file by {names}, so that they stand together")
        seen.add(int(keys[start]))


def _too_large(problem: Problem, table: RawTable, row: int, what: str, hint: str) -> BadData:
    return BadData(f"{_values_of_key(problem, table, row)} {what}", where=table.place(row), hint=hint)


def _values_of_key(problem: Problem, table: RawTable, row: int) -> str:
    return ", ".join(f"{name} {_text(table, name, row)}" for name in problem.keys if name in table.names)


def _text(table: RawTable, name: str, row: int) -> str:
    return table.texts(name).of_row(row)


def _keys(problem: Problem, table: RawTable) -> NDArray[np.int64]:
    """A number for each row's key: equal for equal keys, also if they are written in other ways, such as 1 and 1.0."""
    found = np.zeros(table.table.num_rows, dtype=np.int64)
    for name in (name for name in problem.keys if name in table.names):  # a missing column is refused later
        texts, of_column = table.texts(name), column_type(problem.column(name))
        marks = np.array([_mark(of_column, text) for text in texts.distinct()], dtype=np.int64)
        found = found * 1_000_003 ^ marks[texts.codes]
    return found


def _mark(of_column: ColumnType, text: str) -> int:
    """The number of a key's value, the same in every process."""
    with suppress(CellFault):
        text = str(of_column.value(text))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)
