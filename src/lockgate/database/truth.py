"""Table truth: what came true. A value that is loaded again adds nothing; another value is a correction."""

import io
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, text

from lockgate.database.connection import Database, with_retries
from lockgate.prediction_log.encoding import json_text, refuse_long_segments
from lockgate.prediction_log.truth_rows import TruthRow

ROWS_AT_ONCE = 20_000  # in memory, and of one statement
ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('lockgate.truth ' || :model, 0))"
ARRIVING = """
    CREATE TEMP TABLE IF NOT EXISTS arriving (place integer NOT NULL, fact jsonb NOT NULL) ON COMMIT DELETE ROWS
"""
FORGET_ARRIVING = "TRUNCATE pg_temp.arriving"
COPY_ARRIVING = "COPY pg_temp.arriving FROM STDIN WITH (ENCODING 'UTF8')"
# How a row of table `named` names arriving rows, in a form for which there is an index.
BY_PERIOD = "{named}.segment = fact.segment AND {named}.period = fact.period"
BY_SEGMENT = "{named}.segment = fact.segment AND {named}.period IS NULL"
BY_REQUEST = """{named}.request_id = fact.request_id AND {named}."row" = fact."row" """
# A fact is a list, in the order of the fields of `TruthRow`.
LOAD = """
    WITH fact AS MATERIALIZED (
        SELECT place, fact -> 0 AS segment, (fact ->> 1)::bigint AS period, (fact ->> 2)::uuid AS request_id,
               (fact ->> 3)::integer AS "row", (fact ->> 4)::double precision AS value, fact ->> 5 AS class
        FROM pg_temp.arriving
    ), compared AS MATERIALIZED (
        SELECT fact.*, known.id AS known,
               (known.value, known.class) IS NOT DISTINCT FROM (fact.value, fact.class) AS same,
               asked.found IS NOT NULL AS asked
        FROM fact
        LEFT JOIN lockgate.truth_in_force(:model) AS known ON {of_truth} AND known.request_id IS {is_null}
        LEFT JOIN LATERAL (
            SELECT true AS found
            FROM lockgate.predictions AS prediction
            WHERE prediction.model = :model AND {of_prediction}
            LIMIT 1
        ) AS asked ON true
    ), added AS (
        INSERT INTO lockgate.truth (model, segment, period, request_id, "row", value, class, corrects, source, actor)
        SELECT :model, segment, period, request_id, "row", value, class, known, :source, :actor
        FROM compared
        WHERE known IS NULL OR NOT same
    )
    SELECT count(*) FILTER (WHERE known IS NULL),
           array_agg(place ORDER BY place) FILTER (WHERE NOT same AND known IS NOT NULL),
           array_agg(place ORDER BY place) FILTER (WHERE NOT asked)
    FROM compared
"""


@dataclass(frozen=True)
class Loaded:
    """How many rows were new, and the places of the rows that correct an earlier value, or that no prediction asks for.

    Places count from `first`.
    """

    new: int
    corrected: Sequence[int]
    unknown: Sequence[int]


class Rows(Protocol):
    """Rows of truth, which are asked for in parts."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Sequence[TruthRow]: ...


@with_retries
def load(database: Database, model: str, rows: Rows, source: str, actor: str) -> Loaded:
    """Put rows on record, all or none. A row of which the same value is in force adds nothing.

    All rows are named in one way: by period, by segment alone, or by request. Each part of the rows has the timeout.
    """
    names = {"model": model, "source": source, "actor": actor}
    new, corrected, unknown = 0, list[int](), list[int]()
    parts = range(0, len(rows), ROWS_AT_ONCE)
    with database.transaction(max(1, len(parts)) * database.timeout) as connection:
        connection.execute(text(ALONE), names)
        connection.execute(text(ARRIVING))
        for first in parts:
            done = _load(connection, rows[first : first + ROWS_AT_ONCE], names)
            new += done.new
            corrected += (first + place for place in done.corrected)
            unknown += (first + place for place in done.unknown)
    return Loaded(new, corrected, unknown)


def _load(connection: Connection, rows: Sequence[TruthRow], names: dict[str, str]) -> Loaded:
    connection.execute(text(FORGET_ARRIVING))
    with closing(connection.connection.cursor()) as cursor:
        cursor.copy_expert(COPY_ARRIVING, io.BytesIO(_lines(rows)))
    new, corrected, unknown = connection.execute(text(_statement(rows[0])), names).one()
    return Loaded(new, corrected or [], unknown or [])


def _statement(row: TruthRow) -> str:
    by = BY_PERIOD if row.request_id is None else BY_REQUEST
    by = BY_SEGMENT if row.request_id is None and row.period is None else by
    return LOAD.format(
        of_prediction=by.format(named="prediction"),
        of_truth=by.format(named="known"),
        is_null="NULL" if row.request_id is None else "NOT NULL",
    )


def _lines(rows: Sequence[TruthRow]) -> bytes:
    refuse_long_segments(row.segment for row in rows)
    texts = (json_text(row).replace(b"\\", b"\\\\") for row in rows)
    return b"\n".join(b"%d\t%b" % numbered for numbered in enumerate(texts))
