"""The partitions of table predictions: a month (UTC) each. They are made when needed, and dropped by the retention."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Connection, text

from lockgate.database.connection import Database, with_retries

# The wanted months that have no partition, and the next month from now: it is there when it begins.
SELECT_MISSING = """
    SELECT month
    FROM (
        SELECT unnest(CAST(:months AS date[])) AS month
        UNION
        SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month')::date
    ) AS wanted
    WHERE NOT EXISTS (
        SELECT FROM pg_class
        WHERE relnamespace = 'lockgate'::regnamespace AND relname = 'predictions_' || to_char(month, 'YYYY_MM')
    )
    ORDER BY month
"""
MAKE = "SELECT lockgate.make_month_of_predictions(:month)"
SELECT_MONTHS = """
    SELECT to_date(right(relname, 7), 'YYYY_MM')
    FROM pg_inherits JOIN pg_class ON oid = inhrelid
    WHERE inhparent = 'lockgate.predictions'::regclass
    ORDER BY 1
"""
# Readers that come later wait behind this wait. It is repeated within the timeout.
SHORT_WAIT = "SET LOCAL lock_timeout = '500ms'"
DROP = "DROP TABLE lockgate.{name}"
MOST_COUNTED = 1_000_000
COUNT = "SELECT count(*) FROM (SELECT FROM lockgate.{name} WHERE at < :before LIMIT :most) AS counted"
ROWS_AT_ONCE = 20_000
DELETE = """
    DELETE FROM lockgate.{name}
    WHERE ctid = ANY(ARRAY(SELECT ctid FROM lockgate.{name} WHERE at < :before LIMIT :rows))
"""


@dataclass(frozen=True)
class Month:
    """A month of the log, and how many of its predictions, MOST_COUNTED at most, are from before a time.

    `whole`: the month was over at that time.
    """

    first_day: date
    predictions: int
    whole: bool


def make(connection: Connection, months: Iterable[date]) -> None:
    """Make the partitions of these months, and of the next month from now, unless they are there."""
    for month in connection.scalars(text(SELECT_MISSING), {"months": list(months)}).all():
        connection.execute(text(MAKE), {"month": month})


def before(database: Database, moment: datetime) -> list[Month]:
    """The months that had begun before this time, oldest first."""
    begun = [day for day in _months(database) if _begin(day) < moment]
    return [Month(day, _count(database, day, moment), _begin(_next(day)) <= moment) for day in begun]


@with_retries
def drop(database: Database, month: Month) -> None:
    """Drop a whole month. Raises DatabaseInterrupted if queries read the log for the whole timeout."""
    with database.transaction() as connection:
        connection.execute(text(SHORT_WAIT))
        connection.execute(text(DROP.format(name=_name(month.first_day))))


@with_retries
def delete_some(database: Database, month: Month, moment: datetime) -> int:
    """Delete predictions of a month from before this time, ROWS_AT_ONCE at most; how many they were."""
    values = {"before": moment, "rows": ROWS_AT_ONCE}
    with database.transaction() as connection:
        return connection.execute(text(DELETE.format(name=_name(month.first_day))), values).rowcount


@with_retries
def _months(database: Database) -> list[date]:
    with database.transaction() as connection:
        return list(connection.scalars(text(SELECT_MONTHS)))


@with_retries
def _count(database: Database, day: date, moment: datetime) -> int:
    values = {"before": moment, "most": MOST_COUNTED}
    with database.transaction() as connection:
        found: int = connection.scalar(text(COUNT.format(name=_name(day))), values)
    return found


def _name(month: date) -> str:
    return f"predictions_{month:%Y_%m}"


def _next(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def _begin(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
