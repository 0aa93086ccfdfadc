"""A logged request as a record: the form in which the spool keeps it.

A record is a head, which is JSON on one line, and bytes after it. The head has the columns by name: each is a list,
or, for numbers of many rows, the name of their type in numpy; their bytes then stand after the head, in the order of
these columns. A request with many rows becomes several records. `copy_lines.py` reads them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from typing import Literal
from uuid import UUID

import numpy as np
from pydantic_core import to_json

from lockgate.errors import BadData
from lockgate.prediction_log.record import Column, Json, LoggedRequest, LoggedRows

ROWS_OF_ONE_RECORD = 5_000
PACKED_FROM = 100  # rows; shorter columns are lists of the JSON
FEATURES, SEGMENT, PROBABILITIES = "features ", "segment ", "probabilities "  # before the name of a column
LONGEST_SEGMENT = 500  # characters, of up to four bytes; an entry of Postgres's index holds 2,704 bytes
NO_NUMBERS = (b"NaN", b"Infinity")
NUL = b"\\u0000"  # JSON can hold this character, and Postgres cannot


def encoded(request: LoggedRequest) -> Iterator[bytes]:
    """The records of a request, each complete by itself.

    Raises BadData for texts that Postgres cannot hold (NUL, half of a surrogate pair) and for key columns with more
    than LONGEST_SEGMENT characters; ValueError for a request_id that is no UUID, and a time without a zone.
    """
    refuse_long_segments(_text_segments(request.rows))
    head = _head(request)
    for first in range(0, request.rows.count, ROWS_OF_ONE_RECORD):
        yield _record(head | {"first": first}, request.rows.part(first, first + ROWS_OF_ONE_RECORD))


def _head(request: LoggedRequest) -> dict[str, object]:
    if request.at.tzinfo is None:
        raise ValueError(f"the time of request {request.request_id} has no zone")
    return {
        "request_id": str(UUID(request.request_id)),
        "caller_id": request.caller_id,
        "at": request.at.astimezone(UTC).isoformat(),
        **vars(request.scorer),
        "confidence": request.confidence,
        "latency_ms": request.latency_ms,
    }


def _record(head: dict[str, object], rows: LoggedRows) -> bytes:
    columns: dict[str, object] = {}
    packed: list[bytes] = []
    for name, column in _columns(rows):
        if isinstance(column, np.ndarray) and rows.count >= PACKED_FROM:
            kind = column.dtype.newbyteorder("<")  # its own type: flags and small numbers take one byte, not eight
            columns[name] = kind.str
            packed.append(column.astype(kind, copy=False).tobytes())
        else:
            columns[name] = column.tolist() if isinstance(column, np.ndarray) else column
    text = _json_text(head | {"count": rows.count, "columns": columns}, unknown="null")
    return b"\n".join([text, b"".join(packed)])


def _columns(rows: LoggedRows) -> Iterator[tuple[str, Column]]:
    """The columns by name; those of a group have its name before theirs."""
    groups = ((FEATURES, rows.features), (SEGMENT, rows.segment), (PROBABILITIES, rows.probabilities or {}))
    for group, columns in groups:
        for name, column in columns.items():
            yield f"{group}{name}", column
    for name in ("period", "horizon", "prediction", "lower", "upper", "chosen_class"):
        if (column := getattr(rows, name)) is not None:
            yield name, column


def _text_segments(rows: LoggedRows) -> Iterator[dict[str, Json]]:
    """The key columns that may have texts, row by row."""
    names = [name for name, column in rows.segment.items() if not isinstance(column, np.ndarray)]
    for values in zip(*(rows.segment[name] for name in names), strict=True):
        yield dict(zip(names, values, strict=True))


def refuse_long_segments(segments: Iterable[Mapping[str, Json]]) -> None:
    """Raise BadData for the first row whose key columns have more than LONGEST_SEGMENT characters."""
    for place, segment in enumerate(segments):
        size = sum(len(value) for value in segment.values() if isinstance(value, str))
        if size > LONGEST_SEGMENT:
            raise BadData(
                f"row {place}: its key columns have {size} characters, and the log takes at most {LONGEST_SEGMENT}",
                where=", ".join(segment),
                hint="correct the keys of the row",
            )


def json_text(value: object) -> bytes:
    """A value as JSON on one line. Raises BadData for a text that Postgres cannot hold, ValueError for NaN."""
    text = _json_text(value, "constants")
    if any(word in text for word in NO_NUMBERS):
        json.dumps(value, allow_nan=False)  # raises ValueError unless the word is in a text
    return text


def _json_text(value: object, unknown: Literal["null", "constants"]) -> bytes:
    try:
        text = to_json(value, inf_nan_mode=unknown)
    except ValueError as error:  # of pydantic: half of a surrogate pair is no UTF-8
        raise BadData("a text has half of a surrogate pair", hint="send texts in UTF-8") from error
    if NUL in text and NUL in text.replace(b"\\\\", b""):
        raise BadData("a text has the character NUL, which the log cannot hold", hint="remove it")
    return text
