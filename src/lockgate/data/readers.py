"""Reads a CSV or parquet file as a table of text; column_types.py converts the text to values.

Arrow's reader is fast and lenient: it accepts an unclosed quote at the end of a file, reads `"3"4` as 34 and lets a
quoted cell contain line ends. So the number of rows is compared with the number of lines, and quotes inside cells are
searched; if something is wrong, a slow second pass finds the line.

A file of any size is read in chunks (`csv_chunks`, `parquet_chunks`): a row is one line, so each block of whole lines
is parsed as a file of its own.
"""

import csv
import datetime
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from lockgate.data import text_file
from lockgate.data.bad_rows import BadRow, SetAside
from lockgate.errors import BadData, NoRows
from lockgate.problem.description import SourceFile

MAX_ROWS = 15_000_000
CHUNK_ROWS = 1 << 16  # of a parquet file
PARQUET = ".parquet"
BLOCK_BYTES = 16 << 20
SHOWN_CHARACTERS = 40
EMPTY = "no data rows: the file is empty"
BATCH = 1 << 16
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
LONGEST_HEADER = 1 << 16  # bytes
SPACES = "spaces"  # the delimiter is any number of spaces
COMMAS = SourceFile(file="a file of commas with a header")
TEXT = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class TextColumn:
    """A dictionary-encoded column: distinct values in order of first appearance, and a code for each row."""

    values: pa.Array
    codes: NDArray[np.int32]

    @property
    def are_booleans(self) -> bool:
        """Whether the file holds true and false, of which 1 and 0 are the texts."""
        return bool(pa.types.is_boolean(self.values.type))

    def distinct(self) -> Iterator[str]:
        """The values as text, made in batches because a column may have millions."""
        for start in range(0, len(self.values), BATCH):
            yield from map(_as_text, self.values.slice(start, BATCH).to_pylist())

    def text(self, code: int) -> str:
        """The text of the value with this code."""
        return _as_text(self.values[code].as_py())

    def of_row(self, row: int) -> str:
        """The text of a row."""
        return self.text(int(self.codes[row]))


@dataclass(frozen=True)
class RawTable:
    """The cells of one file or of a part of it, in file order, all columns kept."""

    path: Path
    table: pa.Table
    unit: str  # "line" of a CSV or "row" of a parquet file
    first: int  # number of the first row: 2 below a header, else 1
    open_ends: tuple[int, ...] = ()  # rows without a quote or line end after the last cell: it may be truncated
    origin: Callable[[int], tuple[Path, int]] | None = None  # file and number of a row that is not `first` + its place

    @property
    def names(self) -> list[str]:
        """The column names in file order."""
        return list(self.table.column_names)

    def at(self, row: int) -> tuple[Path, int]:
        """File and number of a row counted from 0."""
        return self.origin(row) if self.origin else (self.path, row + self.first)

    def place(self, row: int) -> str:
        """File and line (or row) of a row counted from 0, for messages."""
        path, number = self.at(row)
        return f"{path}, {self.unit} {number}"

    def select(self, names: Sequence[str]) -> "RawTable":
        """These columns, in this order."""
        return replace(self, table=self.table.select(names))

    def take(self, rows: NDArray[np.int64]) -> "RawTable":
        """Some of the rows, by place, in the order of the file."""
        open_ends = tuple(np.flatnonzero(np.isin(rows, self.open_ends)).tolist())
        table = _without_unused_texts(self.table.take(rows))
        return replace(self, table=table, open_ends=open_ends, origin=lambda row: self.at(int(rows[row])))

    def texts(self, name: str) -> TextColumn:
        """A column's cells as text; null and NaN are the empty text."""
        column = self.table.column(name)
        try:
            encoded = _one_chunk(column if column.type == TEXT else _encoded(column))
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
            what = f"column {name} is of type {column.type}"
            raise BadData(what, where=str(self.path), hint="give text, numbers or dates") from error
        return TextColumn(encoded.dictionary, encoded.indices.to_numpy())

    def untouched(self, name: str) -> "pd.Series[Any]":
        """A column with its type in the file: text from a CSV, any type from parquet."""
        column = self.table.column(name)
        return (column.cast(pa.string()) if column.type == TEXT else column).to_pandas()


def shown(text: str) -> str:
    """A cell's text for a message: quoted, control characters escaped, shortened to SHOWN_CHARACTERS."""
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…")


def read(path: Path, source: SourceFile) -> RawTable:
    """Read a described file: a parquet file, or a text table as `read_csv` does; columns have the described names."""
    return _described(read_parquet(path) if source.format == "parquet" else read_csv(path, source), source)


def chunks(path: Path, source: SourceFile) -> Iterator[RawTable]:
    """The tables of a described file that is read block by block; together they have the rows of `read`."""
    found = parquet_chunks(path) if source.format == "parquet" else csv_chunks(path, source)
    return (_described(table, source) for table in found)


def _described(found: RawTable, source: SourceFile) -> RawTable:
    """The table with the described names of its columns. Raises BadData for a column to rename that it lacks."""
    if strange := [name for name in source.rename if name not in found.names]:
        what = f"sources.rename names {shown(strange[0])}; found {', '.join(map(shown, found.names[:20]))}"
        raise BadData(what, where=f"{found.path}, header", hint="correct rename under problem.sources")
    return renamed(found, source.rename)


def renamed(found: RawTable, new_names: Mapping[str, str]) -> RawTable:
    """The table with new names for some of its columns. Raises BadData for a name that the table has already."""
    names = [new_names.get(name, name) for name in found.names]
    _distinct_names(names, found.path)
    return replace(found, table=found.table.rename_columns(names))


def read_csv(path: Path, source: SourceFile = COMMAS) -> RawTable:
    """Read a text table in the form of its description; plain or gzip. By default: commas, UTF-8 and a header.

    Raises BadData, with the line, if a row has too few or too many cells or a column name is repeated.
    """
    content = text_file.read(path, source.encoding)
    if not content.strip():
        raise (NoRows if source.names else BadData)(EMPTY, where=str(path), hint="restore the file")
    if source.delimiter == SPACES:
        content = _with_commas(content, path, 1)
    form = _Form("," if source.delimiter == SPACES else source.delimiter, 1 if source.names else 2)
    names, body = (list(source.names), content) if source.names else _header_and_body(content, form, path)
    table = _parsed(_without_blank_end(body), names, form, path)
    return RawTable(path, table, "line", form.first, _open_ends(body, table))


def csv_chunks(
    path: Path, source: SourceFile, set_aside: SetAside | None = None, seen: Callable[[int], None] = lambda _: None
) -> Iterator[RawTable]:
    """The tables of a text table that is read block by block; together they have the rows that `read_csv` gives.

    With `set_aside`, a line that is no complete row is set aside, not refused. `seen` gets the bytes read so far.
    """
    form = _Form("," if source.delimiter == SPACES else source.delimiter, 1)
    names, blank, is_empty = list(source.names), b"", True
    for block in text_file.blocks(path, source.encoding, seen):
        content = blank + (_with_commas(block, path, form.first) if source.delimiter == SPACES else block)
        if not names and content.strip():
            names, content = _names_and_rest(content, form, path)
            form = replace(form, first=2)
        blank, body = _with_blank_end(content)
        if body:
            is_empty = False
            yield from _tables(body, names, form, path, set_aside)
            form = replace(form, first=form.first + body.count(b"\n"))
    if is_empty:
        what = "there is only a header" if names and not source.names else "the file is empty"
        raise (NoRows if names else BadData)(f"no data rows: {what}", where=str(path), hint="restore the file")


def _names_and_rest(content: bytes, form: "_Form", path: Path) -> tuple[list[str], bytes]:
    header, _, rest = content.partition(b"\n")
    _refuse_other_delimiter(header.decode(), form.delimiter, path)
    return _distinct_names(_header_names(header.decode(), form.delimiter), path), rest


def _with_blank_end(content: bytes) -> tuple[bytes, bytes]:
    """The blank lines at the end, which only more rows make a fault, and the content before them."""
    body = _without_blank_end(content)
    return content[len(body) :], body


def _tables(body: bytes, names: list[str], form: "_Form", path: Path, set_aside: SetAside | None) -> Iterator[RawTable]:
    """The table of a block, without the broken lines if these are set aside; none if no line remains."""
    numbers: list[int] = []
    try:
        table = _parsed(body, names, form, path)
    except BadData:
        if set_aside is None:
            raise
        body, numbers = _sound_lines(body, len(names), form, path, set_aside)
        if not numbers:
            return
        table = _parsed(body, names, form, path)
    open_ends = _open_ends(body, table)
    yield RawTable(path, table, "line", form.first, open_ends, (lambda row: (path, numbers[row])) if numbers else None)


def _open_ends(body: bytes, table: pa.Table) -> tuple[int, ...]:
    return () if body.endswith((b"\n", b'"')) else (table.num_rows - 1,)


def _sound_lines(body: bytes, width: int, form: "_Form", path: Path, set_aside: SetAside) -> tuple[bytes, list[int]]:
    """The lines that are complete rows, and their numbers; the others are set aside."""
    sound, numbers = [], []
    for number, line in enumerate(body.removesuffix(b"\n").split(b"\n"), start=form.first):
        if fault := _fault(line.decode(), width, form.delimiter):
            set_aside(BadRow(path, number, "", line.decode()[:SHOWN_CHARACTERS], fault))
        else:
            sound.append(line)
            numbers.append(number)
    return b"\n".join(sound) + (b"\n" if body.endswith(b"\n") else b""), numbers


def parquet_parts(path: Path) -> tuple[Path, ...]:
    """The parquet file, or the parquet files in a folder in the order of their names. Raises BadData for none."""
    if not path.is_dir():
        return (path,)
    parts = tuple(sorted(each for each in path.glob(f"*{PARQUET}") if not each.name.startswith((".", "_"))))
    if not parts:
        raise BadData(f"the folder has no {PARQUET} files", where=str(path), hint="give a file, or a folder of parts")
    return parts


def parquet_rows(path: Path) -> int:
    """The number of rows in a parquet file or a folder of parts, from their metadata."""
    return sum(_opened(part, lambda file: int(file.metadata.num_rows)) for part in parquet_parts(path))


def parquet_chunks(path: Path, seen: Callable[[int], None] = lambda _: None) -> Iterator[RawTable]:
    """The tables of a parquet file, or of a folder of parts with equal columns, that is read chunk by chunk.

    `seen` gets the number of rows read so far. Raises BadData if a part is broken or has other columns, and if no part
    has a row.
    """
    names: list[str] = []
    done = 0
    for part in parquet_parts(path):
        first = 1
        for table in _part_tables(part):
            names = names or list(table.column_names)
            refuse_other_columns(part, table.column_names, names)
            done += table.num_rows
            seen(done)
            yield RawTable(part, table.select(names), "row", first)
            first += table.num_rows
    if not done:
        raise NoRows("no data rows", where=str(path), hint="write it again")


def refuse_other_columns(part: Path, names: Sequence[str], of_others: Sequence[str]) -> None:
    """Raise BadData if a part has other columns than the parts before, in any order."""
    if odd := sorted(set(names) ^ set(of_others)):
        what = f"its columns differ from those of other parts: {odd[0]}"
        raise BadData(what, where=str(part), hint="write it again")


def _part_tables(part: Path) -> Iterator[pa.Table]:
    with _as_parquet(part), pa.parquet.ParquetFile(part) as file:
        names = _parquet_names(file, part)
        batches = file.iter_batches(CHUNK_ROWS, columns=names, use_threads=False)
        while (batch := _next(batches, part)) is not None:
            yield pa.Table.from_batches([batch])


def _next(batches: Iterator[Any], part: Path) -> Any:
    with _as_parquet(part):
        batch = next(batches, None)
        if batch is not None:
            batch.validate(full=True)  # otherwise text that is not UTF-8 fails later
        return batch


def _opened(part: Path, read_it: Callable[[Any], int]) -> int:
    with _as_parquet(part), pa.parquet.ParquetFile(part) as file:
        return read_it(file)


@contextmanager
def _as_parquet(path: Path) -> Iterator[None]:
    """Raise BadData if a file cannot be read as parquet."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        what = f"not a readable parquet file: {_first_line(error)}"
        raise BadData(what, where=str(path), hint="write it again") from error


def _parquet_names(file: Any, path: Path) -> list[str]:
    names = [name for name in file.schema_arrow.names if not name.startswith("__index_level_")]
    return _distinct_names(names, path)


def joined(tables: Sequence[RawTable]) -> RawTable:
    """The rows of several tables of one file or folder as one table."""
    if len(tables) == 1:
        return tables[0]
    starts = np.cumsum([0, *(each.table.num_rows for each in tables)])

    def origin(row: int) -> tuple[Path, int]:
        part = int(np.searchsorted(starts, row, side="right")) - 1
        return tables[part].at(row - int(starts[part]))

    whole = pa.concat_tables([each.table for each in tables], promote_options="permissive").unify_dictionaries()
    open_ends = [int(start) + row for start, each in zip(starts, tables, strict=False) for row in each.open_ends]
    return replace(tables[0], table=whole, open_ends=tuple(open_ends), origin=origin)


def first_cells(path: Path) -> list[str]:
    """The cells of the first line of a text table with commas; empty for another kind of file, or a broken one."""
    first = text_file.magic(path, LONGEST_HEADER)
    if first.startswith(text_file.GZIP):
        first = _unpacked(first)
    lines = first.removeprefix(text_file.UTF8_MARK).splitlines()
    try:
        return next(csv.reader([lines[0].decode(errors="replace").strip()]), []) if lines else []
    except csv.Error:
        return []


def _unpacked(start: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(start, LONGEST_HEADER)
    except zlib.error:
        return b""


@dataclass(frozen=True)
class _Form:
    """The delimiter of a text table, and the line of its first row."""

    delimiter: str
    first: int

    @property
    def edges(self) -> NDArray[np.uint8]:
        """The bytes that may stand beside the quotes of a cell."""
        return np.frombuffer(f'{self.delimiter}\n"'.encode(), dtype=np.uint8)


def _header_and_body(content: bytes, form: _Form, path: Path) -> tuple[list[str], bytes]:
    names, body = _names_and_rest(content, form, path)
    if not _without_blank_end(body):
        raise NoRows("no data rows: there is only a header", where=str(path), hint="restore the file")
    return names, body


def _with_commas(content: bytes, path: Path, first: int) -> bytes:
    """The lines with one comma in place of the spaces between two cells; `first` is the number of the first line."""
    if (place := content.find(b",")) >= 0:
        where = f"{path}, line {text_file.line_of(content, place) + first - 1}"
        raise BadData("a comma between spaces", where=where, hint="correct delimiter under problem.sources")
    return b"\n".join(b",".join(line.split()) for line in content.split(b"\n"))


def read_parquet(path: Path) -> RawTable:
    """Read a parquet file. Raises BadData if it is broken, empty or larger than MAX_ROWS or text_file.MAX_BYTES."""
    with _as_parquet(path), pa.parquet.ParquetFile(path) as file:
        _refuse_too_large(file.metadata, path)
        table = file.read(columns=_parquet_names(file, path))
        table.validate(full=True)  # otherwise text that is not UTF-8 fails later
    if not table.num_rows:
        raise NoRows("no data rows", where=str(path), hint="write it again")
    return RawTable(path, table, "row", 1)


def _refuse_too_large(metadata: Any, path: Path) -> None:
    size = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    if metadata.num_rows > MAX_ROWS or size > text_file.MAX_BYTES:
        raise BadData(
            f"exceeds {MAX_ROWS:,} rows or {text_file.MAX_BYTES:,} bytes", where=str(path), hint="split the file"
        )


def _refuse_other_delimiter(header: str, wanted: str, path: Path) -> None:
    for delimiter, name in DELIMITERS.items():
        if wanted not in header and delimiter in header:
            hint = (
                f"separate the cells with {DELIMITERS.get(wanted, wanted)}s, or correct delimiter under problem.sources"
            )
            raise BadData(f"looks {name}-separated", where=f"{path}, line 1", hint=hint)


def _header_names(header: str, delimiter: str) -> list[str]:
    names = next(csv.reader([header], delimiter=delimiter), [])
    return [name or f"Unnamed: {position}" for position, name in enumerate(names)]  # the name that pandas gives


def _distinct_names(names: list[str], path: Path) -> list[str]:
    if sum(name[:1].isdigit() for name in names) > len(names) / 2:
        raise BadData("the first line holds data, not column names", where=f"{path}, line 1", hint="restore the header")
    for name in names:
        if names.count(name) > 1:
            places = ", ".join(str(place + 1) for place, other in enumerate(names) if other == name)
            count = {2: "twice"}.get(names.count(name), f"{names.count(name)} times")
            what = f"column {name} appears {count} ({places})"
            raise BadData(what, where=f"{path}, header", hint="keep one of them")
    return names


def _without_blank_end(body: bytes) -> bytes:
    full = body.rstrip(b"\n")
    return body[: len(full) + 1] if full else b""


def _parsed(body: bytes, names: list[str], form: _Form, path: Path) -> pa.Table:
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(body),
            read_options=pa.csv.ReadOptions(column_names=names, use_threads=False, block_size=BLOCK_BYTES),
            parse_options=pa.csv.ParseOptions(delimiter=form.delimiter, ignore_empty_lines=False),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, TEXT), strings_can_be_null=False, check_utf8=False
            ),
        )
    except pa.ArrowInvalid as error:
        _refuse_first_odd_line(body, names, form, path)
        raise BadData(f"not a readable CSV: {_first_line(error)}", where=str(path), hint="write it again") from error
    lines = body.count(b"\n") + (not body.endswith(b"\n"))
    if table.num_rows != lines or body.startswith(b"\n") or b"\n\n" in body or _has_stray_quotes(body, form.edges):
        _refuse_first_odd_line(body, names, form, path)
    return table.unify_dictionaries()


def _has_stray_quotes(body: bytes, edges: NDArray[np.uint8]) -> bool:
    """Whether a quote is inside a cell, or a quote is not closed."""
    if b'"' not in body:
        return False
    letters = np.frombuffer(b"\n" + body + b"\n", dtype=np.uint8)
    quotes = np.flatnonzero(letters == ord('"'))
    outside = np.isin(letters[quotes - 1], edges) | np.isin(letters[quotes + 1], edges)
    return bool(len(quotes) % 2) or not outside.all()


def _refuse_first_odd_line(body: bytes, names: list[str], form: _Form, path: Path) -> None:
    """The slow second pass: raise BadData for the first line that is not one complete row."""
    lines = body.split(b"\n")
    for number, line in enumerate(lines[:-1] if lines[-1] == b"" else lines, start=form.first):
        if fault := _fault(line.decode(), len(names), form.delimiter):
            last = number == len(lines) + form.first - 1 and bool(lines[-1])
            hint = "the file was cut; restore it" if last else "restore the line"
            raise BadData(fault, where=f"{path}, line {number}", hint=hint)


def _fault(line: str, width: int, delimiter: str) -> str:
    if not line:
        return "a blank line between the rows"
    try:
        cells = next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error as error:
        return f"a quote is not closed or stands inside a cell: {error}"
    return "" if len(cells) == width else f"{len(cells)} cells where the header has {width}"


def _without_unused_texts(table: pa.Table) -> pa.Table:
    """The table without those texts of its columns that no row has."""
    for place, name in enumerate(table.column_names):
        if table.column(name).type == TEXT:
            table = table.set_column(place, name, table.column(name).cast(pa.string()).dictionary_encode())
    return table


def _encoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    return plain.dictionary_encode(null_encoding="encode")


def _one_chunk(column: pa.ChunkedArray) -> pa.DictionaryArray:
    combined = column.unify_dictionaries().combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined


def _as_text(value: object) -> str:
    """The text that a CSV would hold for a parquet value."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime) and value == datetime.datetime.combine(value.date(), datetime.time()):
        return value.date().isoformat()
    return str(value)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
