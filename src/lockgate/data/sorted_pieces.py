"""Typed rows of raw parts on disk, in pieces that are sorted by key, so that the rows of a key range can be read alone.

A piece is an Arrow file of small batches, beside the keys of its rows. Each row keeps its file and line for messages.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from lockgate.data import dataset, key_ranges
from lockgate.data.readers import RawTable

FILE, LINE, HASH = "lockgate file", "lockgate line", "lockgate hash"  # beside the columns of the problem
BATCH_ROWS = 1024
CODEC = "lz4"


@dataclass(frozen=True)
class Piece:
    """A file of rows sorted by key, and the file of their keys."""

    rows: Path
    keys: Path


def with_places(typed: pd.DataFrame, raw_table: RawTable, file: int, hashed: bool) -> pd.DataFrame:
    """Typed rows with the number of their file and their line; and with a hash of all cells, if asked."""
    lines = np.arange(raw_table.first, raw_table.first + len(typed), dtype=np.int64)
    placed = typed.assign(**{FILE: np.int32(file), LINE: lines})
    return placed.assign(**{HASH: _hashes(raw_table)}) if hashed else placed


def _hashes(raw_table: RawTable) -> NDArray[np.uint64]:
    """A hash of the texts of each row, whatever the order of the columns."""
    found = np.zeros(raw_table.table.num_rows, dtype=np.uint64)
    for name in sorted(raw_table.names):
        texts = raw_table.texts(name)
        values = pd.util.hash_array(np.array(list(texts.distinct()), dtype=object), categorize=False)
        found = found * np.uint64(31) + values[texts.codes]
    return found


def write(frames: Sequence[pd.DataFrame], keys: Sequence[str], stem: Path) -> tuple[Piece, pd.DataFrame]:
    """Write rows as a piece, sorted by key and else in their order; also returns their keys with numbers of rows.

    The files are replaced atomically, so the same piece may be written twice.
    """
    rows = pd.concat(frames, ignore_index=True).sort_values(list(keys), kind="stable", ignore_index=True)
    counts = key_ranges.counted(rows, keys)
    piece = Piece(stem.with_suffix(".arrow"), stem.with_suffix(".keys"))
    dataset.write_file(piece.keys, counts)
    dataset.write_bytes(piece.rows, _arrow(pa.Table.from_pandas(rows, preserve_index=False)))
    return piece, counts


def _arrow(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=CODEC)) as writer:
        writer.write_table(table, max_chunksize=BATCH_ROWS)
    return sink.getvalue()


def read(pieces: Sequence[tuple[Path, int, int]]) -> pd.DataFrame:
    """Some rows of pieces, in the order of their files and lines: from a first row until before a last row of each."""
    tables = [table for path, start, stop in pieces if start < stop for table in _slices(path, start, stop)]
    return pa.concat_tables(tables).to_pandas().sort_values([FILE, LINE], ignore_index=True)


def _slices(path: Path, start: int, stop: int) -> Iterator[pa.Table]:
    with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as reader:
        for number in range(start // BATCH_ROWS, -(-stop // BATCH_ROWS)):
            low = max(0, start - number * BATCH_ROWS)
            batch = reader.get_batch(number)
            yield pa.Table.from_batches([batch.slice(low, stop - number * BATCH_ROWS - low)])
