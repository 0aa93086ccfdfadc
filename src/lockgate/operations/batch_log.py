"""The prediction log of a batch: its rows go to the spool, and from there to Postgres while it is available."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pandas as pd

from lockgate.database.connection import Database
from lockgate.errors import StateConflict, Unavailable
from lockgate.operations import drain_log
from lockgate.operations.answering_version import DATABASE_SECONDS, REACH_SECONDS, AnsweringVersion
from lockgate.operations.workspace import Workspace
from lockgate.prediction_log.record import LoggedRequest, Role
from lockgate.prediction_log.rows import logged_rows
from lockgate.prediction_log.spool import Spool

ROWS = 10_000  # of one logged request: its Python objects must fit into memory
MOST_WAITING = 64 << 20  # bytes in the spool, before it is drained


@dataclass(frozen=True)
class Logged:
    """The rows that are on disk, and why they wait in the spool; "" if Postgres has them."""

    rows: int
    waits: str


@dataclass
class BatchLog:
    """Logs the rows of one batch. What `add` was given is on disk when it returns."""

    version: AnsweringVersion
    confidence: float
    spool: Spool
    database: Database
    rows: int = 0
    waits: str = field(default="")

    @classmethod
    def into(cls, spool: Path, workspace: Workspace, version: AnsweringVersion, confidence: float) -> "BatchLog":
        """The log in the spool of this folder. Raises StorageFailed if it cannot be used."""
        if version.degraded:  # the registry did not answer in time; Postgres may not either
            workspace = workspace.hurried(DATABASE_SECONDS, REACH_SECONDS)
        return cls(version, confidence, Spool(spool), workspace.database)

    def add(self, rows: pd.DataFrame, answers: pd.DataFrame, seconds: float) -> None:
        """Log rows with their answers, which took this long. Raises StorageFull if the spool has no room for them."""
        for start in range(0, len(rows), ROWS):
            part = slice(start, start + ROWS)
            asked, found = rows.iloc[part], answers.iloc[part]
            share = len(asked) / len(rows)
            self.spool.append([self._request(asked, found, 1000 * seconds * share)])
            self.rows += len(asked)
        if not self.waits and self.spool.size() > MOST_WAITING:
            self.drain()

    def drain(self) -> Logged:
        """Move the rows to Postgres; if it is not available, they stay in the spool."""
        try:
            drain_log.drain(self.spool, self.database)
            self.waits = ""
        except (Unavailable, StateConflict) as failure:
            self.waits = failure.message
        return Logged(self.rows, self.waits)

    def _request(self, rows: pd.DataFrame, answers: pd.DataFrame, milliseconds: float) -> LoggedRequest:
        forecaster = self.version.forecaster
        return LoggedRequest(
            str(uuid4()), None, datetime.now(UTC), self.version.scorer(Role.BATCH), self.confidence, milliseconds,
            logged_rows(forecaster.problem, forecaster, rows, answers),
        )  # fmt: skip
