"""Scores answered requests once more with the version in another stage, for the log only, in a thread of its own."""

import threading
from collections import deque
from collections.abc import Sequence

from lockgate.errors import LockgateError
from lockgate.prediction_log.record import Role
from lockgate.serving import turn
from lockgate.serving.batch import Part
from lockgate.serving.board import Routes
from lockgate.serving.live_version import LiveVersion
from lockgate.serving.log import Log
from lockgate.serving.messages import report_bug, tell
from lockgate.serving.refusals import Refused
from lockgate.serving.server_state import Server
from lockgate.serving.turn import Entry

MOST_ROWS = 50_000  # that wait; a shadow that is too slow misses the rest


class Shadow:
    """The thread. What fails or is missed is counted, and harms no answer."""

    def __init__(self, server: Server, log: Log) -> None:
        self._metrics = server.metrics
        self._limits = server.limits
        self._log = log
        self._waiting: deque[tuple[Routes, list[Entry]]] = deque()
        self._rows = 0
        self._ready = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    def start(self) -> None:
        """Begin to score."""
        self._thread.start()

    def stop(self) -> None:
        """Score what waits, then end the thread."""
        with self._ready:
            self._stopped = True
            self._ready.notify()
        self._thread.join()

    def take(self, routes: Routes, answered: Sequence[Entry]) -> None:
        """Let the answered requests of a turn wait for the shadow; without a version in its stage, nothing waits."""
        found = [entry for entry in answered if isinstance(entry.outcome, Part)]
        if routes.shadow is None or not found:
            return
        with self._ready:
            if self._rows >= MOST_ROWS:
                self._metrics.shadow_missed.inc(len(found))
                return
            self._waiting.append((routes, found))
            self._rows += _rows(found)
            self._ready.notify()

    def _run(self) -> None:
        while (found := self._next()) is not None:
            routes, answered = found
            try:
                if routes.shadow:
                    self._score(routes.shadow, answered)
            except Exception as bug:  # noqa: BLE001 - it harms no answer
                self._metrics.shadow_errors.inc(len(answered))
                report_bug(bug)

    def _next(self) -> tuple[Routes, list[Entry]] | None:
        with self._ready:
            while not self._waiting and not self._stopped:
                self._ready.wait()
            if not self._waiting:
                return None
            routes, found = self._waiting.popleft()
            self._rows -= _rows(found)
            return routes, found

    def _score(self, shadow: LiveVersion, answered: Sequence[Entry]) -> None:
        found = [entry for entry in (self._entry(shadow, each) for each in answered) if entry]
        turn.score(found, self._limits, with_log=True)
        requests = [request for entry in found for request in entry.logged]
        try:
            self._log.keep(requests)
        except LockgateError as refusal:
            tell(f"warning: {len(requests)} requests of the shadow are not logged: {refusal}")
            requests = []
        self._metrics.rows.labels(Role.SHADOW).inc(sum(request.rows.count for request in requests))
        self._metrics.shadow_errors.inc(len(answered) - len(requests))

    def _entry(self, shadow: LiveVersion, answered: Entry) -> Entry | None:
        """The request for the shadow; None if the shadow cannot read it."""
        if answered.asked is None or answered.live is None:
            return None
        try:
            asked = turn.reread(answered.live, shadow, self._limits, answered.waiting, answered.asked)
        except Refused:
            return None
        return Entry(answered.waiting, asked, shadow, Role.SHADOW)


def _rows(found: Sequence[Entry]) -> int:
    return sum(entry.asked.rows for entry in found if entry.asked)
