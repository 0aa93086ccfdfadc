"""The history of a model: every event, and the version that was in Production at a moment."""

from dataclasses import dataclass
from datetime import UTC, datetime

from lockgate.errors import WrongUsage
from lockgate.operations import event_log
from lockgate.operations.event_log import Event
from lockgate.operations.workspace import Workspace
from lockgate.pages.version_page import stage_name
from lockgate.reports.texts import when

MOST_EVENTS = 500


@dataclass(frozen=True)
class EventLine:
    """One event, as a row."""

    at: str
    version: int | None
    what: str
    who: str
    why: str


@dataclass(frozen=True)
class LiveThen:
    """The version that was in Production at the moment; `version` is None if Production was empty."""

    at: str
    version: int | None
    since: str
    who: str
    why: str


@dataclass(frozen=True)
class HistoryView:
    """The newest events of a model, newest first; `hidden` older ones are left out."""

    model: str
    events: tuple[EventLine, ...]
    hidden: int
    asked: str
    live: LiveThen | None


def view(workspace: Workspace, at: str) -> HistoryView:
    """The history; with `at`, also who was live then. Raises WrongUsage if `at` is no time."""
    moment = _moment(at) if at else None
    events = event_log.events(workspace)
    newest = tuple(_line(each) for each in reversed(events[-MOST_EVENTS:]))
    live = _live(workspace, moment) if moment else None
    return HistoryView(workspace.model, newest, max(0, len(events) - MOST_EVENTS), at, live)


def _live(workspace: Workspace, moment: datetime) -> LiveThen:
    row = event_log.live(workspace, moment)
    if row is None:
        return LiveThen(when(moment), None, "", "", "")
    return LiveThen(when(moment), row.version, when(row.at), row.actor, row.reason)


def _line(event: Event) -> EventLine:
    to_stage = stage_name(str(event.details.get("to_stage", "")))
    what = f"to {to_stage} ({event.what})" if event.kind == "move" else event.what
    return EventLine(when(event.at), event.version, what, event.who, event.why)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # the year 1 or 9999 in another zone may be none in UTC
        raise WrongUsage(f"this is not a time: {text[:100]}", hint="write a time as 2026-01-31T12:00") from None
