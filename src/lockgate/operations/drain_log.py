"""Moves logged requests from the spool to Postgres."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lockgate.database import predictions
from lockgate.database.connection import Database
from lockgate.errors import IntegrityBroken, LockgateError, StorageFailed
from lockgate.prediction_log.spool import Spool

RECORDS = 2_000  # of one transaction


@dataclass(frozen=True)
class Drained:
    """How many records left the spool, and how many rows were new to Postgres."""

    records: int
    rows: int


def drain(spool: Spool, database: Database) -> Drained:
    """Move all that is in the spool now; each batch leaves the spool after its commit in Postgres.

    If Postgres is not available (Unavailable), the rest stays in the spool. An interrupted drain may be repeated: what
    Postgres has, it takes no second time.
    """
    records, rows, newest = 0, 0, spool.newest()
    while (batch := spool.batch(RECORDS)) and batch.first <= newest:
        rows += predictions.insert_records(database, batch.records)
        spool.forget(batch)
        records += len(batch.records)
    return Drained(records, rows)


def drain_all(folders: Iterable[Path], database: Database) -> Drained:
    """Drain the spools in these folders. A spool that cannot be read is raised after all others are drained."""
    records = rows = 0
    unread: list[LockgateError] = []
    for folder in folders:
        try:
            done = drain(Spool(folder), database)
        except (IntegrityBroken, StorageFailed) as refusal:
            unread.append(refusal)
        else:
            records, rows = records + done.records, rows + done.rows
    if unread:
        raise unread[0]
    return Drained(records, rows)
