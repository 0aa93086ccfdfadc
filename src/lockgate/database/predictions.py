"""Table predictions: logged requests come in once, however often they are sent."""

import io
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import date

from sqlalchemy import Connection, text

from lockgate.database.connection import Database, with_retries
from lockgate.prediction_log.encoding import encoded
from lockgate.prediction_log.record import LoggedRequest

SENT = "CREATE TEMP TABLE IF NOT EXISTS sent (text jsonb NOT NULL) ON COMMIT DELETE ROWS"
COPY_SENT = "COPY pg_temp.sent FROM STDIN WITH (ENCODING 'UTF8')"
# The months (UTC) of the sent requests without a partition, and the next month from now: it is there when it begins.
MISSING_MONTHS = """
    SELECT month
    FROM (
        SELECT date_trunc('month', (text ->> 'at')::timestamptz AT TIME ZONE 'UTC')::date AS month FROM pg_temp.sent
        UNION
        SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month')::date
    ) AS wanted
    WHERE to_regclass(format('lockgate.predictions_%s', to_char(month, 'YYYY_MM'))) IS NULL
    ORDER BY month
"""
ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('lockgate.predictions', 0))"
# Made and then attached: unlike CREATE TABLE ... PARTITION OF, this waits for no reader of the log, and stops none.
MAKE_MONTH = """
    CREATE TABLE lockgate.{name} (LIKE lockgate.predictions INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
    ALTER TABLE lockgate.predictions ATTACH PARTITION lockgate.{name}
        FOR VALUES FROM ('{month} 00:00:00+00') TO ('{next} 00:00:00+00')
"""
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
        _make_months(connection)
        return connection.execute(text(INSERT_SENT)).rowcount


def _copy(connection: Connection, texts: Sequence[bytes]) -> None:
    lines = b"\n".join(each.replace(b"\\", b"\\\\") for each in texts)  # JSON on one line
    with closing(connection.connection.cursor()) as cursor:
        cursor.copy_expert(COPY_SENT, io.BytesIO(lines))


def _make_months(connection: Connection) -> None:
    if not connection.scalars(text(MISSING_MONTHS)).all():
        return
    connection.execute(text(ALONE))
    for month in connection.scalars(text(MISSING_MONTHS)).all():
        after = date(month.year + month.month // 12, month.month % 12 + 1, 1)
        names = {"name": f"predictions_{month:%Y_%m}", "month": month, "next": after}
        connection.execute(text(MAKE_MONTH.format(**names)))
