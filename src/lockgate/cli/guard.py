"""`guard` installs and checks the rules in the database; `ledger` verifies and exports the audit log."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli.common_options import LINE, as_json, command, confirm, group, params, print_json, say, workspace, yes
from lockgate.errors import IntegrityBroken, StateConflict

if TYPE_CHECKING:
    from lockgate.database.guard import Guard

group("guard", "Check, install or remove the rules in the database.\n\nThese rules apply to every client of MLflow.")
group(
    "ledger",
    "Verify or export the audit log.\n\nThe log has a row for each stage change, with the hash of the row before.",
)


DEFAULTS = {
    "open": "open (every other model behaves as on a plain MLflow server)",
    "closed": "closed (the guard covers every other model too)",
}


@command("guard status", example="lockgate guard status --json")
@as_json
def status(as_json: bool, timeout: float) -> None:
    """Show whether the guard is installed and complete.

    The command also lists the covered models, and what in the registry breaks the rules. It ends with exit code 5 if
    the guard is not installed or not complete.
    """
    from lockgate.database import coverage, guard

    database = workspace(timeout).database
    found, covered = guard.status(database), coverage.read(database)
    violations = guard.violations(database)
    if as_json:
        print_json(asdict(found) | {"default": covered.default, "covered": covered.models, "violations": violations})
    else:
        click.echo(f"guard {'installed' if found.installed else 'not installed'}{_last_change(found)}")
        say(f"covered models: {', '.join(covered.models) or 'none'}")
        click.echo(f"default: {DEFAULTS[covered.default]}")
        for line in violations:
            say(f"violation: {line}")
    if not found.installed:
        raise StateConflict("the guard is not installed", hint="install it with: lockgate guard install")
    if found.faults:
        raise StateConflict("; ".join(found.faults), hint="repair it with: lockgate guard install")


@command("guard install", example="lockgate guard install")
def install(timeout: float) -> None:
    """Install or repair the guard.

    The key guard.default of params.yaml says which models it covers. If something in the registry breaks the rules,
    the command lists it, changes nothing and ends with exit code 5.
    """
    from lockgate.database import coverage, guard

    where, default = workspace(timeout), params().guard.default
    installed = guard.install(where.database, where.actor)
    click.echo("guard installed" if installed else "the guard is installed and complete; nothing was changed")
    if coverage.set_default(where.database, default, where.actor):
        click.echo(f"default: {DEFAULTS[default]}")


@command("guard remove", example="lockgate guard remove")
def remove(timeout: float) -> None:
    """Remove the guard.

    The ledger still records stage changes of covered models.
    """
    from lockgate.database import guard

    where = workspace(timeout)
    if guard.remove(where.database, where.actor):
        click.echo("guard removed: every client can now move any version")
    else:
        click.echo("the guard was not installed; nothing was changed")


@command("guard cover", example="lockgate guard cover churn-classifier")
@click.argument("name", type=LINE)
def cover(name: str, timeout: float) -> None:
    """Put a registered model under the guard.

    From then on the rules apply to model NAME in every workspace of MLflow. If its versions or aliases break the
    rules, the command changes nothing and ends with exit code 5.
    """
    from lockgate.database import coverage

    where = workspace(timeout)
    done = coverage.cover(where.database, name, where.actor)
    click.echo(f"{name} is {'now' if done else 'already'} under the guard")


@command("guard uncover", example="lockgate guard uncover churn-classifier --yes")
@click.argument("name", type=LINE)
@yes
def uncover(name: str, yes: bool, timeout: float) -> None:
    """Take a registered model out of the guard.

    From then on model NAME behaves as on a plain MLflow server, and the ledger does not record its stage changes.
    """
    from lockgate.database import coverage

    where = workspace(timeout)
    confirm(f"Every client can then move any version of {name}. Go on?", yes)
    done = coverage.uncover(where.database, name, where.actor)
    click.echo(f"{name} is no longer under the guard" if done else f"{name} is not under the guard")


@command("ledger verify", example="lockgate ledger verify --export ledger.jsonl")
@click.option(
    "--export", "exported", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An earlier export. Its rows must still be in the ledger, unchanged.",
)  # fmt: skip
def verify(exported: Path | None, timeout: float) -> None:
    """Verify the hash of every row.

    The command ends with exit code 7 if a row was changed, removed or inserted, or if a version is in another stage
    than its last row.
    """
    from lockgate.database import ledger
    from lockgate.lifecycle import invariants
    from lockgate.operations.status import facts

    here = workspace(timeout)
    rows = ledger.read(here.database, here.model)
    known = here.database.read_one_moment(lambda: facts(here))
    broken = [*known.ledger_breaks, *invariants.CHECKERS["ledger tells every stage"](known)]
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


def _last_change(found: "Guard") -> str:
    if found.last_change is None:
        return ""
    return f", last {found.last_change} by {found.last_actor} at {found.last_at:%F %T %Z}"
