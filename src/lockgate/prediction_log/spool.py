"""The spool: logged requests on this machine's disk until Postgres has them. One SQLite file, used by any processes."""

import os
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from lockgate.errors import IntegrityBroken, LockgateError, StorageFailed, StorageFull
from lockgate.prediction_log.encoding import encoded
from lockgate.prediction_log.record import LoggedRequest
from lockgate.system import service_urls

VARIABLE = "LOCKGATE_SPOOL"
FILE = "predictions.sqlite"
LIMIT_BYTES = 1 << 30
BATCH_BYTES = 2 << 20  # of one batch, which holds at least one record
WAIT_SECONDS = 10.0  # for another process that writes
NUMBER = 0x6C676C67  # marks the file as a spool
FORM = 2  # of the records (`encoding.py`)
EARLIER_FORM = 1  # its records are read by this Lockgate; one that wrote them cannot read those of this form
# AUTOINCREMENT: a number is never given again, so `forget` cannot reach a later record.
TABLE = """
    CREATE TABLE texts (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        at     REAL    NOT NULL,
        crc    INTEGER NOT NULL,
        text   BLOB    NOT NULL
    )
"""
INSERT = "INSERT INTO texts (at, crc, text) VALUES (?, ?, ?)"
SELECT = "SELECT number, crc, text FROM texts ORDER BY number LIMIT ?"
DELETE = "DELETE FROM texts WHERE number BETWEEN ? AND ?"
COUNT_TABLES = "SELECT count(*) FROM sqlite_master"
OLDEST = "SELECT at FROM texts ORDER BY number LIMIT 1"
NEWEST = "SELECT coalesce(max(number), 0) FROM texts"
USED = """
    SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size
"""
EMPTY_BYTES = 4 << 12  # pages of an empty spool
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def folder(here: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of the spool: LOCKGATE_SPOOL, or `.lockgate/spool` of the stack of this folder."""
    named = environment.get(VARIABLE, "").strip()
    return Path(named) if named else service_urls.stack_folder(here) / ".lockgate" / "spool"


def folders(spools: Path) -> list[Path]:
    """The folder itself and those below it that hold a spool; each worker of `lockgate serve` has one."""
    return sorted({spools, *(path.parent for path in spools.rglob(FILE))})


@dataclass(frozen=True)
class Batch:
    """Records of logged requests (`encoding.py`), oldest first, and the numbers of the first and the last one."""

    first: int
    last: int
    records: tuple[bytes, ...]


class Kept(NamedTuple):
    """A record (`encoding.py`), and the time of its request in seconds since 1970."""

    at: float
    record: bytes


class Spool:
    """Logged requests in a folder, at most `limit_bytes` of them. Safe for threads, and for several processes."""

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.path = folder / FILE
        self.limit_bytes = limit_bytes
        self._lock = threading.Lock()
        make_folder(folder)
        with self._refusing():
            self._connection = _opened(self.path)

    def append(self, requests: Sequence[LoggedRequest]) -> None:
        """Keep all these requests, or none of them. They are on disk when this returns.

        Raises StorageFull at the limit or on a full disk, BadData for a request that Postgres could not hold.
        """
        self.append_records([Kept(request.at.timestamp(), each) for request in requests for each in encoded(request)])

    def append_records(self, records: Sequence[Kept]) -> None:
        """As `append`, for records that are made already."""
        rows = [(each.at, zlib.crc32(each.record), each.record) for each in records]
        with self._transaction() as connection:
            connection.executemany(INSERT, rows)
            if self._used(connection) > self.limit_bytes:
                raise self._full()

    def batch(self, count: int) -> Batch | None:
        """The oldest records, at most this many and about BATCH_BYTES; None if the spool is empty.

        Raises IntegrityBroken if a record is not the one that was kept.
        """
        with self._refusing(), self._lock:
            rows = list(_within(BATCH_BYTES, self._connection.execute(SELECT, (count,))))
        for number, crc, record in rows:
            if zlib.crc32(record) != crc:
                raise self._damaged(f"record {number} differs from the one that was kept")
        return Batch(rows[0][0], rows[-1][0], tuple(record for _, _, record in rows)) if rows else None

    def newest(self) -> int:
        """The number of the newest record; 0 if the spool is empty."""
        with self._refusing(), self._lock:
            found: int = self._connection.execute(NEWEST).fetchone()[0]
        return found

    def forget(self, batch: Batch) -> None:
        """Delete a batch that Postgres has."""
        with self._transaction() as connection:
            connection.execute(DELETE, (batch.first, batch.last))

    def size(self) -> int:
        """The bytes that the records take up."""
        with self._refusing(), self._lock:
            return self._used(self._connection)

    def oldest(self) -> datetime | None:
        """The time of the oldest request; None if the spool is empty."""
        with self._refusing(), self._lock:
            found = self._connection.execute(OLDEST).fetchone()
        return datetime.fromtimestamp(found[0], UTC) if found else None

    def close(self) -> None:
        """Close the file."""
        with self._refusing(), self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees the writes of every other process; committed at the end of the block."""
        with self._refusing(), self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _used(self, connection: sqlite3.Connection) -> int:
        used: int = connection.execute(USED).fetchone()[0]
        return max(0, used - EMPTY_BYTES)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Raise a LockgateError in place of an error of SQLite or of the file system."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self._refusal(error) from error

    def _refusal(self, error: sqlite3.Error | OSError) -> LockgateError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of the code is a detail
        if code in DAMAGED:
            return self._damaged(str(error))
        if code == sqlite3.SQLITE_FULL:
            return StorageFull("the disk is full", where=str(self.path), hint="free disk space")
        if code == sqlite3.SQLITE_BUSY:
            message = f"another process has written for more than {WAIT_SECONDS:g} s"
            return StorageFailed(message, where=str(self.path), hint="try again")
        hint = "check the folder's permissions; the spool needs a local disk, no network drive"
        message = f"the spool of the prediction log cannot be used: {error}"
        return StorageFailed(message, where=str(self.path), hint=hint)

    def _full(self) -> StorageFull:
        return StorageFull(
            f"the spool of the prediction log is full: its limit is {self.limit_bytes:,} bytes",
            where=str(self.path),
            hint="make Postgres available, then: lockgate log drain",
        )

    def _damaged(self, what: str) -> IntegrityBroken:
        return IntegrityBroken(
            f"the spool of the prediction log is damaged: {what}",
            where=str(self.path),
            hint=f"move it away; sqlite3 {self.path.name} .recover reads what is left of it",
        )


def make_folder(folder: Path) -> None:
    """Make the folder of a spool, for this user only. Raises StorageFailed."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # what a prediction was asked for may be private
    except OSError as error:
        message = f"the folder of the spool cannot be made: {error.strerror}"
        raise StorageFailed(message, where=str(folder), hint=f"name another one: {VARIABLE}") from error


def _opened(path: Path) -> sqlite3.Connection:
    path.touch(mode=0o600)  # SQLite gives the mode of this file to those beside it
    connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _in_wal_mode(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        _made(connection, path)
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _in_wal_mode(connection: sqlite3.Connection) -> None:
    """Let readers and the writer work side by side. SQLite itself does not wait here for another process."""
    until = monotonic() + WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > until:
                raise
            sleep(0.01)
        else:
            return


def _made(connection: sqlite3.Connection, path: Path) -> None:
    """Make the table in a new file; a spool of the earlier form becomes one of this form.

    Raises IntegrityBroken for a database that is no spool, or of a later Lockgate.
    """
    form, tables = (connection.execute(query).fetchone()[0] for query in ("PRAGMA user_version", COUNT_TABLES))
    number = connection.execute("PRAGMA application_id").fetchone()[0]
    if not tables and not number:
        for statement in (TABLE, f"PRAGMA application_id = {NUMBER}", f"PRAGMA user_version = {FORM}"):
            connection.execute(statement)
    elif (number, form) == (NUMBER, EARLIER_FORM):
        connection.execute(f"PRAGMA user_version = {FORM}")
    elif (number, form) != (NUMBER, FORM):
        raise IntegrityBroken(
            "the file is not a spool that this version of Lockgate can read", where=str(path), hint="move it away"
        )


def _within(limit: int, rows: sqlite3.Cursor) -> Iterator[tuple[int, int, bytes]]:
    """The first rows whose records have this many bytes together, and at least one."""
    size = 0
    with closing(rows):
        for row in rows:
            size += len(row[2])
            if size > limit and size > len(row[2]):
                return
            yield row
