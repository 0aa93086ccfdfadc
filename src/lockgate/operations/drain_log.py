"""Moves logged requests from the spool to Postgres."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lockgate.database import predictions
from lockgate.database.connection import Database
from lockgate.errors import IntegrityBroken, LockgateError, StorageFailed
from lockgate.prediction_log.spool import Spool

TEXTS = 2_000  # of one transaction


@dataclass(frozen=True)
class Drained:
    """How many texts left the spool, and how many rows were new to Postgres."""

    texts: int
    rows: int


def drain(spool: Spool, database: Database) -> Drained:
    """Move all that is in the spool; each batch leaves the spool after its commit in Postgres.

    If Postgres is not available (Unavailable), the rest stays in the spool. An interrupted drain may be repeated: what
    Postgres has, it takes no second time.
    """
    texts = rows = 0
    while batch := spool.batch(TEXTS):
        rows += predictions.insert_texts(database, batch.texts)
        spool.forget(batch)
        texts += len(batch.texts)
    return Drained(texts, rows)


def drain_all(folders: Iterable[Path], database: Database) -> Drained:
    """Drain the spools in these folders. A spool that cannot be read is raised after all others are drained."""
    texts = rows = 0
    unread: list[LockgateError] = []
    for folder in folders:
        try:
            done = drain(Spool(folder), database)
        except (IntegrityBroken, StorageFailed) as refusal:
            unread.append(refusal)
        else:
            texts, rows = texts + done.texts, rows + done.rows
    if unread:
        raise unread[0]
    return Drained(texts, rows)
