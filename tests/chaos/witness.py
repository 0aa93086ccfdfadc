"""The witness: Postgres's own write-ahead log, decoded into transactions in the order in which they were committed.

It misses nothing, it is not asked by the code under test, and it tells what stood at every committed moment. Decoded
is the message format of the output plugin `pgoutput`, protocol version 1.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

SLOT = PUBLICATION = "chaos"
WATCHED = (
    "public.model_versions", "public.model_version_tags", "public.registered_model_aliases", "lockgate.versions",
    "lockgate.verdicts", "lockgate.policies", "lockgate.policy_changes", "lockgate.approvals", "lockgate.ledger",
)  # fmt: skip
POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
NEXT_CHANGES = f"""
    SELECT lsn - '0/0'::pg_lsn, data
    FROM pg_logical_slot_get_binary_changes(
        '{SLOT}', NULL, NULL, 'proto_version', '1', 'publication_names', '{PUBLICATION}')
"""

Row = Mapping[str, str | None]


@dataclass(frozen=True)
class Change:
    """One row that was written; `kind` is insert, update, delete or truncate, and of a deleted row only its key."""

    table: str
    kind: str
    row: Row


@dataclass(frozen=True)
class Commit:
    """A transaction as the log has it; commits come in the order in which they took effect."""

    lsn: int
    at: datetime
    changes: tuple[Change, ...]


class Witness:
    """All commits to the watched tables since it was called in."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []

    def call_in(self, connection: Any) -> None:
        """Begin to listen. The server must have been started with `wal_level = logical`."""
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE PUBLICATION {PUBLICATION} FOR TABLE {', '.join(WATCHED)}")
            cursor.execute(f"SELECT pg_create_logical_replication_slot('{SLOT}', 'pgoutput')")

    def hear(self, connection: Any) -> list[Commit]:
        """What was committed since the last time. After a crash the log may repeat itself; it is heard once."""
        with connection.cursor() as cursor:
            cursor.execute(NEXT_CHANGES)
            messages = [bytes(data) for _, data in cursor]
        last = self.commits[-1].lsn if self.commits else 0
        new = [commit for commit in decoded(messages) if commit.lsn > last]
        self.commits += new
        return new


def decoded(messages: list[bytes]) -> Iterator[Commit]:
    """The transactions in a series of pgoutput messages."""
    relations: dict[int, tuple[str, list[str]]] = {}
    lsn, at, changes = 0, POSTGRES_EPOCH, list[Change]()
    for message in messages:
        kind, rest = message[:1], Reader(message[1:])
        if kind == b"B":
            lsn, microseconds = rest.numbers("qq")
            at, changes = POSTGRES_EPOCH + timedelta(microseconds=microseconds), []
        elif kind == b"C":
            yield Commit(lsn, at, tuple(changes))
        elif kind == b"R":
            [number] = rest.numbers("I")
            relations[number] = rest.relation()
        elif kind == b"T":
            count, _ = rest.numbers("IB")
            changes += [Change(relations[number][0], "truncate", {}) for number in rest.numbers("I" * count)]
        elif kind in KINDS:
            [number] = rest.numbers("I")
            table, columns = relations[number]
            changes.append(Change(table, KINDS[kind], rest.last_row(columns)))


KINDS = {b"I": "insert", b"U": "update", b"D": "delete"}


@dataclass
class Reader:
    """Reads a message from its beginning to its end."""

    rest: bytes

    def numbers(self, form: str) -> tuple[int, ...]:
        size = struct.calcsize(f">{form}")
        taken, self.rest = self.rest[:size], self.rest[size:]
        return struct.unpack(f">{form}", taken)

    def text(self) -> str:
        taken, _, self.rest = self.rest.partition(b"\0")
        return taken.decode()

    def relation(self) -> tuple[str, list[str]]:
        """A table's full name and its columns."""
        name = f"{self.text()}.{self.text()}"
        _, count = self.numbers("BH")
        columns = []
        for _ in range(count):
            self.numbers("B")
            columns.append(self.text())
            self.numbers("Ii")
        return name, columns

    def last_row(self, columns: list[str]) -> Row:
        """The row after an update, whose message may hold the old key before it."""
        row: Row = {}
        while self.rest:
            self.numbers("B")  # N for a new row, K and O for an old one
            [count] = self.numbers("H")
            row = dict(zip(columns, [self._value() for _ in range(count)], strict=True))
        return row

    def _value(self) -> str | None:
        [kind] = self.numbers("c")  # type: ignore[misc]
        if kind != b"t":
            return None
        [size] = self.numbers("I")
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken.decode()
