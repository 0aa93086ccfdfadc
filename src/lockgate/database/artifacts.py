"""MLflow's artifacts in schema lockgate_artifacts: files of the same content share a blob, named by its SHA-256.

Every function is one transaction of its own, and needs no more rights than MLflow's role has.
"""

import hashlib
import io
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text

from lockgate.database.connection import Database
from lockgate.errors import IntegrityBroken

CHUNK_BYTES = 1 << 20  # what memory holds of a file at a time; more is not faster
TRANSFER_SECONDS = 1800.0  # for the largest file; each statement has the database's own time limit
SHORT_SECONDS = 60.0

# The binary format of COPY takes half the time of INSERT, which spells bytes out in hexadecimal digits.
COPY_CHUNK = "COPY lockgate_artifacts.chunks (digest, number, bytes) FROM STDIN (FORMAT binary)"
COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8) + struct.pack("!h", 3)
COPY_TAIL = struct.pack("!h", -1)

CLAIM = "SELECT lockgate_artifacts.claim(:digest, :size)"
KEEP = "SELECT lockgate_artifacts.keep(:path, :digest)"
REMOVE = "SELECT lockgate_artifacts.remove(:path)"
IS_MADE = "SELECT to_regclass('lockgate_artifacts.files') IS NOT NULL"
ANY_FILE = "SELECT EXISTS (SELECT FROM lockgate_artifacts.files)"
FIND_BLOB = """
    SELECT file.digest, blob.size
    FROM lockgate_artifacts.files AS file
    JOIN lockgate_artifacts.blobs AS blob USING (digest)
    WHERE file.path = :path
"""
CHUNKS = "SELECT bytes FROM lockgate_artifacts.chunks WHERE digest = :digest ORDER BY number"
IN_FOLDER = """
    SELECT split_part(rest, '/', 1) AS name, bool_or(strpos(rest, '/') > 0) AS is_folder, max(size) AS size
    FROM (
        SELECT substr(path, length(:prefix) + 1) AS rest, size
        FROM lockgate_artifacts.files
        JOIN lockgate_artifacts.blobs USING (digest)
        WHERE :folder = '' OR path > :folder || '/' AND path < :folder || '0'
    ) AS inside
    GROUP BY name
    ORDER BY name
"""


@dataclass(frozen=True)
class Blob:
    """What a file holds."""

    digest: str
    size: int


@dataclass(frozen=True)
class Entry:
    """A file in a folder, or a folder, which has no size."""

    name: str
    size: int | None


def log(database: Database, path: str, source: Path) -> None:
    """Keep a file under this path, all of it or nothing; content that is there already is not sent again.

    Raises StateConflict where other content may not take its place, or the path runs into another file.
    """
    blob = _blob_of(source)
    with database.transfer(TRANSFER_SECONDS) as connection:
        if connection.scalar(text(CLAIM), {"digest": blob.digest, "size": blob.size}):
            _send(connection, blob, source)
        else:
            _verify(connection, blob)  # what was damaged since is not handed to one more file
        connection.execute(text(KEEP), {"path": path, "digest": blob.digest})


def fetch(database: Database, path: str, target: Path) -> bool:
    """Write a file to `target`, whole and verified or not at all; whether there is such a file.

    Raises IntegrityBroken if its bytes are not those that were logged.
    """
    with database.transfer(TRANSFER_SECONDS) as connection:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))  # it may be removed meanwhile
        row = connection.execute(text(FIND_BLOB), {"path": path}).one_or_none()
        if row is not None:
            _receive(connection, Blob(*row), target)
    return row is not None


def entries(database: Database, folder: str) -> list[Entry]:
    """What lies directly in a folder, by name; nothing in one that is not there. The root is ''."""
    values = {"folder": folder, "prefix": f"{folder}/" if folder else ""}
    with database.transfer(SHORT_SECONDS) as connection:
        rows = connection.execute(text(IN_FOLDER), values).all()
    return [Entry(row.name, None if row.is_folder else row.size) for row in rows]


def remove(database: Database, path: str) -> int:
    """Remove a file, or a folder with all in it, and the blobs that nothing names any more; how many files went.

    Raises StateConflict if they belong to a version in the registry.
    """
    with database.transfer(TRANSFER_SECONDS) as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))  # many gigabytes may go at once
        return int(connection.scalar(text(REMOVE), {"path": path}) or 0)


def any_file(database: Database) -> bool:
    """Whether the database keeps any artifact; one that was never migrated keeps none."""
    with database.transfer(SHORT_SECONDS) as connection:
        return bool(connection.scalar(text(IS_MADE)) and connection.scalar(text(ANY_FILE)))


def _blob_of(source: Path) -> Blob:
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks_of(source):
        digest.update(chunk)
        size += len(chunk)
    return Blob(digest.hexdigest(), size)


def _chunks_of(source: Path) -> Iterator[bytes]:
    with source.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _send(connection: Connection, blob: Blob, source: Path) -> None:
    sent = hashlib.sha256()
    with closing(connection.connection.cursor()) as cursor:
        for number, chunk in enumerate(_chunks_of(source)):
            sent.update(chunk)
            cursor.copy_expert(COPY_CHUNK, io.BytesIO(_row(blob.digest, number, chunk)), CHUNK_BYTES)
    if sent.hexdigest() != blob.digest:
        raise IntegrityBroken("the file changed while it was being logged", where=source.name, hint="log it again")


def _row(digest: str, number: int, chunk: bytes) -> bytes:
    """One chunk as COPY reads it: each field after its length."""
    fields = (digest.encode(), struct.pack("!i", number), chunk)
    return COPY_HEAD + b"".join(struct.pack("!i", len(field)) + field for field in fields) + COPY_TAIL


def _receive(connection: Connection, blob: Blob, target: Path) -> None:
    try:
        with target.open("wb") as file:
            for chunk in _verified(connection, blob):
                file.write(chunk)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _verify(connection: Connection, blob: Blob) -> None:
    for _ in _verified(connection, blob):
        pass


def _verified(connection: Connection, blob: Blob) -> Iterator[bytes]:
    """The chunks in their order, one in memory at a time; IntegrityBroken after the last if they are not the blob."""
    digest, size = hashlib.sha256(), 0
    streamed = connection.execution_options(stream_results=True, max_row_buffer=1)
    for (chunk,) in streamed.execute(text(CHUNKS), {"digest": blob.digest}):
        digest.update(chunk)
        size += len(chunk)
        yield chunk
    if Blob(digest.hexdigest(), size) != blob:
        raise IntegrityBroken(
            f"sha256 differs: logged as {blob.digest} with {blob.size} bytes, the database holds {digest.hexdigest()}"
            f" with {size}",
            where="lockgate_artifacts.chunks",
            hint="restore the artifact from a backup",
        )
