"""`guard` installs and checks the rules in the database; `ledger` verifies and exports the audit log."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli.common_options import as_json, command, group, print_json, workspace
from lockgate.errors import IntegrityBroken, StateConflict

if TYPE_CHECKING:
    from lockgate.database.guard import Guard

group("guard", "Check, install or remove the rules in the database.\n\nThese rules apply to every client of MLflow.")
group(
    "ledger",
    "Verify or export the audit log.\n\nThe log has a row for each stage change, with the hash of the row before.",
)


@command("guard status", example="lockgate guard status --json")
@as_json
def status(as_json: bool, timeout: float) -> None:
    """Show whether the guard is installed and complete.

    The command also lists what in the registry breaks the rules. It ends with exit code 5 if the guard is not installed
    or not complete.
    """
    from lockgate.database import guard

    database = workspace(timeout).database
    found = guard.status(database)
    violations = guard.violations(database)
    if as_json:
        print_json(asdict(found) | {"violations": violations})
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
    """Install or repair the guard.

    If something in the registry breaks the rules, the command lists it, changes nothing and ends with exit code 5.
    """
    from lockgate.database import guard

    _tell(guard.install, timeout, "guard installed", "the guard is installed and complete; nothing was changed")


@command("guard remove", example="lockgate guard remove")
def remove(timeout: float) -> None:
    """Remove the guard.

    The ledger still records stage changes.
    """
    from lockgate.database import guard

    _tell(
        guard.remove,
        timeout,
        "guard removed: every client can now move any version",
        "the guard was not installed; nothing was changed",
    )


@command("ledger verify", example="lockgate ledger verify --export ledger.jsonl")
@click.option(
    "--export", "exported", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An earlier export. Its rows must still be in the ledger, unchanged.",
)  # fmt: skip
def verify(exported: Path | None, timeout: float) -> None:
    """Verify the hash of every row.

    The command ends with exit code 7 if a row was changed, removed or inserted, and names the row.
    """
    from lockgate.database import ledger

    here = workspace(timeout)
    rows = ledger.read(here.database, here.model)
    broken = [*ledger.breaks(rows), *ledger.missing_tail(here.database, here.model)]
    if exported:
        with exported.open(encoding="utf-8") as lines:
            broken += ledger.departures(rows, ledger.from_json_lines(lines))
    if broken:
        raise IntegrityBroken("; ".join(broken), where="ledger", hint="compare with a backup or an earlier export")
    last = f", the last one with hash {rows[-1].hash}" if rows else ""
    click.echo(f"{here.model}: {len(rows)} rows, all unchanged{last}")


@command("ledger export", example="lockgate ledger export > ledger.jsonl")
def export(timeout: float) -> None:
    """Print every row as a line of JSON.

    Keep the output on another machine: `ledger verify --export` compares it with the ledger later.
    """
    from lockgate.database import ledger

    here = workspace(timeout)
    for row in ledger.read(here.database, here.model):
        click.echo(ledger.as_json_line(row))


def _tell(act: Callable[..., bool], timeout: float, done: str, nothing: str) -> None:
    here = workspace(timeout)
    click.echo(done if act(here.database, here.actor) else nothing)


def _last_change(found: "Guard") -> str:
    if found.last_change is None:
        return ""
    return f", last {found.last_change} by {found.last_actor} at {found.last_at:%F %T %Z}"
