"""How far a replica of Postgres is behind: what is read there may be older than what the primary has."""

from dataclasses import dataclass

from sqlalchemy import text

from lockgate.database.connection import Database, with_retries

STANDING = """
    SELECT pg_is_in_recovery() AS is_replica,
           EXISTS (SELECT FROM pg_stat_wal_receiver) AS receives,
           coalesce(pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn(), false) AS caught_up,
           extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::double precision AS age
"""


@dataclass(frozen=True)
class Standing:
    """Whether it is a replica, receives from its primary, and has replayed what it received.

    `age`: seconds since the commit of the newest transaction that it has replayed; None for none since its start.
    """

    is_replica: bool
    receives: bool
    caught_up: bool
    age: float | None

    def __str__(self) -> str:
        if not self.is_replica:
            return "which is no replica"
        link = "receives from its primary" if self.receives else "has NO connection to its primary"
        rest = "has replayed all that it received" if self.caught_up else "has not replayed all that it received"
        if self.age is None:
            return f"which {link} and {rest}; no transaction since its start"
        age = f"the newest transaction is {self.age:.0f} s old"
        return f"which {link} and {rest}; {age}"


@with_retries
def standing(database: Database) -> Standing:
    """The standing of the server now."""
    with database.transaction() as connection:
        return Standing(*connection.execute(text(STANDING)).one())
