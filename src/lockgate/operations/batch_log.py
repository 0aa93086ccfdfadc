"""The prediction log of a batch: its rows go to the spool, and from there to Postgres while it is available."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from lockgate.database.connection import Database
from lockgate.errors import StateConflict, Unavailable
from lockgate.operations import drain_log, leftover_predictions
from lockgate.operations.answering_version import DATABASE_SECONDS, REACH_SECONDS, AnsweringVersion
from lockgate.operations.workspace import Workspace
from lockgate.prediction_log.batch import BatchRequests
from lockgate.prediction_log.draft import Draft
from lockgate.prediction_log.record import Role
from lockgate.prediction_log.spool import Kept, Spool

MOST_WAITING = 64 << 20  # bytes in the spool, before it is drained
COMMIT_BYTES = 4 << 20  # of records in one commit: each commit waits for the disk


@dataclass(frozen=True)
class Logged:
    """The rows that are on disk, and why they wait in the spool; "" if Postgres has them."""

    rows: int
    waits: str


@dataclass
class BatchLog:
    """Logs the rows of one batch: `add` notes them, and `keep` puts them on disk together, after the last one."""

    requests: BatchRequests
    spool: Spool
    database: Database
    rows: int = 0
    waits: str = field(default="")
    _draft: Draft = field(default_factory=Draft)

    @classmethod
    def into(cls, spool: Path, workspace: Workspace, version: AnsweringVersion, confidence: float) -> "BatchLog":
        """The log in the spool of this folder.

        Raises StorageFailed if it cannot be used, StateConflict if it holds predictions of another database.
        """
        if version.degraded:  # the registry did not answer in time; Postgres may not either
            workspace = workspace.hurried(DATABASE_SECONDS, REACH_SECONDS)
        else:
            leftover_predictions.refuse_foreign([spool], workspace.log_database())
        requests = BatchRequests(version.scorer(Role.BATCH), version.forecaster, confidence)
        return cls(requests, Spool(spool), workspace.log_database())

    def add(self, rows: pd.DataFrame, answers: pd.DataFrame, seconds: float) -> None:
        """Note rows with their answers, which took this long."""
        for request in self.requests.of(rows, answers, seconds):
            self._draft.add(request)
        self.rows += len(rows)

    def keep(self) -> None:
        """Put all noted rows on disk. Raises StorageFull if the spool has no room for them."""
        self.keep_records(self._draft.records(), 0)
        self._draft.close()

    def keep_records(self, records: Iterable[Kept], rows: int) -> None:
        """Put records of this number of rows on disk, some megabytes at a time, as `keep` does."""
        for together in _commits(records):
            self.spool.append_records(together)
            if not self.waits and self.spool.size() > MOST_WAITING:
                self.drain()
        self.rows += rows

    def drain(self) -> Logged:
        """Move the rows to Postgres; if it is not available, they stay in the spool."""
        try:
            drain_log.drain(self.spool, self.database)
            self.waits = ""
        except (Unavailable, StateConflict) as failure:
            self.waits = failure.message
        return Logged(self.rows, self.waits)


def _commits(records: Iterable[Kept]) -> Iterator[list[Kept]]:
    """The records in their order, in lists of about COMMIT_BYTES, so that memory stays bounded."""
    found: list[Kept] = []
    size = 0
    for each in records:
        found.append(each)
        size += len(each.record)
        if size >= COMMIT_BYTES:
            yield found
            found, size = [], 0
    if found:
        yield found
