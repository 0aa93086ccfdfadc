"""Logged predictions, each with the truth in force: the input of the monitor and of a replay."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import text

from lockgate.database.connection import Database, with_retries

MOST_ROWS = 50_000  # of the log in memory, about; of more rows, every row of some keys is read


NamedBy = Literal["period", "segment", "request"]


@dataclass(frozen=True)
class Asked:
    """The rows of a model: logged since `since`, or (of a panel) of a period after `after_period`.

    `earliest` is the time from which such a period may have been forecast. `named_by` says how a truth names a row.
    `roles` are those of the rows.
    """

    model: str
    since: datetime
    roles: tuple[str, ...]
    named_by: NamedBy
    after_period: int | None = None
    earliest: datetime | None = None


@dataclass(frozen=True)
class LoggedRows:
    """Rows of the log with the truth in force, in the order of COLUMNS, of about one key in `one_in`."""

    rows: Sequence[tuple[Any, ...]]
    one_in: int


NEWEST_PERIOD = "SELECT max(period) FROM lockgate.truth WHERE model = :model AND request_id IS NULL"
CHOSEN = """
    model = :model AND role = ANY (:roles)
    AND at >= least(:since, coalesce(:earliest, CASE WHEN :after_period IS NULL THEN :since ELSE '-infinity' END))
    AND (at >= :since OR period > :after_period)
"""
# All rows of a key are read, or none; a state needs all rows of its key.
OF_SAMPLE = "(:one_in = 1 OR abs(hashtextextended({name}, 0)) % :one_in = 0)"
COUNT_ROWS = f"SELECT count(*) FROM lockgate.predictions WHERE {CHOSEN}"  # noqa: S608 - our own names only
COLUMNS = (
    "at", "request_id", "row", "role", "version", "degraded", "confidence", "period", "horizon", "segment", "features",
    "prediction", "lower", "upper", "class", "probabilities", "truth_value", "truth_class", "truth_at",
)  # fmt: skip
SELECT_ROWS = """
    SELECT logged.at, logged.request_id::text AS request_id, logged."row", logged.role, logged.version, logged.degraded,
           logged.confidence, logged.period, logged.horizon, logged.segment, logged.features, logged.prediction,
           logged.lower, logged.upper, logged.class, logged.probabilities,
           truth.value AS truth_value, truth.class AS truth_class, truth.first_at AS truth_at
    FROM (SELECT * FROM lockgate.predictions WHERE {chosen} AND {sampled}) AS logged
    LEFT JOIN LATERAL (
        SELECT known.value, known.class, min(known.loaded_at) OVER () AS first_at
        FROM lockgate.truth AS known
        WHERE known.model = :model AND {same}
        ORDER BY known.id DESC
        LIMIT 1
    ) AS truth ON true
    ORDER BY logged.at, logged.request_id, logged."row", logged.role
"""
# How a truth names a row, in a form for which there is an index.
SAME: dict[NamedBy, str] = {
    "period": "known.request_id IS NULL AND known.segment = logged.segment AND known.period = logged.period",
    "segment": "known.request_id IS NULL AND known.segment = logged.segment AND known.period IS NULL",
    "request": 'known.request_id = logged.request_id AND known."row" = logged."row"',
}


@with_retries
def newest_period(database: Database, model: str) -> int | None:
    """The newest period of which a truth of the model is known."""
    with database.transaction() as connection:
        found: int | None = connection.scalar(text(NEWEST_PERIOD), {"model": model})
    return found


@with_retries
def read(database: Database, asked: Asked) -> LoggedRows:
    """The rows of the log, oldest first."""
    values = asdict(asked) | {"roles": list(asked.roles)}
    sampled = OF_SAMPLE.format(name="request_id::text" if asked.named_by == "request" else "segment::text")
    statement = SELECT_ROWS.format(chosen=CHOSEN, sampled=sampled, same=SAME[asked.named_by])
    with database.transaction() as connection:
        count = connection.scalar(text(COUNT_ROWS), values)
        one_in = max(1, -(-count // MOST_ROWS))
        found = connection.execute(text(statement), values | {"one_in": one_in}).all()
    return LoggedRows([tuple(row) for row in found], one_in)
