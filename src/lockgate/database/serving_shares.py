"""Table serving_shares: the share of requests that the version in a stage answers as a canary."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from lockgate.database.connection import Database, with_retries


@dataclass(frozen=True)
class Share:
    """A share in percent: who set it, when, and why."""

    stage: str
    share: int
    actor: str
    reason: str
    at: datetime


INSERT = """
    INSERT INTO lockgate.serving_shares (model, stage, share, actor, reason)
    VALUES (:model, :stage, :share, :actor, :reason)
    RETURNING stage, share, actor, reason, at
"""
SELECT = "SELECT stage, share, actor, reason, at FROM lockgate.serving_shares WHERE model = :model ORDER BY id"


@with_retries
def set_share(database: Database, model: str, stage: str, share: int, said: tuple[str, str]) -> Share:
    """Put a share in force; `said` are the actor and the reason."""
    values = {"model": model, "stage": stage, "share": share, "actor": said[0], "reason": said[1]}
    with database.transaction() as connection:
        return Share(*connection.execute(text(INSERT), values).one())


@with_retries
def shares(database: Database, model: str) -> list[Share]:
    """Every share that was set, oldest first; the last one of a stage is in force."""
    with database.transaction() as connection:
        return [Share(*row) for row in connection.execute(text(SELECT), {"model": model})]
