"""One turn of the server: the requests that wait are read, scored together, logged in one commit, and answered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote

from lockgate.errors import BadData, LockgateError
from lockgate.prediction_log.record import LoggedRequest, LoggedRows, Role
from lockgate.serving import answer_body, batch, canary, explained, log, pin
from lockgate.serving.batch import Outcome, Part
from lockgate.serving.board import Routes
from lockgate.serving.exchange import JSON, Header, Reply, Waiting
from lockgate.serving.limits import Limits
from lockgate.serving.live_version import LiveVersion
from lockgate.serving.log import Log
from lockgate.serving.messages import report_bug, tell
from lockgate.serving.refusals import Refused
from lockgate.serving.request_body import Asked

NAMED = 20  # ignored columns in a header
BUG = Refused(500, "the server met a bug; its log has a report")
NO_VERSION = Refused(503, "no version is in the stage that this server follows", "promote one, or see /health")
NOT_LOGGED = Refused(503, "predictions cannot be logged now, so none are made", "try again later")


@dataclass(frozen=True)
class Turn:
    """The requests of a turn, and the versions that may score them."""

    waiting: Sequence[Waiting]
    routes: Routes
    limits: Limits


@dataclass
class Entry:
    """One request of a turn: what it asks, the version that scores it, and the outcome."""

    waiting: Waiting
    asked: Asked | None
    live: LiveVersion | None
    role: Role
    outcome: Outcome = BUG
    logged: list[LoggedRequest] = field(default_factory=list)


def entries(turn: Turn) -> list[Entry]:
    """Read the requests and choose the version that answers each of them."""
    return [_entry(turn, waiting) for waiting in turn.waiting]


def _entry(turn: Turn, waiting: Waiting) -> Entry:
    served, challenger = turn.routes.served, turn.routes.canary
    if served is None:
        return Entry(waiting, None, None, Role.SERVED, NO_VERSION)
    try:
        if waiting.version is not None:
            return _pinned(turn, waiting, pin.chosen(turn.routes.held, waiting.version))
        asked = _read(served, turn.limits, waiting)
        if challenger and canary.of_canary(served.model, served.problem, asked, waiting.caller_id, turn.routes.share):
            asked = reread(served, challenger, turn.limits, waiting, asked)
            explained.refuse(challenger, asked, turn.limits)
            return Entry(waiting, asked, challenger, Role.CANARY)
        explained.refuse(served, asked, turn.limits)
        return Entry(waiting, asked, served, Role.SERVED)
    except Refused as refusal:
        return Entry(waiting, None, served, Role.SERVED, refusal)


def _pinned(turn: Turn, waiting: Waiting, live: LiveVersion) -> Entry:
    """A request that names its version: no canary answers it."""
    asked = _read(live, turn.limits, waiting)
    explained.refuse(live, asked, turn.limits)
    return Entry(waiting, asked, live, Role.SERVED)


def _read(live: LiveVersion, limits: Limits, waiting: Waiting) -> Asked:
    asked = live.reader.read(waiting.body, waiting.content_type)
    if asked.rows > limits.rows:
        raise Refused(413, f"the request has more than {limits.rows} rows", "send them in parts")
    return asked


def reread(served: LiveVersion, other: LiveVersion, limits: Limits, waiting: Waiting, asked: Asked) -> Asked:
    """The request as another version takes it: it may have been trained for other columns."""
    return asked if other.takes_what(served) else _read(other, limits, waiting)


def score(found: Sequence[Entry], limits: Limits, with_log: bool) -> None:
    """Set the outcomes of the requests that could be read, and their rows for the log."""
    by_version: dict[tuple[int, Role], list[tuple[Entry, Asked, LiveVersion]]] = {}
    for entry in found:
        if entry.asked and entry.live:
            by_version.setdefault((entry.live.version, entry.role), []).append((entry, entry.asked, entry.live))
    for together in by_version.values():
        live = together[0][2]
        for places in batch.groups(live, [asked for _, asked, _ in together], limits.batch_rows):
            group = [together[place][0] for place in places]
            outcomes = batch.score(live, [together[place][1] for place in places])
            for entry, outcome in zip(group, outcomes, strict=True):
                entry.outcome = outcome
            if with_log:
                _make_log(live, group)


def _make_log(live: LiveVersion, group: Sequence[Entry]) -> None:
    """The rows of a group for the log: made once for all that was scored together."""
    made: dict[int, LoggedRows] = {}
    scorer = log.scorer_of(live, group[0].role)
    for entry in group:
        if isinstance(part := entry.outcome, Part) and entry.asked:
            if id(part.scored) not in made:
                made[id(part.scored)] = log.rows_of(live, part.scored)
            rows = made[id(part.scored)].part(part.start, part.stop)
            entry.logged = [log.request_of(entry.waiting, scorer, entry.asked.confidence, rows)]


def keep(found: Sequence[Entry], kept: Log) -> None:
    """Put the answered requests on disk, in one commit. What cannot be logged is refused, not answered."""
    requests = [request for entry in found for request in entry.logged]
    if not requests:
        return
    try:
        kept.keep(requests)
    except BadData as refusal:
        if len(requests) > 1:
            for entry in found:
                keep([entry], kept)
        else:
            _refuse(found, Refused(422, refusal.message, refusal.hint))
    except LockgateError as refusal:
        tell(f"warning: {len(requests)} requests are refused: {refusal}")
        _refuse(found, NOT_LOGGED)


def _refuse(found: Sequence[Entry], refusal: Refused) -> None:
    for entry in found:
        if entry.logged:
            entry.outcome = refusal


def answered_rows(found: Sequence[Entry], role: Role) -> int:
    """The number of rows that got a forecast in this role."""
    return sum(
        entry.asked.rows for entry in found if entry.asked and entry.role is role and isinstance(entry.outcome, Part)
    )


def reply(entry: Entry) -> Reply:
    """The reply to a request."""
    if isinstance(entry.outcome, Part) and entry.live and entry.asked:
        headers = (JSON, *version_headers(entry.live), *_more_headers(entry.role, entry.asked))
        if entry.asked.explain:
            return Reply(200, b"", headers, partial(explained.body, entry.live, entry.outcome))
        return Reply(200, answer_body.body(entry.outcome), headers)
    if isinstance(entry.outcome, Refused):
        return refused(entry.outcome)
    if isinstance(entry.outcome, Exception):
        report_bug(entry.outcome)
    return refused(BUG)


def refused(refusal: Refused) -> Reply:
    """The reply for a request without forecasts."""
    return Reply(refusal.status, refusal.body, (JSON,))


def version_headers(live: LiveVersion) -> tuple[Header, ...]:
    """The headers that name the version that answers."""
    found = {"version": str(live.version), "digest": live.digest, "stage": str(live.stage)}
    if live.degraded:
        found["degraded"] = live.degraded
    return tuple((f"x-lockgate-{name}".encode(), value.encode("ascii", "replace")) for name, value in found.items())


def _more_headers(role: Role, asked: Asked) -> Iterator[Header]:
    if role is Role.CANARY:
        yield b"x-lockgate-role", b"canary"
    if asked.ignored:
        named = ",".join(quote(name[:100], safe=" ") for name in asked.ignored[:NAMED])
        yield b"x-lockgate-ignored-columns", named.encode()
