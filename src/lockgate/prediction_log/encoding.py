"""A logged request as JSON: the form in which the spool keeps it and Postgres reads it.

A row is a list, in the order of the fields of `LoggedRow`. A request with many rows becomes several texts.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from uuid import UUID

from pydantic_core import to_json

from lockgate.errors import BadData
from lockgate.prediction_log.record import Json, LoggedRequest

ROWS_OF_ONE_TEXT = 5_000
LONGEST_SEGMENT = 500  # characters, of up to four bytes; an entry of Postgres's index holds 2,704 bytes
NO_NUMBERS = (b"NaN", b"Infinity")
NUL = b"\\u0000"  # JSON can hold this character, and Postgres cannot


def encoded(request: LoggedRequest) -> Iterator[bytes]:
    """The texts of a request, each complete by itself.

    Raises BadData for texts that Postgres cannot hold (NUL, half of a surrogate pair) and for key columns with more
    than LONGEST_SEGMENT characters; ValueError for numbers that are not finite, a request_id that is no UUID, and a
    time without a zone.
    """
    head = _head(request)
    for first in range(0, len(request.rows), ROWS_OF_ONE_TEXT):
        rows = request.rows[first : first + ROWS_OF_ONE_TEXT]
        refuse_long_segments(row.segment for row in rows)
        yield json_text(head | {"first": first, "rows": rows})


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
    try:
        text = to_json(value, inf_nan_mode="constants")
    except ValueError as error:  # of pydantic: half of a surrogate pair is no UTF-8
        raise BadData("a text has half of a surrogate pair", hint="send texts in UTF-8") from error
    if any(word in text for word in NO_NUMBERS):
        json.dumps(value, allow_nan=False)  # raises ValueError unless the word is in a text
    if NUL in text and NUL in text.replace(b"\\\\", b""):
        raise BadData("a text has the character NUL, which the log cannot hold", hint="remove it")
    return text
