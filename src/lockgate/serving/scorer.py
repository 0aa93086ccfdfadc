"""Scores what waits: all requests that came while the scorer was busy are scored together.

Small requests are scored on the thread of the event loop, which has just read them: a change of threads and back costs
more than the scoring of a few rows. Large requests, and all that come meanwhile, go to a thread of their own, so that
the loop goes on.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence

from lockgate.serving import turn
from lockgate.serving.batch import Part
from lockgate.serving.board import Routes
from lockgate.serving.exchange import Reply, Waiting
from lockgate.serving.log import Log
from lockgate.serving.messages import report_bug
from lockgate.serving.refusals import Refused
from lockgate.serving.server_state import Server
from lockgate.serving.shadow import Shadow
from lockgate.serving.turn import BUG, Entry, Turn, refused

GATHER_SECONDS = 0.002  # while fewer requests wait than the last turn had
SMALL_BYTES = 32 << 10  # of all bodies that are scored on the loop together
STOP_SECONDS = 10.0  # for a turn that runs
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
        self._expected = 1  # requests of the last turn on the loop
        self._busy = False  # the thread has requests to score, or is about to take them
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="scorer", daemon=True)

    def start(self) -> None:
        """Begin to score."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after its turn. Waiting requests were already refused."""
        with self._ready:
            self._stopped = True
            self._taken()
            self._ready.notify()
        self._thread.join(STOP_SECONDS)

    def take(self, waiting: Waiting) -> None:
        """Let a request wait for its answer; called on the event loop. Raises Refused if too many wait."""
        with self._ready:
            full = self._bytes + len(waiting.body) > self._limits.waiting_bytes
            if full or len(self._waiting) >= self._limits.waiting_requests:
                raise BUSY
            self._waiting.append(waiting)
            self._bytes += len(waiting.body)
            if self._bytes > SMALL_BYTES and not self._busy:
                self._busy = True
                self._ready.notify()
            elif not self._busy:
                self._gather(asyncio.get_running_loop())

    def _gather(self, loop: asyncio.AbstractEventLoop) -> None:
        """Score in the next round of the loop if as many requests wait as the last turn had, else a moment later.

        So one client never waits for others, and many clients are soon scored together.
        """
        if len(self._waiting) == self._expected:
            loop.call_soon(self._on_loop)
        elif len(self._waiting) == 1:
            loop.call_later(GATHER_SECONDS, self._on_loop)

    def _on_loop(self) -> None:
        """Score what the loop has read in this round, unless the thread does."""
        with self._ready:
            found = [] if self._busy else self._taken()
        if found:
            self._expected = len(found)
            self._answer(found)

    def _run(self) -> None:
        while found := self._next():
            self._answer(found)

    def _answer(self, found: Sequence[Waiting]) -> None:
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
        """What waits for the thread, at least one request; empty when the scorer was stopped and nothing waits."""
        with self._ready:
            self._busy = bool(self._waiting)
            while not self._busy and not self._stopped:
                self._ready.wait()
            return self._taken()

    def _taken(self) -> list[Waiting]:
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
        self._count_pins(now.routes, found)
        for role in {entry.role for entry in found}:
            self._metrics.rows.labels(role).inc(turn.answered_rows(found, role))
        return replies

    def _count_pins(self, routes: Routes, found: Sequence[Entry]) -> None:
        """Count the requests that named their version: by the current one, by the one before it, or refused."""
        for entry in found:
            if entry.waiting.version is not None:
                answers = "current" if entry.live is routes.served else "previous"
                self._metrics.pinned.labels(answers if isinstance(entry.outcome, Part) else "refused").inc()
