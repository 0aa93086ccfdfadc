"""Notifications of Postgres (LISTEN): what triggers tell, as soon as their transaction is committed."""

import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2

from lockgate.database.connection import Database
from lockgate.database.error_messages import translated
from lockgate.errors import Unavailable

STAGES = "lockgate_stages"  # every stage change
SHARES = "lockgate_serving"  # every change of a canary's share


class Listener:
    """A connection that hears notifications."""

    def __init__(self, connection: Any, address: str) -> None:
        self._connection = connection
        self._address = address

    def fileno(self) -> int:
        """The socket, for `select`."""
        number: int = self._connection.fileno()
        return number

    def wait(self, seconds: float, wakes: Sequence[Any] = ()) -> bool:
        """Wait for a notification, or until one of `wakes` can be read; whether a notification came.

        Raises Unavailable if the connection is lost.
        """
        ready, _, _ = select.select([self._connection, *wakes], [], [], seconds)
        if self._connection not in ready:
            return False
        try:
            self._connection.poll()
        except psycopg2.Error as error:
            raise Unavailable("the connection to Postgres was lost", where=self._address, hint="try again") from error
        found = bool(self._connection.notifies)
        self._connection.notifies.clear()
        return found


@contextmanager
def listening(database: Database, channels: Sequence[str]) -> Iterator[Listener]:
    """Hear these channels within the block. Raises Unavailable without Postgres."""
    with translated(database.address, database.timeout), database.connect() as connection:
        own: Any = connection.connection.dbapi_connection
        own.set_session(autocommit=True)
        with own.cursor() as cursor:
            for channel in channels:
                cursor.execute(f"LISTEN {channel}")
        yield Listener(own, database.address)
