"""Table predictions: logged requests come in once, however often they are sent."""

import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from lockgate.database import prediction_months
from lockgate.database.connection import Database, with_json, with_retries
from lockgate.prediction_log.encoding import encoded
from lockgate.prediction_log.record import Json, LoggedRequest, LoggedRow, Role, Scorer

SENT = "CREATE TEMP TABLE IF NOT EXISTS sent (text jsonb NOT NULL) ON COMMIT DELETE ROWS"
COPY_SENT = "COPY pg_temp.sent FROM STDIN WITH (ENCODING 'UTF8')"
MONTHS_SENT = (
    "SELECT DISTINCT date_trunc('month', (text ->> 'at')::timestamptz AT TIME ZONE 'UTC')::date FROM pg_temp.sent"
)
# A row is a list, in the order of prediction_log/encoding.py. MATERIALIZED: Postgres would unpack the whole text again
# for each value of each row.
INSERT_SENT = """
    WITH request AS MATERIALIZED (
        SELECT (text ->> 'at')::timestamptz AS at, (text ->> 'request_id')::uuid AS id,
               (text ->> 'first')::integer AS first, text ->> 'role' AS role, text ->> 'model' AS model,
               (text ->> 'version')::integer AS version, text ->> 'digest' AS digest, text ->> 'stage' AS stage,
               (text ->> 'degraded')::boolean AS degraded, text ->> 'caller_id' AS caller_id,
               (text ->> 'confidence')::real AS confidence, (text ->> 'latency_ms')::real AS latency_ms,
               text -> 'rows' AS rows
        FROM pg_temp.sent
    )
    INSERT INTO lockgate.predictions
        (at, request_id, "row", role, model, version, digest, stage, degraded, caller_id, confidence, latency_ms,
         features, segment, period, horizon, prediction, lower, upper, class, probabilities)
    SELECT at, id, first + number - 1, role, model, version, digest, stage, degraded, caller_id, confidence, latency_ms,
           each -> 0, each -> 1, (each ->> 2)::bigint, (each ->> 3)::integer, (each ->> 4)::double precision,
           (each ->> 5)::double precision, (each ->> 6)::double precision, each ->> 7, nullif(each -> 8, 'null')
    FROM request, jsonb_array_elements(rows) WITH ORDINALITY AS element (each, number)
    ON CONFLICT DO NOTHING
"""
# All key columns: the index of segments; some of them, or none: the newest rows, one by one, until there are enough.
SELECT_LAST = """
    SELECT at, request_id::text, "row", caller_id, confidence, latency_ms,
           model, version, digest, stage, role, degraded,
           features, segment, period, horizon, prediction, lower, upper, class, probabilities
    FROM lockgate.predictions
    WHERE model = :model AND {condition}
    ORDER BY at DESC, request_id, "row"
    LIMIT :limit
"""
CONDITIONS = {"whole": "segment = :segment", "part": "segment @> :segment"}


@dataclass(frozen=True)
class StoredRow:
    """A row of a request on record. `row` is its place in the request, from 0."""

    at: datetime
    request_id: str
    row: int
    caller_id: str | None
    confidence: float
    latency_ms: float
    scorer: Scorer
    logged: LoggedRow


def insert(database: Database, requests: Iterable[LoggedRequest]) -> int:
    """Put requests on record; how many of their rows were not there before."""
    return insert_texts(database, [each for request in requests for each in encoded(request)])


@with_retries
def insert_texts(database: Database, texts: Sequence[bytes]) -> int:
    """As `insert`, for requests in the form of prediction_log/encoding.py."""
    if not texts:
        return 0
    with database.transaction() as connection:
        connection.execute(text(SENT))
        _copy(connection, texts)
        prediction_months.make(connection, connection.scalars(text(MONTHS_SENT)))
        return connection.execute(text(INSERT_SENT)).rowcount


def _copy(connection: Connection, texts: Sequence[bytes]) -> None:
    lines = b"\n".join(each.replace(b"\\", b"\\\\") for each in texts)  # JSON on one line
    with closing(connection.connection.cursor()) as cursor:
        cursor.copy_expert(COPY_SENT, io.BytesIO(lines))


@with_retries
def last(
    database: Database, model: str, segment: Mapping[str, Json], keys: Sequence[str], limit: int
) -> list[StoredRow]:
    """The last predictions of a segment, the newest first. `segment` may have some of the keys, or none."""
    condition = CONDITIONS["whole" if set(segment) == set(keys) else "part"]
    values = {"model": model, "segment": dict(segment), "limit": limit}
    with database.transaction() as connection:
        found = connection.execute(with_json(SELECT_LAST.format(condition=condition), "segment"), values)
        return [_stored(row) for row in found]


def _stored(row: Row[Any]) -> StoredRow:
    values = list(row)
    at, request_id, place, caller_id, confidence, latency_ms = values[:6]
    model, version, digest, stage, role, degraded = values[6:12]
    scorer = Scorer(model, version, digest, stage, Role(role), degraded)
    return StoredRow(at, request_id, place, caller_id, confidence, latency_ms, scorer, LoggedRow(*values[12:]))
