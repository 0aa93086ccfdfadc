"""Moves logged requests from the spool to Postgres."""

from collections.abc import Iterable
from dataclasses import dataclass

from lockgate.database import predictions
from lockgate.database.connection import Database
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


def drain_all(spools: Iterable[Spool], database: Database) -> Drained:
    """Drain each of these spools."""
    done = [drain(spool, database) for spool in spools]
    return Drained(sum(each.texts for each in done), sum(each.rows for each in done))
