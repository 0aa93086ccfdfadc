"""Writes tables one after the other into one CSV, CSV.gz or parquet file; memory does not depend on their number."""

import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from lockgate.data.readers import PARQUET
from lockgate.errors import BadData

SUFFIXES = (".csv", ".csv.gz", PARQUET)
NEEDS_QUOTES = '[,"\n\r]'
GZIP_LEVEL = 6
MIDNIGHT = " 00:00:00"


@dataclass
class CsvWriter:
    """Writes CSV with a header; a missing value is an empty cell."""

    file: BinaryIO
    names: list[str] | None = None

    def write(self, table: pa.Table) -> None:
        """Write the rows of a table with the same columns as the tables before."""
        if self.names is None:
            self.names = list(table.column_names)
            self.file.write(_header(self.names))
        columns = [_cells(table.column(name), name) for name in self.names]
        lines = pc.binary_join_element_wise(*columns, ",", null_handling="replace", null_replacement="")
        for chunk in pc.binary_join_element_wise(lines, "", "\n").chunks:
            self.file.write(_bytes(chunk))

    def close(self) -> None:
        """Nothing is left to write."""


@dataclass
class ParquetRowWriter:
    """Writes parquet, a row group for each table; the types are those of the first table."""

    path: Path
    writer: Any = None

    def write(self, table: pa.Table) -> None:
        """Write the rows of a table. Raises BadData if a value does not fit the type of its column before."""
        if self.writer is None:
            schema = pa.schema([(field.name, _plain(field.type)) for field in table.schema])
            self.writer = pa.parquet.ParquetWriter(self.path, schema)
        try:
            self.writer.write_table(table.cast(self.writer.schema))
        except pa.ArrowInvalid as error:
            raise BadData(f"the parts of the file have values of different types: {error}", hint="write CSV") from error

    def close(self) -> None:
        """Write the end of the file."""
        if self.writer is not None:
            self.writer.close()


@contextmanager
def into(path: Path, name: str) -> Iterator[CsvWriter | ParquetRowWriter]:
    """A writer into `path` in the format of the file name `name`."""
    if name.endswith(PARQUET):
        parquet = ParquetRowWriter(path)
        try:
            yield parquet
        finally:
            parquet.close()
        return
    with path.open("wb") as file:
        if name.endswith(".gz"):
            with gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=1) as packed:
                yield CsvWriter(cast(BinaryIO, packed))
        else:
            yield CsvWriter(file)


def _header(names: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(names)
    return text.getvalue().encode()


def _cells(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """The cells of a column as text of a CSV."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        is_text = pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type)
        plain = column.cast(pa.string() if is_text else kind.value_type)
        is_simple = is_text and not any(_need_quotes(part.dictionary) for part in column.chunks)
        return plain if is_simple else _cells(plain, name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _quoted(column.cast(pa.string()))
    if pa.types.is_floating(kind):
        known = pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
        return known.cast(pa.string())
    if pa.types.is_boolean(kind):
        return column.cast(pa.int8()).cast(pa.string())
    if pa.types.is_timestamp(kind) and kind.tz is None:
        return _times(column)
    try:
        return column.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise BadData(f"column {name} is of type {kind}", hint="write parquet, or leave the column out") from error


def _quoted(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not _need_quotes(column):
        return column
    needs = pc.match_substring_regex(column, NEEDS_QUOTES)
    quoted = pc.binary_join_element_wise("", pc.replace_substring(column, '"', '""'), "", '"')
    return pc.if_else(needs, quoted, column)


def _need_quotes(texts: Any) -> bool:
    return bool(pc.any(pc.match_substring_regex(texts, NEEDS_QUOTES)).as_py())


def _times(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times to the second; midnight is its date alone."""
    try:
        texts = column.cast(pa.timestamp("s")).cast(pa.string())
    except pa.ArrowInvalid:
        texts = column.cast(pa.string())
    return pc.if_else(pc.ends_with(texts, MIDNIGHT), pc.utf8_slice_codeunits(texts, 0, 10), texts)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _bytes(texts: pa.StringArray) -> memoryview:
    """The bytes of all texts of an array, one after the other."""
    offsets, data = texts.buffers()[1:3]
    starts = pa.Array.from_buffers(pa.int32(), len(texts) + 1, [None, offsets], offset=texts.offset)
    return memoryview(data)[starts[0].as_py() : starts[len(texts)].as_py()]
