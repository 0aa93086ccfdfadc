"""A file of records on their way to the spool: a worker writes it, and the process with the spool reads it.

Each record stands after its time, its CRC-32 and its length.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lockgate.errors import IntegrityBroken
from lockgate.prediction_log.encoding import encoded
from lockgate.prediction_log.record import LoggedRequest
from lockgate.prediction_log.spool import Kept

HEAD = struct.Struct("<dIQ")
LONGEST = 1 << 31  # bytes; a longer record is damage


@dataclass
class RecordWriter:
    """Writes records into an open file."""

    file: BinaryIO

    def add(self, requests: Iterable[LoggedRequest]) -> None:
        """Write requests. Raises BadData for one that Postgres could not hold."""
        for request in requests:
            for record in encoded(request):
                self.file.write(HEAD.pack(request.at.timestamp(), zlib.crc32(record), len(record)))
                self.file.write(record)


@contextmanager
def into(path: Path) -> Iterator[RecordWriter]:
    """Write records into a new file."""
    with path.open("wb") as file:
        yield RecordWriter(file)


def records(path: Path) -> Iterator[Kept]:
    """The records of a file in their order, one in memory. Raises IntegrityBroken for a damaged file."""
    with path.open("rb") as file:
        while head := file.read(HEAD.size):
            yield _record(head, file, path)


def _record(head: bytes, file: BinaryIO, path: Path) -> Kept:
    at, crc, length = HEAD.unpack(head) if len(head) == HEAD.size else (0.0, 0, LONGEST + 1)
    record = file.read(length) if length <= LONGEST else b""
    if len(record) != length or zlib.crc32(record) != crc:
        raise IntegrityBroken("the records of the prediction log are damaged", where=str(path), hint="try again")
    return Kept(at, record)
