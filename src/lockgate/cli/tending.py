"""`gc` and `doctor`: what keeps a registry small and sound."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from lockgate.cli.frame import backend, command, table, tell
from lockgate.cli.moves import dry_run, yes
from lockgate.errors import WrongUsage

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@command("gc", example="lockgate gc --keep 5 --older-than 12w --dry-run")
@click.option(
    "--keep", type=click.IntRange(min=1), default=10, show_default=True, metavar="N",
    help="How many of the last rollback targets stay.",
)  # fmt: skip
@click.option(
    "--older-than", default="90d", show_default=True, metavar="AGE", help="Younger versions stay: 90d, 12w, 36h."
)
@yes
@dry_run
@as_json
def gc(keep: int, older_than: str, yes: bool, dry_run: bool, as_json: bool, timeout: float) -> None:
    """Delete versions that nothing needs, with runs and files; the ledger, and what a rollback may need, stay."""
    from lockgate import collection, retention

    rule = retention.Rule(keep, retention.span(older_than))
    where = backend(timeout)
    fates = collection.plan(where, rule)
    agreed = [fate for fate in fates if fate.goes]
    if not as_json:
        _show(fates)
    if agreed and not dry_run:
        _confirm(where.model, agreed, yes)
        done = {fate.version: fate for fate in _collect(where, rule, agreed, older_than)}
        fates = [done.get(fate.version, fate) for fate in fates]
    if as_json:
        click.echo(json.dumps([asdict(fate) | {"goes": fate.goes} for fate in fates], indent=2))
    elif not agreed:
        click.echo("nothing to delete")


def _collect(where: Any, rule: Any, agreed: Sequence[Any], older_than: str) -> list[Any]:
    from lockgate import collection

    done = []
    for fate in collection.collect(where, rule, list(agreed), f"--keep {rule.keep} --older-than {older_than}"):
        done.append(fate)
        tell(f"version {fate.version} " + ("is deleted" if fate.goes else f"stays: {fate.kept_for}"))
    return done


def _confirm(model: str, agreed: Sequence[Any], yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise WrongUsage("nobody is here to agree", hint="say --yes to go on without being asked")
    numbers = ", ".join(str(fate.version) for fate in agreed)
    click.confirm(f"delete version {numbers} of {model} for good, with run and files?", abort=True, err=True)


def _show(fates: Sequence[Any]) -> None:
    table(
        ["version", "stage", "", "because"],
        [
            [str(fate.version), fate.stage, "goes" if fate.goes else "stays", fate.kept_for or "nothing speaks for it"]
            for fate in fates
        ],
    )
