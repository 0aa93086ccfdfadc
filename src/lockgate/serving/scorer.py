"""One thread that scores what waits: all requests that came while it was busy are scored together."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from urllib.parse import quote

from lockgate.serving import answer_body, batch
from lockgate.serving.batch import Outcome, Part
from lockgate.serving.exchange import JSON, Header, Reply, Waiting
from lockgate.serving.limits import Limits
from lockgate.serving.live_version import LiveVersion
from lockgate.serving.messages import report_bug
from lockgate.serving.refusals import Refused
from lockgate.serving.request_body import Asked, Reader

NAMED = 20  # ignored columns in a header
BUSY = Refused(503, "the server has too many waiting requests", "try again later")
BUG = Refused(500, "the server met a bug; its log has a report")


class Scorer:
    """Scores requests in the order in which they came, each by the version that answers when its batch begins."""

    def __init__(self, live: Callable[[], LiveVersion], limits: Limits) -> None:
        self._live = live
        self._limits = limits
        self._waiting: deque[Waiting] = deque()
        self._bytes = 0
        self._ready = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="scorer", daemon=True)
        self._readers: dict[str, Reader] = {}

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
        """The replies to requests, in their order, all by one version."""
        live = self._live()
        asked = [self._read(live, each) for each in waiting]
        outcomes: list[Outcome] = [each if isinstance(each, Refused) else BUG for each in asked]
        readable = [place for place, each in enumerate(asked) if isinstance(each, Asked)]
        requests = [each for each in asked if isinstance(each, Asked)]
        for group in batch.groups(live.problem, requests, self._limits.batch_rows):
            found = batch.score(live, [requests[place] for place in group])
            for place, outcome in zip(group, found, strict=True):
                outcomes[readable[place]] = outcome
        return [_reply(live, one, outcome) for one, outcome in zip(asked, outcomes, strict=True)]

    def _read(self, live: LiveVersion, waiting: Waiting) -> Asked | Refused:
        try:
            return self._reader(live).read(waiting.body, waiting.content_type)
        except Refused as refusal:
            return refusal

    def _reader(self, live: LiveVersion) -> Reader:
        if live.digest not in self._readers:
            self._readers = {live.digest: Reader(live.problem, self._limits)}
        return self._readers[live.digest]


def _reply(live: LiveVersion, asked: Asked | Refused, outcome: Outcome) -> Reply:
    if isinstance(outcome, Part):
        ignored = asked.ignored if isinstance(asked, Asked) else ()
        return Reply(200, answer_body.body(outcome), (JSON, *version_headers(live), *_ignored(ignored)))
    if isinstance(outcome, Refused):
        return refused(outcome)
    report_bug(outcome)
    return refused(BUG)


def refused(refusal: Refused) -> Reply:
    """The reply for a request without forecasts."""
    return Reply(refusal.status, refusal.body, (JSON,))


def version_headers(live: LiveVersion) -> tuple[Header, ...]:
    """The headers that name the version that answers."""
    found = {"version": str(live.version), "digest": live.digest, "stage": str(live.stage)}
    if live.degraded:
        found["degraded"] = live.degraded
    return tuple((f"x-lockgate-{name}".encode(), value.encode()) for name, value in found.items())


def _ignored(columns: Sequence[str]) -> tuple[Header, ...]:
    """A header with the columns that no forecast needs, percent-encoded."""
    if not columns:
        return ()
    named = ",".join(quote(name[:100], safe=" ") for name in columns[:NAMED])
    return ((b"x-lockgate-ignored-columns", named.encode()),)
