"""The lock of a model: one command at a time moves the versions of a model."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from lockgate.database.connection import GRACE_SECONDS, Database, cut_off_after, milliseconds
from lockgate.database.error_messages import translated
from lockgate.errors import StateConflict

LOCK_NOT_AVAILABLE = "55P03"
LOCK_KEY = "hashtextextended('lockgate.model:' || :model, 0)"

HOLDER_OF_LOCK = f"""
    SELECT coalesce(nullif(activity.application_name, ''), 'a session of ' || activity.usename, 'a session') AS name,
           extract(epoch FROM clock_timestamp()
                   - coalesce(activity.xact_start, activity.backend_start, clock_timestamp())) AS seconds
    FROM pg_locks AS held
    JOIN pg_stat_activity AS activity USING (pid)
    WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 1
      AND (held.classid::bigint << 32 | held.objid::bigint) = {LOCK_KEY}
"""  # noqa: S608 - no value is put into the text


@contextmanager
def model_lock(database: Database, model: str, wait: float) -> Iterator[int]:
    """Lock the model for the block; gives the process id of the database session that has the lock.

    Raises StateConflict, naming the session that has it, after `wait` seconds. The lock belongs to an open transaction,
    so that it also holds behind a pooler that shares sessions. A session that died in the block has released the lock.
    """
    connection = database.repeat(lambda: _locked(database, model, wait))
    try:
        with translated(database.address, database.timeout):
            holder = int(connection.scalar(text("SELECT pg_backend_pid()")) or 0)
        yield holder
    finally:
        with suppress(DBAPIError):
            connection.close()


def _locked(database: Database, model: str, wait: float) -> Connection:
    """A connection whose open transaction has the lock."""
    with translated(database.address, database.timeout):
        connection = database.connect()
        try:
            if _wait_for_lock(connection, model, wait):
                return connection
            raise StateConflict(
                f"{model} is locked by {_holder(database, model)}", where=database.address, hint="wait for it to end"
            )
        except BaseException:
            with suppress(DBAPIError):
                connection.close()
            raise


def _wait_for_lock(connection: Connection, model: str, wait: float) -> bool:
    with cut_off_after(wait + 2 * GRACE_SECONDS, connection):
        connection.execute(text(f"SET LOCAL lock_timeout = {milliseconds(wait)}"))
        connection.execute(text(f"SET LOCAL statement_timeout = {milliseconds(wait) + 1000}"))
        try:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK_KEY})"), {"model": model})
        except DBAPIError as error:
            if getattr(error.orig, "pgcode", None) == LOCK_NOT_AVAILABLE:
                return False
            raise
    return True


def _holder(database: Database, model: str) -> str:
    with database.unchecked_transaction() as connection:
        row = connection.execute(text(HOLDER_OF_LOCK), {"model": model}).one_or_none()
    return f"{row.name}, for {row.seconds:.0f} s" if row else "a command that has just ended"
