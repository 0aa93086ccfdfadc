"""The artifact store in Postgres: files of the same content share a blob, named by its SHA-256.

Every function is one transaction of its own, and needs no more rights than MLflow's role has.
"""

import hashlib
import io
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Self

from sqlalchemy import Connection, text

from lockgate.database.connection import Database
from lockgate.errors import IntegrityBroken

CHUNK_BYTES = 8_000  # a row with a chunk fills one page: larger ones go through TOAST, which takes three times as long
BLOCK_BYTES = 128 * CHUNK_BYTES  # memory holds one block of a file at a time
SPOOL_BYTES = 2 << 20  # a larger upload waits on disk for its digest
TRANSFER_SECONDS = 1800.0  # for the largest file; each statement has the database's own time limit
SHORT_SECONDS = 60.0

# COPY in its binary format takes a fraction of the time of INSERT and SELECT, which spell bytes in hexadecimal digits.
COPY_IN = "COPY lockgate_artifacts.chunks (digest, number, bytes) FROM STDIN (FORMAT binary)"
COPY_OUT = """
    COPY (SELECT bytes FROM lockgate_artifacts.chunks WHERE digest = %s ORDER BY number) TO STDOUT (FORMAT binary)
"""
COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TAIL = struct.pack("!h", -1)
FIELD = struct.Struct("!i")  # the length before each field
ROW_OF_ONE = struct.Struct("!hi")  # a row that has one field, and the length of the field

CLAIM = "SELECT lockgate_artifacts.claim(:digest, :size)"
KEEP = "SELECT lockgate_artifacts.keep(:path, :digest)"
REMOVE = "SELECT lockgate_artifacts.remove(:path)"
IS_MADE = "SELECT to_regclass('lockgate_artifacts.files') IS NOT NULL"
ANY_FILE = "SELECT EXISTS (SELECT FROM lockgate_artifacts.files)"
FIND_BLOB = """
    SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; -- the file may be removed before its chunks are read
    SELECT file.digest, blob.size, chunk.bytes AS only_chunk
    FROM lockgate_artifacts.files AS file
    JOIN lockgate_artifacts.blobs AS blob USING (digest)
    LEFT JOIN lockgate_artifacts.chunks AS chunk
        ON chunk.digest = file.digest AND chunk.number = 0 AND blob.size <= :chunk_bytes
    WHERE file.path = :path
"""
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


class Upload:
    """Content on its way into the database: hashed while it arrives, on disk if it is large."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=SPOOL_BYTES, prefix="lockgate-")  # noqa: SIM115 - closed by __exit__
        self._digest = hashlib.sha256()
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, content: bytes) -> None:
        """Add to the content."""
        self._digest.update(content)
        self._size += len(content)
        self._file.write(content)

    @property
    def blob(self) -> Blob:
        """Digest and size of the content so far."""
        return Blob(self._digest.hexdigest(), self._size)

    def blocks(self) -> Iterator[bytes]:
        """The whole content, block by block."""
        self._file.seek(0)
        while block := self._file.read(BLOCK_BYTES):
            yield block


def log(database: Database, path: str, source: Path) -> None:
    """Keep a local file under this path, as `log_upload` does."""
    with Upload() as upload, source.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            upload.write(block)
        log_upload(database, path, upload)


def log_upload(database: Database, path: str, upload: Upload) -> None:
    """Keep some content under this path, all of it or nothing; content that is there already is not sent again.

    Raises StateConflict where other content may not take its place, or the path runs into another file.
    """
    blob = upload.blob
    with database.unchecked_transaction(TRANSFER_SECONDS) as connection:
        if connection.scalar(text(CLAIM), {"digest": blob.digest, "size": blob.size}):
            _send(connection, blob.digest, upload)
        else:
            _receive(connection, blob, lambda _: None)  # content that was damaged since is not given to one more file
        connection.execute(text(KEEP), {"path": path, "digest": blob.digest})


def fetch(database: Database, path: str, target: Path) -> bool:
    """Write a file to `target`, whole and verified or not at all; whether there is such a file.

    Raises IntegrityBroken if its bytes are not those that were logged.
    """
    with database.unchecked_transaction(TRANSFER_SECONDS) as connection:
        row = connection.execute(text(FIND_BLOB), {"path": path, "chunk_bytes": CHUNK_BYTES}).one_or_none()
        if row is not None:
            _receive_file(connection, Blob(row.digest, row.size), row.only_chunk, target)
    return row is not None


def entries(database: Database, folder: str) -> list[Entry]:
    """What lies directly in a folder, by name; nothing in one that is not there. The root is ''."""
    values = {"folder": folder, "prefix": f"{folder}/" if folder else ""}
    with database.unchecked_transaction(SHORT_SECONDS) as connection:
        rows = connection.execute(text(IN_FOLDER), values).all()
    return [Entry(row.name, None if row.is_folder else row.size) for row in rows]


def remove(database: Database, path: str) -> int:
    """Remove a file, or a folder with all in it, and the blobs that nothing names any more; how many files went.

    Raises StateConflict if they belong to a version in the registry.
    """
    with database.unchecked_transaction(TRANSFER_SECONDS) as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))  # many gigabytes may go at once
        return int(connection.scalar(text(REMOVE), {"path": path}) or 0)


def any_file(database: Database) -> bool:
    """Whether the database keeps any artifact; one that was never migrated keeps none."""
    with database.unchecked_transaction(SHORT_SECONDS) as connection:
        return bool(connection.scalar(text(IS_MADE)) and connection.scalar(text(ANY_FILE)))


def _send(connection: Connection, digest: str, upload: Upload) -> None:
    with closing(connection.connection.cursor()) as cursor:
        for number, block in enumerate(upload.blocks()):
            rows = io.BytesIO(_rows(digest, number * BLOCK_BYTES // CHUNK_BYTES, block))
            cursor.copy_expert(COPY_IN, rows, BLOCK_BYTES)


def _rows(digest: str, first: int, block: bytes) -> bytes:
    """The chunks of a block as COPY reads them, numbered from `first`: each field after its length."""
    before = struct.pack("!hi", 3, len(digest)) + digest.encode() + FIELD.pack(4)
    parts = [COPY_HEAD]
    for number, start in enumerate(range(0, len(block), CHUNK_BYTES), first):
        chunk = block[start : start + CHUNK_BYTES]
        parts += (before, FIELD.pack(number), FIELD.pack(len(chunk)), chunk)
    return b"".join((*parts, COPY_TAIL))


def _receive_file(connection: Connection, blob: Blob, only_chunk: memoryview | None, target: Path) -> None:
    try:
        with target.open("wb") as file:
            if only_chunk is None:
                _receive(connection, blob, file.write)
            else:
                file.write(only_chunk)
                _require(Blob(hashlib.sha256(only_chunk).hexdigest(), len(only_chunk)), blob)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _receive(connection: Connection, blob: Blob, write: Callable[[memoryview], object]) -> None:
    """Hand on the chunks in their order; raises IntegrityBroken after the last if they are not the blob."""
    chunks = _Chunks(write)
    with closing(connection.connection.cursor()) as cursor:
        try:
            cursor.copy_expert(cursor.mogrify(COPY_OUT, (blob.digest,)).decode(), chunks)
        except OSError:  # of the target: the rest of the answer is still on the line
            connection.invalidate()
            raise
    _require(chunks.blob, blob)


def _require(found: Blob, logged: Blob) -> None:
    if found != logged:
        raise IntegrityBroken(
            f"sha256 differs: logged as {logged.digest} with {logged.size} bytes, the database holds {found.digest}"
            f" with {found.size}",
            where="lockgate_artifacts.chunks",
            hint="restore the artifact from a backup",
        )


class _Chunks:
    """What COPY writes to: takes the chunk out of each row, hashes it and hands it on."""

    def __init__(self, write: Callable[[memoryview], object]) -> None:
        self._write = write
        self._digest = hashlib.sha256()
        self._size = 0

    @property
    def blob(self) -> Blob:
        return Blob(self._digest.hexdigest(), self._size)

    def write(self, message: bytes) -> None:
        """Take a message of the server: a row, after the head in the first one, or the tail."""
        row = memoryview(message).cast("B")[len(COPY_HEAD) if message.startswith(COPY_HEAD) else 0 :]
        if not row or row == COPY_TAIL:
            return
        fields, size = ROW_OF_ONE.unpack_from(row)
        if (fields, size) != (1, len(row) - ROW_OF_ONE.size):
            raise IntegrityBroken("the database sent a row of an unknown form", where="lockgate_artifacts.chunks")
        chunk = row[ROW_OF_ONE.size :]
        self._digest.update(chunk)
        self._size += len(chunk)
        self._write(chunk)
