"""One thread that scores what waits: all requests that came while it was busy are scored together."""

import threading
from collections import deque
from collections.abc import Sequence

from lockgate.serving import turn
from lockgate.serving.exchange import Reply, Waiting
from lockgate.serving.log import Log
from lockgate.serving.messages import report_bug
from lockgate.serving.refusals import Refused
from lockgate.serving.server_state import Server
from lockgate.serving.shadow import Shadow
from lockgate.serving.turn import BUG, Turn, refused

BUSY = Refused(503, "the server has too many waiting requests", "try again later")


class Scorer:
    """Scores requests in the order in which they came; each turn uses the versions that are on the board then."""

    def __init__(self, server: Server, log: Log | None, shadow: Shadow | None) -> None:
        self._board = server.board
        self._limits = server.limits
        self._metrics = server.metrics
        self._log = log
        self._shadow = shadow
        self._waiting: deque[Waiting] = deque()
        self._bytes = 0
        self._ready = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="scorer", daemon=True)

    def start(self) -> None:
        """Begin to score."""
        self._thread.start()

    def stop(self) -> None:
        """Answer what waits, then end the thread."""
        with self._ready:
            self._stopped = True
            self._ready.notify()
        self._thread.join()

    def take(self, waiting: Waiting) -> None:
        """Let a request wait for its answer. Raises Refused if too many wait."""
        with self._ready:
            full = self._bytes + len(waiting.body) > self._limits.waiting_bytes
            if full or len(self._waiting) >= self._limits.waiting_requests:
                raise BUSY
            self._waiting.append(waiting)
            self._bytes += len(waiting.body)
            self._ready.notify()

    def _run(self) -> None:
        while found := self._next():
            try:
                replies = self._replies(found)
            except Exception as bug:  # noqa: BLE001 - the server goes on
                report_bug(bug)
                replies = [refused(BUG)] * len(found)
            for waiting, reply in zip(found, replies, strict=True):
                waiting.deliver(reply)
                self._metrics.answered(reply.status, waiting.since)
            self._metrics.batches.observe(len(found))

    def _next(self) -> list[Waiting]:
        """What waits now, at least one request; empty when the scorer was stopped and nothing waits."""
        with self._ready:
            while not self._waiting and not self._stopped:
                self._ready.wait()
            found = list(self._waiting)
            self._waiting.clear()
            self._bytes = 0
            return found

    def _replies(self, waiting: Sequence[Waiting]) -> list[Reply]:
        now = Turn(waiting, self._board.routes, self._limits)
        found = turn.entries(now)
        turn.score(found, self._limits, self._log is not None)
        if self._log:
            turn.keep(found, self._log)
        if self._shadow:
            self._shadow.take(now.routes, found)
        replies = [turn.reply(entry) for entry in found]
        for role in {entry.role for entry in found}:
            self._metrics.rows.labels(role).inc(turn.answered_rows(found, role))
        return replies
