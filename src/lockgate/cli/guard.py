"""`guard` installs and checks the rules in the database; `ledger` verifies and exports the audit log."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from lockgate.cli.common_options import backend, command, group
from lockgate.errors import IntegrityBroken, StateConflict

group("guard", "The rules in the database that hold for every client.")
group("ledger", "The record of every stage change, in a chain of hashes.")


@command("guard status", example="lockgate guard status --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool, timeout: float) -> None:
    """Whether the guard is on and whole (exit 5 if not), and what in the registry it would not allow."""
    from lockgate.database import guard

    database = backend(timeout).database
    found = guard.status(database)
    violations = guard.violations(database)
    if as_json:
        click.echo(json.dumps(asdict(found) | {"violations": violations}, indent=2, default=str))
    else:
        click.echo(f"guard {'installed' if found.installed else 'not installed'}{_last_change(found)}")
        for line in violations:
            click.echo(f"violation: {line}")
    if not found.installed:
        raise StateConflict("the guard is not installed", hint="install it with: lockgate guard install")
    if found.faults:
        raise StateConflict("; ".join(found.faults), hint="repair it with: lockgate guard install")


@command("guard install", example="lockgate guard install")
def install(timeout: float) -> None:
    """Put the guard on, or repair it. Violations in the registry are listed, and then nothing is done (exit 5)."""
    from lockgate.database import guard

    _tell(guard.install, timeout, "guard installed", "the guard is on and whole; nothing was changed")


@command("guard remove", example="lockgate guard remove")
def remove(timeout: float) -> None:
    """Take the guard off; stage changes are still recorded."""
    from lockgate.database import guard

    _tell(guard.remove, timeout, "guard removed: MLflow now lets anyone move anything", "there is no guard to remove")


@command("ledger verify", example="lockgate ledger verify --export ledger.jsonl")
@click.option(
    "--export", "exported", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An earlier export: its rows must still be there, unchanged.",
)  # fmt: skip
def verify(exported: Path | None, timeout: float) -> None:
    """Compute every hash again; exit 7 with the row that was changed, removed or put in."""
    from lockgate.database import ledger

    where = backend(timeout)
    rows = ledger.read(where.database, where.model)
    broken = [*ledger.breaks(rows), *ledger.missing_tail(where.database, where.model)]
    if exported:
        with exported.open(encoding="utf-8") as lines:
            broken += ledger.departures(rows, ledger.from_json_lines(lines))
    if broken:
        raise IntegrityBroken("; ".join(broken), where="ledger", hint="compare with a backup or an earlier export")
    last = f", the last one with hash {rows[-1].hash}" if rows else ""
    click.echo(f"{where.model}: {len(rows)} rows, each as it was written{last}")


@command("ledger export", example="lockgate ledger export > ledger.jsonl")
def export(timeout: float) -> None:
    """Print every row as a line of JSON; kept elsewhere, it proves later that nothing was rewritten."""
    from lockgate.database import ledger

    where = backend(timeout)
    for row in ledger.read(where.database, where.model):
        click.echo(ledger.as_json_line(row))


def _tell(act: Callable[..., bool], timeout: float, done: str, nothing: str) -> None:
    where = backend(timeout)
    click.echo(done if act(where.database, where.actor) else nothing)


def _last_change(found: Any) -> str:
    if found.last_change is None:
        return ""
    return f", last {found.last_change} by {found.last_actor} at {found.last_at:%F %T %Z}"
