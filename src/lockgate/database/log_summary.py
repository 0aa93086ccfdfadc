"""Counts over the prediction log: how many forecasts each version gave in the last days."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from lockgate.database.connection import Database, with_retries

SELECT = """
    SELECT role, version, count(*), count(*) FILTER (WHERE degraded), max(at)
    FROM lockgate.predictions
    WHERE model = :model AND at >= clock_timestamp() - make_interval(days => :days)
    GROUP BY role, version
    ORDER BY max(at) DESC
"""


@dataclass(frozen=True)
class LogCount:
    """The rows that a version forecast in a role, how many of them in degraded mode, and the time of the newest."""

    role: str
    version: int
    rows: int
    degraded: int
    newest: datetime


@with_retries
def since(database: Database, model: str, days: int) -> list[LogCount]:
    """The counts of the last days, the most recent first."""
    with database.transaction() as connection:
        return [LogCount(*row) for row in connection.execute(text(SELECT), {"model": model, "days": days})]
