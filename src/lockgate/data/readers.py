"""Reads a CSV or parquet file as a table of text; column_types.py converts the text to values.

Arrow's reader is fast and lenient: it accepts an unclosed quote at the end of a file, reads `"3"4` as 34 and lets a
quoted cell contain line ends. So the number of rows is compared with the number of lines, and quotes inside cells are
searched; if something is wrong, a slow second pass finds the line.
"""

import csv
import datetime
import math
import zlib
from collections.abc import Iterator, Mapping
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
from lockgate.errors import BadData
from lockgate.problem.description import SourceFile

MAX_ROWS = 15_000_000
BLOCK_BYTES = 16 << 20
SHOWN_CHARACTERS = 40
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

    def distinct(self) -> Iterator[str]:
        """The values as text, made in batches because a column may have millions."""
        for start in range(0, len(self.values), BATCH):
            yield from map(_as_text, self.values.slice(start, BATCH).to_pylist())

    def text(self, code: int) -> str:
        """The text of the value with this code."""
        return _as_text(self.values[code].as_py())


@dataclass(frozen=True)
class RawTable:
    """The cells of one file, in file order, all columns kept."""

    path: Path
    table: pa.Table
    unit: str  # "line" of a CSV or "row" of a parquet file
    first: int  # number of the first row: 2 below a header, else 1
    open_end: bool = False  # no quote and no line end after the last cell: it may be truncated

    @property
    def names(self) -> list[str]:
        """The column names in file order."""
        return list(self.table.column_names)

    def place(self, row: int) -> str:
        """File and line (or row) of a row counted from 0, for messages."""
        return f"{self.path}, {self.unit} {row + self.first}"

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
    found = read_parquet(path) if source.format == "parquet" else read_csv(path, source)
    if strange := [name for name in source.rename if name not in found.names]:
        what = f"sources.rename names {shown(strange[0])}; found {', '.join(map(shown, found.names[:20]))}"
        raise BadData(what, where=f"{path}, header", hint="correct rename under problem.sources")
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
        raise BadData("no data rows: the file is empty", where=str(path), hint="restore the file")
    if source.delimiter == SPACES:
        content = _with_commas(content, path)
    form = _Form("," if source.delimiter == SPACES else source.delimiter, 1 if source.names else 2)
    names, body = (list(source.names), content) if source.names else _header_and_body(content, form, path)
    table = _parsed(_without_blank_end(body), names, form, path)
    return RawTable(path, table, "line", form.first, open_end=not body.endswith((b"\n", b'"')))


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
    header, _, body = content.partition(b"\n")
    _refuse_other_delimiter(header.decode(), form.delimiter, path)
    if not _without_blank_end(body):
        raise BadData("no data rows: there is only a header", where=str(path), hint="restore the file")
    return _distinct_names(_header_names(header.decode(), form.delimiter), path), body


def _with_commas(content: bytes, path: Path) -> bytes:
    """The lines with one comma in place of the spaces between two cells."""
    if (place := content.find(b",")) >= 0:
        where = f"{path}, line {text_file.line_of(content, place)}"
        raise BadData("a comma between spaces", where=where, hint="correct delimiter under problem.sources")
    return b"\n".join(b",".join(line.split()) for line in content.split(b"\n"))


def read_parquet(path: Path) -> RawTable:
    """Read a parquet file. Raises BadData if it is broken, empty or larger than MAX_ROWS or text_file.MAX_BYTES."""
    try:
        with pa.parquet.ParquetFile(path) as file:
            _refuse_too_large(file.metadata, path)
            names = [name for name in file.schema_arrow.names if not name.startswith("__index_level_")]
            _distinct_names(names, path)
            table = file.read(columns=names)
            table.validate(full=True)  # otherwise text that is not UTF-8 fails later
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadData(
            f"not a readable parquet file: {_first_line(error)}", where=str(path), hint="write it again"
        ) from error
    if not table.num_rows:
        raise BadData("no data rows", where=str(path), hint="write it again")
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
    if table.num_rows != lines or b"\n\n" in body or _has_stray_quotes(body, form.edges):
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
