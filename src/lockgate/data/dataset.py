"""The prepared dataset, a folder: rows, holdout and static features as parquet, and the data card.

Equal content gives equal bytes. Each table that is read is compared with its digest in the card, because DVC does not
notice a damaged file in its cache.
"""

import json
import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from lockgate import digests
from lockgate.data.data_card import CARD, REPAIR, Card, Part, read_card
from lockgate.errors import IntegrityBroken, StorageFailed


def write(folder: Path, parts: dict[Part, pd.DataFrame], card: Card) -> None:
    """Write each part as parquet, and the card; each file is replaced atomically.

    Raises StorageFailed if writing fails.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in parts.items():
            _replace(folder / f"{name}.parquet", _parquet(frame))
        _replace(folder / CARD, (json.dumps(card, indent=2, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise StorageFailed(
            f"cannot write: {error.strerror}", where=str(folder), hint="make room, or check the folder's permissions"
        ) from error


def read(folder: Path, part: Part) -> pd.DataFrame:
    """One of the tables, with its types. Raises IntegrityBroken if its digest differs from the card."""
    path = folder / f"{part}.parquet"
    try:
        frame = _in_seconds(pd.read_parquet(path))
    except (OSError, pa.ArrowException) as error:
        raise IntegrityBroken(f"{part} cannot be read", where=str(path), hint=REPAIR) from error
    if digests.of_frame(frame) != read_card(folder)[part]["digest"]:
        raise IntegrityBroken(f"the digest of {part} differs from the data card", where=str(path), hint=REPAIR)
    return frame


def trained_until(folder: Path) -> str:
    """The last period of the rows as text; "" if the holdout is not split off by time."""
    return str(read_card(folder)["cutoff"])


def _in_seconds(frame: pd.DataFrame) -> pd.DataFrame:
    """Dates in seconds: parquet has no seconds and returns milliseconds."""
    return frame.astype(dict.fromkeys(frame.select_dtypes("datetime").columns, "datetime64[s]"))


def _parquet(frame: pd.DataFrame) -> bytes:
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
