"""`history`: the events of a model in order, and the version that was in Production at a moment."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from lockgate.cli.common_options import as_json, command, for_reading, print_json, table
from lockgate.cli.status import move_cells, stage_name
from lockgate.errors import WrongUsage
from lockgate.reports.texts import when

if TYPE_CHECKING:
    from lockgate.database.ledger import LedgerRow
    from lockgate.operations.event_log import Event


@command("history", example="lockgate history --since 2026-01-31 --limit 20")
@click.option(
    "--at", metavar="TIME", help="Show the version in Production at this time (ISO 8601; UTC if no offset is given)."
)
@click.option("--since", metavar="TIME", help="Show only events from this time on.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Show only the newest N events.")
@as_json
def history(at: str | None, since: str | None, limit: int | None, as_json: bool, timeout: float) -> None:
    """List moves, verdicts, decisions and policies, the newest last.

    With --at, the command shows the version that was in Production at that time.
    """
    from lockgate.operations import event_log

    moment, first = _moment("--at", at), _moment("--since", since)
    here = for_reading(timeout)
    if moment:
        _show_live(here.model, event_log.live(here, moment), as_json)
        return
    events = [event for event in event_log.events(here) if first is None or event.at >= first][-(limit or 0) :]
    if as_json:
        print_json([{"kind": event.kind} | dict(event.details) for event in events])
    else:
        table(["when (UTC)", "version", "what", "who", "why"], [_cells(event) for event in events], paged=True)


def _show_live(model: str, row: "LedgerRow | None", as_json: bool) -> None:
    if as_json:
        print_json([asdict(row)] if row else [])
    elif row is None:
        click.echo(f"no version of {model} was in Production then")
    else:
        table(
            ["since (UTC)", "version", "command", "who", "why"],
            [[when(row.at), str(row.version), *move_cells(row)[3:]]],
        )


def _cells(event: "Event") -> list[str]:
    """One event as a row of the table."""
    what = f"to {stage_name(str(event.details['to_stage']))} ({event.what})" if event.kind == "move" else event.what
    return [when(event.at), str(event.version or ""), what, event.who, event.why]


def _moment(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # the year 1 or 9999 in another zone may be none in UTC
        raise WrongUsage(f"{option} is not a time: {text}", hint="write a time as 2026-01-31T12:00") from None
