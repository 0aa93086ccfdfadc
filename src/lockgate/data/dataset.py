"""The prepared dataset, a folder: rows, holdout and static features as parquet, and the data card.

Rows and holdout are one file each, or a folder of parts. A part holds all rows of some keys, and the keys are in order
over the parts. Equal content gives equal bytes. Each table that is read is compared with its digest in the card,
because DVC does not notice a damaged file in its cache.
"""

import json
import os
import shutil
import threading
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from lockgate import digests
from lockgate.data.data_card import CARD, PARTS, REPAIR, Card, Part, read_card
from lockgate.data.rows_by_part import RowsByPart
from lockgate.errors import IntegrityBroken, StorageFailed


def write(folder: Path, parts: dict[Part, pd.DataFrame], card: Card) -> None:
    """Write each table as parquet, and the card; each file is replaced atomically, and earlier parts are removed.

    Raises StorageFailed if writing fails.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in parts.items():
            write_file(folder / f"{name}.parquet", frame)
        write_bytes(folder / CARD, (json.dumps(card, indent=2, ensure_ascii=False) + "\n").encode())
        for name in parts:
            shutil.rmtree(folder / name, ignore_errors=True)
    except OSError as error:
        raise StorageFailed(
            f"cannot write: {error.strerror}", where=str(folder), hint="make room, or check the folder's permissions"
        ) from error


def read(folder: Path, part: Part) -> pd.DataFrame:
    """One of the tables with its types, all parts of it. Raises IntegrityBroken as `read_part` does."""
    return by_part(folder, part).joined()


def by_part(folder: Path, part: Part) -> RowsByPart:
    """One of the tables part by part; a table in one file, or in one part, is read now and kept.

    Each read of a part compares its digest. Raises IntegrityBroken as `read_part` does.
    """
    count = len(parts(folder, part))
    if count == 1:
        return RowsByPart.of(read_part(folder, part, 0))
    return RowsByPart(tuple(partial(read_part, folder, part, number) for number in range(count)))


def parts(folder: Path, part: Part) -> tuple[Path, ...]:
    """The files of one of the tables, in the order of their keys: one file, or as many as the data card lists.

    Raises IntegrityBroken if the card cannot be read.
    """
    return tuple(path for path, _ in _listed(folder, part))


def read_part(folder: Path, part: Part, number: int) -> pd.DataFrame:
    """One part of one of the tables, by its number from 0. Raises IntegrityBroken if its digest is not the card's."""
    path, digest = _listed(folder, part)[number]
    frame = read_file(path, part)
    if digests.of_frame(frame) != digest:
        raise IntegrityBroken(f"the digest of {part} differs from the data card", where=str(path), hint=REPAIR)
    return frame


def place(folder: Path, part: Part) -> Path:
    """The file of one of the tables, or the folder of its parts; it need not exist."""
    of_parts = folder / part
    return of_parts if of_parts.is_dir() else folder / f"{part}.parquet"


def read_file(path: Path, name: str) -> pd.DataFrame:
    """The rows of a file that `write_file` wrote, with their types. Raises IntegrityBroken if it cannot be read."""
    try:
        return _in_seconds(pd.read_parquet(path))
    except (OSError, pa.ArrowException) as error:
        raise IntegrityBroken(f"{name} cannot be read", where=str(path), hint=REPAIR) from error


def write_file(path: Path, frame: pd.DataFrame) -> None:
    """Write rows as parquet; the file is replaced atomically."""
    write_bytes(path, _parquet(frame))


def _listed(folder: Path, part: Part) -> tuple[tuple[Path, str], ...]:
    """The files of one of the tables and their digests in the card."""
    card = read_card(folder)[part]
    if PARTS not in card:
        return ((folder / f"{part}.parquet", card["digest"]),)
    listed = [(str(each["file"]), str(each["digest"])) for each in card[PARTS]]
    if digests.of_parts([digest for _, digest in listed]) != card["digest"]:
        raise IntegrityBroken(f"the digest of {part} is not that of its parts", where=str(folder / CARD), hint=REPAIR)
    return tuple((folder / part / file, digest) for file, digest in listed)


def trained_until(folder: Path) -> str:
    """The last period of the rows as text; "" if the holdout is not split off by time."""
    return str(read_card(folder)["cutoff"])


def _in_seconds(frame: pd.DataFrame) -> pd.DataFrame:
    """Dates in seconds: parquet has no seconds and returns milliseconds."""
    return frame.astype(dict.fromkeys(frame.select_dtypes("datetime").columns, "datetime64[s]"))


def _parquet(frame: pd.DataFrame) -> pa.Buffer:
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def write_bytes(path: Path, content: bytes | pa.Buffer) -> None:
    """Write a file; it is replaced atomically."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
