"""The log of a server: an answer is on this machine's disk before it leaves; a process moves the log to Postgres."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

from lockgate.database import request_counts
from lockgate.database.connection import Database
from lockgate.errors import LockgateError
from lockgate.operations import drain_log
from lockgate.prediction_log.record import LoggedRequest, LoggedRows, Role, Scorer
from lockgate.prediction_log.rows import logged_rows
from lockgate.prediction_log.spool import Spool
from lockgate.serving.batch import Scored
from lockgate.serving.drain import LONGEST_PAUSE, PAUSE_SECONDS, Drain
from lockgate.serving.exchange import Waiting
from lockgate.serving.live_version import LiveVersion
from lockgate.serving.messages import report_bug, tell
from lockgate.serving.metrics import Metrics

STOP_SECONDS = 5.0  # for the last drain


def scorer_of(live: LiveVersion, role: Role) -> Scorer:
    """The version as the log names it."""
    return Scorer(live.model, live.version, live.digest, str(live.stage), role, bool(live.degraded))


def request_of(waiting: Waiting, scorer: Scorer, confidence: float, rows: LoggedRows) -> LoggedRequest:
    """A request for the log, answered now."""
    latency = (monotonic() - waiting.since) * 1000
    return LoggedRequest(waiting.request_id, waiting.caller_id, datetime.now(UTC), scorer, confidence, latency, rows)


def rows_of(live: LiveVersion, scored: Scored) -> LoggedRows:
    """The rows and answers of some requests for the log."""
    return logged_rows(live.problem, live.forecaster, scored.rows, scored.answers)


@dataclass
class Log:
    """The spool of one worker, and the process that empties it into Postgres; a thread keeps that process running."""

    spool: Spool
    database: Database
    model: str
    metrics: Metrics
    drain: Drain | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to drain."""
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
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
        pause = 0.0
        while not self._stop.wait(pause):
            if self.drain:
                self.drain.keep_running()
            pause = PAUSE_SECONDS if self._measured() else min(2 * pause + PAUSE_SECONDS, LONGEST_PAUSE)
        if self.drain:
            self.drain.stop()
        self._drain_rest()

    def _measured(self) -> bool:
        """Show the size of the spool, and move the counts of answers to Postgres; whether that succeeded."""
        try:
            self.metrics.spool.set(self.spool.size())
            counts = self.metrics.counts.waiting()
            request_counts.add(self.database, self.model, counts)
            self.metrics.counts.forget(counts)
        except LockgateError:  # the drain says what is wrong with Postgres; a spool that fails refuses requests
            return False
        except Exception as bug:  # noqa: BLE001 - the server goes on
            report_bug(bug)
            return False
        return True

    def _drain_rest(self) -> None:
        try:
            drain_log.drain(self.spool, self.database)
        except LockgateError as refusal:
            tell(f"warning: {refusal}; predictions stay in {self.spool.path}")
        except Exception as bug:  # noqa: BLE001 - the spool keeps the requests
            report_bug(bug)
        self._measured()
