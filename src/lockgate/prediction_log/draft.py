"""The records of a batch that is not complete: they reach the spool when the whole batch is, and none before."""

import sqlite3
from collections.abc import Iterator

from lockgate.errors import StorageFailed
from lockgate.prediction_log.encoding import encoded
from lockgate.prediction_log.record import LoggedRequest
from lockgate.prediction_log.spool import Kept

TABLE = "CREATE TABLE records (at REAL, record BLOB)"
INSERT = "INSERT INTO records VALUES (?, ?)"
SELECT = "SELECT at, record FROM records ORDER BY rowid"


class Draft:
    """Records in a file without a name, which the system deletes with the process."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("")  # SQLite's temporary database: in memory while small, then on disk
        self._connection.execute(TABLE)

    def add(self, request: LoggedRequest) -> None:
        """Note a request. Raises StorageFailed on a full disk, BadData for a request that Postgres could not hold."""
        rows = [(request.at.timestamp(), record) for record in encoded(request)]
        try:
            with self._connection:
                self._connection.executemany(INSERT, rows)
        except sqlite3.Error as error:
            raise StorageFailed(
                f"the log of this batch cannot be noted: {error}", hint="free disk space for temporary files (TMPDIR)"
            ) from error

    def records(self) -> Iterator[Kept]:
        """The records in their order."""
        return (Kept(*row) for row in self._connection.execute(SELECT))

    def close(self) -> None:
        """Forget everything."""
        self._connection.close()
