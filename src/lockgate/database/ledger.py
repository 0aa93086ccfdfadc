"""Table ledger, the audit log: one row for each stage change, hash-chained; reading, verifying, exporting."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime

from sqlalchemy import text

from lockgate import digests
from lockgate.database.connection import Database, with_retries
from lockgate.errors import BadData

NOTHING_BEFORE = "0" * 64


@dataclass(frozen=True)
class LedgerRow:
    """One stage change. A move without an intent has the command `out of band`, and the database user as its actor.

    The evidence (verdict, its digests and commit, approval) is that of a move up; a version that makes room has none.
    """

    model: str
    seq: int
    version: int
    from_stage: str
    to_stage: str
    command: str
    actor: str
    reason: str
    db_user: str
    intent_id: int | None
    bundle_digest: str | None
    verdict_id: int | None
    holdout_digest: str | None
    policy_digest: str | None
    code_commit: str | None
    approval_id: int | None
    approved_by: str | None
    at: datetime
    previous_hash: str
    hash: str


COLUMNS = [each.name for each in fields(LedgerRow)]
SELECT_LEDGER = f"""
    SELECT {", ".join(COLUMNS)}
    FROM lockgate.ledger
    WHERE model = coalesce(:model, model) AND at <= coalesce(:at, 'infinity'::timestamptz)
    ORDER BY model, seq
"""  # noqa: S608 - our own names only

SELECT_HEAD = """
    SELECT last.seq AS last_seq, last.hash AS last_hash, head.seq AS head_seq, head.hash AS head_hash
    FROM (SELECT CAST(:model AS text) AS model) AS asked
    LEFT JOIN lockgate.ledger_heads AS head ON head.model = asked.model
    LEFT JOIN LATERAL (
        SELECT seq, hash FROM lockgate.ledger WHERE model = asked.model ORDER BY seq DESC LIMIT 1
    ) AS last ON true
"""

# Who went to Production without what the policy of that day asked for. Nobody can, while the guard is on.
SELECT_UNEARNED = """
    SELECT entry.version, entry.seq
    FROM lockgate.ledger AS entry
    LEFT JOIN lockgate.verdicts AS verdict
        ON verdict.id = entry.verdict_id AND verdict.outcome = 'passed' AND verdict.decided_at <= entry.at
        AND (verdict.model, verdict.version, verdict.bundle_digest) = (entry.model, entry.version, entry.bundle_digest)
    LEFT JOIN lockgate.policies AS policy ON policy.digest = verdict.policy_digest
    WHERE entry.model = :model AND (entry.from_stage, entry.to_stage) = ('Staging', 'Production')
      AND (policy.digest IS NULL OR policy.approval_required AND entry.approval_id IS NULL)
    ORDER BY entry.seq
"""


@with_retries
def read(database: Database, model: str | None, at: datetime | None = None) -> list[LedgerRow]:
    """What happened to the model (to all for None), oldest first; up to a moment with its time zone, if given."""
    with database.transaction() as connection:
        return [LedgerRow(*row) for row in connection.execute(text(SELECT_LEDGER), {"model": model, "at": at})]


@with_retries
def missing_tail(database: Database, model: str) -> list[str]:
    """What is wrong with the end of the ledger: rows after the last one were removed, or the head itself is gone."""
    with database.transaction() as connection:
        row = connection.execute(text(SELECT_HEAD), {"model": model}).one()
    if row.last_seq is None and row.head_seq is None:
        return []
    if row.head_seq is None:
        return [f"{model}: the head of the ledger is missing"]
    if (row.last_seq, row.last_hash) == (row.head_seq, row.head_hash):
        return []
    return [f"{model}: the ledger ends with row {row.last_seq or 0}, its head is row {row.head_seq}: rows were removed"]


@with_retries
def unearned(database: Database, model: str) -> list[str]:
    """The moves to Production without a passed verdict, or without the approval that the policy required."""
    with database.transaction() as connection:
        found = connection.execute(text(SELECT_UNEARNED), {"model": model})
        return [f"version {row.version} came without a passed verdict or an approval (row {row.seq})" for row in found]


def hash_of(row: LedgerRow) -> str:
    """SHA-256 over the row's fields in the order of its columns, each with its length before it: as the database."""
    values = [_as_text(getattr(row, name)) for name in COLUMNS if name != "hash"]
    joined = ",".join("-" if value is None else f"{len(value)}:{value}" for value in values)
    return digests.of_bytes(joined.encode())


def breaks(rows: Sequence[LedgerRow]) -> Iterator[str]:
    """Where one model's rows, oldest first, were changed, removed or put in after they were written."""
    before, expected = NOTHING_BEFORE, 1
    for row in rows:
        if row.seq != expected:
            yield f"{row.model}: row {expected} is missing before row {row.seq}"
        elif row.previous_hash != before:
            yield f"{row.model}: row {row.seq} does not follow row {row.seq - 1}"
        if row.hash != hash_of(row):
            yield f"{row.model}: row {row.seq} (version {row.version} to {row.to_stage}) was changed later"
        before, expected = row.hash, row.seq + 1


def departures(rows: Sequence[LedgerRow], exported: Sequence[LedgerRow]) -> Iterator[str]:
    """Where the rows are not those that were exported earlier: even a chain that was computed anew is found so."""
    now = {(row.model, row.seq): row for row in rows}
    for row in exported:
        found = now.get((row.model, row.seq))
        if found is None:
            yield f"{row.model}: row {row.seq} of the export is gone"
        elif found != row:
            yield f"{row.model}: row {row.seq} is not the one that was exported"


def as_json_line(row: LedgerRow) -> str:
    """One row as a line of JSON, in which the time is UTC with microseconds."""
    return json.dumps(asdict(row) | {"at": _as_text(row.at)}, ensure_ascii=False)


def from_json_lines(lines: Iterable[str]) -> list[LedgerRow]:
    """The rows of an export. Raises BadData, with the line, for what is none."""
    return [_row(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _row(number: int, line: str) -> LedgerRow:
    try:
        values = json.loads(line)
        return LedgerRow(**values | {"at": datetime.fromisoformat(values["at"])})
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(
            "this is no line of a ledger's export", where=f"line {number}", hint="make one with: lockgate ledger export"
        ) from error


def _as_text(value: object) -> str | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return None if value is None else str(value)
