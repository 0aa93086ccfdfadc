"""Table predictions: logged requests come in once, however often they are sent."""

import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.errors import UniqueViolation
from sqlalchemy import Connection, Row, text

from lockgate.database import prediction_months
from lockgate.database.connection import Database, with_json, with_retries
from lockgate.prediction_log import copy_lines
from lockgate.prediction_log.copy_lines import Lines
from lockgate.prediction_log.encoding import encoded
from lockgate.prediction_log.record import Json, LoggedRequest, LoggedRow, Role, Scorer

COPY = f"COPY {{table}} ({copy_lines.COLUMNS}) FROM STDIN WITH (ENCODING 'UTF8')"
SENT = "CREATE TEMP TABLE sent (LIKE lockgate.predictions) ON COMMIT DROP"
INSERT_SENT = "INSERT INTO lockgate.predictions SELECT * FROM pg_temp.sent ON CONFLICT DO NOTHING"
SELECT = """
    SELECT at, request_id::text, "row", caller_id, confidence, latency_ms,
           model, version, digest, stage, role, degraded,
           features, segment, period, horizon, prediction, lower, upper, class, probabilities
    FROM lockgate.predictions
"""
# All key columns: the index of segments; some of them, or none: the newest rows, one by one, until there are enough.
SELECT_LAST = f"""{SELECT}
    WHERE model = :model AND {{condition}}
    ORDER BY at DESC, request_id, "row"
    LIMIT :limit
"""
SELECT_REQUEST = f"""{SELECT}
    WHERE model = :model AND request_id = CAST(:request_id AS uuid) AND role <> 'shadow'
    ORDER BY "row"
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
    return insert_records(database, [each for request in requests for each in encoded(request)])


def insert_records(database: Database, records: Sequence[bytes]) -> int:
    """As `insert`, for records of the spool (`prediction_log/encoding.py`)."""
    if not records:
        return 0
    return _insert(database, copy_lines.of_records(records))


@with_retries
def _insert(database: Database, sent: Lines) -> int:
    """Copy lines into the table; lines of which some are there already go through a table of their own."""
    with database.transaction() as connection:
        prediction_months.make(connection, sent.months)
        try:
            with connection.begin_nested():
                return _copy(connection, "lockgate.predictions", sent)
        except UniqueViolation:
            connection.execute(text(SENT))
            _copy(connection, "pg_temp.sent", sent)
            return connection.execute(text(INSERT_SENT)).rowcount


def _copy(connection: Connection, table: str, sent: Lines) -> int:
    with closing(connection.connection.cursor()) as cursor:
        cursor.copy_expert(COPY.format(table=table), io.BytesIO("\n".join(sent.lines).encode()))
        return cursor.rowcount


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


@with_retries
def of_request(database: Database, model: str, request_id: str) -> list[StoredRow]:
    """The answered rows of a request, in their order."""
    with database.transaction() as connection:
        values = {"model": model, "request_id": request_id}
        return [_stored(row) for row in connection.execute(text(SELECT_REQUEST), values)]


def _stored(row: Row[Any]) -> StoredRow:
    values = list(row)
    at, request_id, place, caller_id, confidence, latency_ms = values[:6]
    model, version, digest, stage, role, degraded = values[6:12]
    scorer = Scorer(model, version, digest, stage, Role(role), degraded)
    return StoredRow(at, request_id, place, caller_id, confidence, latency_ms, scorer, LoggedRow(*values[12:]))
