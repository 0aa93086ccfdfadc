"""`status`, `list`, `show`, `verdict`, `history`: what is and what has been, read from Postgres without mlflow."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from lockgate.cli.common_options import VERSION, backend, command, session, table
from lockgate.errors import GateRefused, StateConflict, WrongUsage
from lockgate.lifecycle.moves import Stage

SCORES = ("rmspe", "mae", "bias")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@command("status", example="lockgate status --json")
@as_json
def status(as_json: bool, timeout: float) -> None:
    """Who is in which stage, and whether all is well (exit 5 if not)."""
    from lockgate.operations import status as operations_status

    found = operations_status.status(backend(timeout))
    if as_json:
        _print_json(asdict(found))
    else:
        gone = f", and {found.deleted} deleted" if found.deleted else ""
        click.echo(f"{found.model}: {found.versions} version{'' if found.versions == 1 else 's'}{gone}")
        click.echo(f"Production  {_standing(found.serving)}{_since(found.serving_since)}")
        click.echo(f"Staging     {_standing(found.staging)}")
    if found.broken:
        raise StateConflict("; ".join(found.broken), hint="see what happened with: lockgate history")


@command("list", example="lockgate list")
@as_json
def list_versions(as_json: bool, timeout: float) -> None:
    """All versions, the newest last."""
    from lockgate.operations import status as operations_status

    lines = operations_status.lines(backend(timeout))
    if as_json:
        _print_json([asdict(line) for line in lines])
        return
    heads = ["version", "stage", "verdict", "RMSPE", "digest", "created (UTC)"]
    rows = [
        [
            str(line.version),
            line.stage,
            line.outcome or "-",
            _number(line.rmspe),
            (line.bundle_digest or "-")[:12],
            _when(line.created_at),
        ]
        for line in lines
    ]
    table(heads, rows)


@command("show", example="lockgate show 3")
@click.argument("version", type=VERSION)
@as_json
def show(version: int, as_json: bool, timeout: float) -> None:
    """One version: its candidates, lineage, verdict and moves."""
    from lockgate.operations import status as operations_status

    found = operations_status.portrait(backend(timeout), version)
    if as_json:
        _print_json(asdict(found))
        return
    click.echo(f"version {version}, {_whereabouts(found)}, registered {_when(found.row.created_at)} UTC")
    if found.record:
        click.echo(f"bundle {found.record.bundle_digest}\n")
        _show_candidates(found.record.lineage)
    if found.verdict:
        _show_verdict(found.verdict)
    table(["when (UTC)", "decision", "who", "on verdict", "why"], [_decision(said) for said in found.decisions])
    table(["when (UTC)", "from", "to", "command", "who", "why"], [_move(row) for row in found.moves])


@command("verdict", example="lockgate verdict 3 --json")
@click.argument("version", type=VERSION, required=False)
@as_json
def verdict(version: int | None, as_json: bool, timeout: float) -> None:
    """The verdict on VERSION (by default the newest one given): exit 0 if it passed, 4 if not."""
    from lockgate.database import verdicts
    from lockgate.operations import validate

    where = backend(timeout)
    found = verdicts.latest_verdict(where.database, where.model, version)
    if found is None:
        if version:
            where.state().find(version)
        whom = f"version {version}" if version else "any version"
        raise StateConflict(
            f"there is no verdict on {whom} of {where.model}",
            hint=f"validate one with: lockgate validate {version or ''}".rstrip(),
        )
    if as_json:
        _print_json(validate.as_json(found))
    else:
        _show_verdict(found)
    session().ids["version"] = found.version
    require_passed(found)


def require_passed(found: Any) -> None:
    """Raises GateRefused for a verdict that is refused or inconclusive."""
    if found.outcome != "passed":
        raise GateRefused(
            f"the verdict on version {found.version} is {found.outcome}",
            hint="train a better one; the limits stand under gate in params.yaml",
        )


@command("history", example="lockgate history --at 2026-01-31T12:00")
@click.option("--at", metavar="TIME", help="What was live at this moment (ISO 8601, UTC unless it says otherwise).")
@as_json
def history(at: str | None, as_json: bool, timeout: float) -> None:
    """All moves, verdicts, decisions and policies, with who and why; with --at, who was in Production then."""
    from lockgate.operations import event_log

    where = backend(timeout)
    if at:
        _show_live(where.model, event_log.live(where, _moment(at)), as_json)
        return
    events = event_log.events(where)
    if as_json:
        _print_json([{"kind": event.kind} | dict(event.details) for event in events])
    else:
        table(["when (UTC)", "version", "what", "who", "why"], [_told(event) for event in events])


def _show_live(model: str, row: Any, as_json: bool) -> None:
    if as_json:
        _print_json([asdict(row)] if row else [])
    elif row is None:
        click.echo(f"no version of {model} was in Production then")
    else:
        table(["since (UTC)", "version", "command", "who", "why"], [[_when(row.at), str(row.version), *_move(row)[3:]]])


def _told(event: Any) -> list[str]:
    """One event as a row of the table."""
    what = f"to {_stage(event.details['to_stage'])} ({event.what})" if event.kind == "move" else event.what
    return [_when(event.at), str(event.version or ""), what, event.who, event.why]


def _moment(at: str) -> datetime:
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise WrongUsage(f"--at is no time: {at}", hint="write it as 2026-01-31T12:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _whereabouts(found: Any) -> str:
    """The stage and the run; of a deleted version, when and by whom it was deleted."""
    if found.row.stage != Stage.DELETED:
        return f"{found.row.stage}, run {found.row.run_id}"
    end = found.moves[-1]
    return f"deleted {_when(end.at)} UTC by {end.actor} ({end.command}: {end.reason})"


def _show_candidates(lineage: Mapping[str, Any]) -> None:
    scores = [
        [row["member"], row["fold"], *(_number(row[name]) for name in SCORES)] for row in lineage.get("candidates", [])
    ]
    table(["candidate", "fold", *SCORES], scores)
    table(["lineage", ""], [[name, str(value)] for name, value in lineage.get("lineage", {}).items()])


def _show_verdict(found: Any) -> None:
    click.echo(f"verdict {found.id} on version {found.version}: {found.outcome.upper()}, {_when(found.decided_at)} UTC")
    table(
        ["check", "outcome", "measured"],
        [[check["name"], check["outcome"], check["says"]] for check in found.checks],
    )


def _move(row: Any) -> list[str]:
    return [_when(row.at), _stage(row.from_stage), _stage(row.to_stage), row.command, row.actor, row.reason]


def _stage(name: Any) -> str:
    """A stage as a person reads it; MLflow's own name for a deleted version is no word."""
    return "Deleted" if name == Stage.DELETED else str(name or "")


def _decision(said: Any) -> list[str]:
    return [_when(said.at), said.decision, said.decided_by, str(said.verdict_id or "-"), said.reason]


def _standing(line: Any) -> str:
    if line is None:
        return "-"
    return f"version {line.version}, verdict {line.outcome or '-'}, RMSPE {_number(line.rmspe)}"


def _since(moment: datetime | None) -> str:
    return f", since {_when(moment)} UTC" if moment else ""


def _when(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, default=str))
