"""Table request_counts: how many requests the servers of a model answered in each minute, by HTTP status."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from lockgate.database.connection import Database, with_retries


@dataclass(frozen=True)
class Count:
    """The requests of one minute that were answered with a status."""

    minute: datetime
    status: int
    requests: int


ADD = """
    INSERT INTO lockgate.request_counts (model, minute, status, requests)
    VALUES (:model, :minute, :status, :requests)
    ON CONFLICT (model, minute, status) DO UPDATE SET requests = request_counts.requests + EXCLUDED.requests
"""
SELECT = """
    SELECT minute, status, requests FROM lockgate.request_counts
    WHERE model = :model AND minute >= :since ORDER BY minute, status
"""
DELETE = "DELETE FROM lockgate.request_counts WHERE minute < :moment"


@with_retries
def add(database: Database, model: str, counts: Mapping[tuple[datetime, int], int]) -> None:
    """Add the requests of a server, by minute and status."""
    rows = [
        {"model": model, "minute": minute, "status": status, "requests": requests}
        for (minute, status), requests in sorted(counts.items())  # in one order, so that two servers do not deadlock
    ]
    if rows:
        with database.transaction() as connection:
            connection.execute(text(ADD), rows)


@with_retries
def since(database: Database, model: str, moment: datetime) -> list[Count]:
    """The counts of all minutes from a moment on, the oldest first."""
    with database.transaction() as connection:
        return [Count(*row) for row in connection.execute(text(SELECT), {"model": model, "since": moment})]


@with_retries
def delete_before(database: Database, moment: datetime) -> None:
    """Delete the counts of all models before a moment."""
    with database.transaction() as connection:
        connection.execute(text(DELETE), {"moment": moment})
