"""The log of a server: an answer is on this machine's disk before it leaves; a thread moves the log to Postgres."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from lockgate.database import request_counts
from lockgate.database.connection import Database
from lockgate.errors import LockgateError, Unavailable
from lockgate.operations import drain_log
from lockgate.prediction_log.record import LoggedRequest, LoggedRow, Role, Scorer
from lockgate.prediction_log.rows import logged_rows
from lockgate.prediction_log.spool import Spool
from lockgate.serving.batch import Scored
from lockgate.serving.exchange import Waiting
from lockgate.serving.live_version import LiveVersion
from lockgate.serving.messages import report_bug, tell
from lockgate.serving.metrics import Metrics

PAUSE_SECONDS = 1.0  # between two drains
LONGEST_PAUSE = 15.0  # while Postgres is away
STOP_SECONDS = 5.0  # for the last drain


def folder_of(spools: Path, model: str, worker: int) -> Path:
    """The folder of the spool of one worker."""
    return spools / model / f"serve-{worker}"


def scorer_of(live: LiveVersion, role: Role) -> Scorer:
    """The version as the log names it."""
    return Scorer(live.model, live.version, live.digest, str(live.stage), role, bool(live.degraded))


def request_of(waiting: Waiting, scorer: Scorer, confidence: float, rows: tuple[LoggedRow, ...]) -> LoggedRequest:
    """A request for the log, answered now."""
    latency = (monotonic() - waiting.since) * 1000
    return LoggedRequest(waiting.request_id, waiting.caller_id, datetime.now(UTC), scorer, confidence, latency, rows)


def rows_of(live: LiveVersion, scored: Scored) -> tuple[LoggedRow, ...]:
    """The rows and answers of some requests for the log."""
    return logged_rows(live.problem, live.forecaster, scored.rows, scored.answers)


@dataclass
class Log:
    """The spool of one worker and the thread that empties it into Postgres."""

    spool: Spool
    database: Database
    model: str
    metrics: Metrics
    _stop: threading.Event = field(default_factory=threading.Event)
    _away: str = ""
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to drain."""
        self._thread = threading.Thread(target=self._run, name="drain", daemon=True)
        self._thread.start()

    def keep(self, requests: Sequence[LoggedRequest]) -> None:
        """Put requests on disk, all or none. Raises StorageFull or StorageFailed."""
        self.spool.append(requests)

    def stop(self) -> None:
        """Drain for the last time, for a few seconds at most; what is left waits for the next start."""
        self._stop.set()
        if self._thread:
            self._thread.join(STOP_SECONDS)
            if not self._thread.is_alive():
                self.spool.close()

    def _run(self) -> None:
        pause = PAUSE_SECONDS
        while not self._stop.wait(pause):
            pause = PAUSE_SECONDS if self._drained() else min(2 * pause, LONGEST_PAUSE)
        self._drained()

    def _drained(self) -> bool:
        try:
            self.metrics.spool.set(self.spool.size())
            drain_log.drain(self.spool, self.database)
            self._move_counts()
            self.metrics.spool.set(self.spool.size())
        except LockgateError as refusal:
            self._say(refusal)
            return False
        except Exception as bug:  # noqa: BLE001 - the server goes on; the spool keeps the requests
            report_bug(bug)
            return False
        if self._away:
            tell("the prediction log is in Postgres again")
            self._away = ""
        return True

    def _move_counts(self) -> None:
        counts = self.metrics.counts.waiting()
        request_counts.add(self.database, self.model, counts)
        self.metrics.counts.forget(counts)

    def _say(self, refusal: LockgateError) -> None:
        if self._away != str(refusal):
            kept = "Postgres is away" if isinstance(refusal, Unavailable) else "the log cannot be moved to Postgres"
            tell(f"warning: {kept}: {refusal}; predictions stay in {self.spool.path}")
        self._away = str(refusal)
