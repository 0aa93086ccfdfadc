"""SHA-256 digests of files, JSON values and tables."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

CHUNK_BYTES = 1 << 20
NO_TEXT = b"\xff\xff\xff\xff"


def of_bytes(content: bytes) -> str:
    """SHA-256 of some bytes, as 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in chunks, as 64 hex digits."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            sha.update(chunk)
    return sha.hexdigest()


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def of_json(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    return of_bytes(canonical_json(value).encode())


def of_frame(frame: "pd.DataFrame") -> str:
    """SHA-256 of a table's content: column names, types and every value, in row order; the index does not count."""
    sha = hashlib.sha256()
    for name in sorted(frame.columns):
        column = frame[name]
        sha.update(f"{name}:{column.dtype}:{len(column)};".encode())
        sha.update(_column_bytes(column))
    return sha.hexdigest()


def of_parts(parts: Sequence[str]) -> str:
    """SHA-256 of a table in parts from the digests of its parts, in order; of one part its own digest."""
    return parts[0] if len(parts) == 1 else of_json(list(parts))


def _column_bytes(column: "pd.Series[Any]") -> bytes:
    values = column.to_numpy()
    if values.dtype.kind in "biufM":
        return bytes(values.tobytes())
    return _text_bytes(column.astype(str))


def _text_bytes(texts: Iterable[str | float]) -> bytes:
    """Each text after its length; a missing text (NaN) has a length that no text has."""
    raws = (text.encode() if isinstance(text, str) else None for text in texts)
    return b"".join(NO_TEXT if raw is None else len(raw).to_bytes(4, "little") + raw for raw in raws)
