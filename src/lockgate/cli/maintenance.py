"""`gc` deletes old versions; `doctor` checks the registry and repairs what is safe to repair."""

import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.common_options import (
    as_json,
    command,
    confirm,
    dry_run,
    params,
    print_json,
    say,
    table,
    tell,
    workspace,
    yes,
)

if TYPE_CHECKING:
    from lockgate.doctor.report import Checked, Examination
    from lockgate.lifecycle.retention import Fate, Rule
    from lockgate.operations.workspace import Workspace


@command("gc", example="lockgate gc --keep 5 --older-than 12w --dry-run")
@click.option(
    "--keep", type=click.IntRange(min=1), default=10, show_default=True, metavar="N",
    help="Number of the newest rollback targets that stay.",
)  # fmt: skip
@click.option(
    "--older-than",
    default="90d",
    show_default=True,
    metavar="AGE",
    help="Versions younger than this stay: 90d, 12w, 36h.",
)
@yes
@dry_run
@as_json
def gc(keep: int, older_than: str, yes: bool, dry_run: bool, as_json: bool, timeout: float) -> None:
    """Delete old versions with their runs and files.

    The ledger stays, and so do all versions that a rollback may need.
    """
    from lockgate.lifecycle import retention
    from lockgate.operations import gc

    rule = retention.Rule(keep, retention.span(older_than))
    here = workspace(timeout)
    fates = gc.plan(here, rule)
    agreed = [fate for fate in fates if fate.goes]
    if not as_json:
        _show(fates)
    if agreed and not dry_run:
        _confirm(here.model, agreed, yes)
        done = {fate.version: fate for fate in _collect(here, rule, agreed, older_than)}
        fates = [done.get(fate.version, fate) for fate in fates]
    if as_json:
        print_json([asdict(fate) | {"goes": fate.goes} for fate in fates])
    elif not agreed:
        click.echo("nothing to delete")


def _collect(here: "Workspace", rule: "Rule", agreed: "Sequence[Fate]", older_than: str) -> "list[Fate]":
    from lockgate.operations import gc

    done = []
    for fate in gc.collect(here, rule, list(agreed), f"--keep {rule.keep} --older-than {older_than}"):
        done.append(fate)
        tell(f"version {fate.version} " + ("is deleted" if fate.goes else f"stays: {fate.kept_for}"))
    return done


def _confirm(model: str, agreed: "Sequence[Fate]", yes: bool) -> None:
    numbers = ", ".join(str(fate.version) for fate in agreed)
    confirm(f"delete version {numbers} of {model} permanently, with runs and files?", yes)


def _show(fates: "Sequence[Fate]") -> None:
    table(
        ["version", "stage", "", "reason"],
        [
            [str(fate.version), fate.stage, "deleted" if fate.goes else "stays", fate.kept_for or "no rule keeps it"]
            for fate in fates
        ],
    )


@command("doctor", example="lockgate doctor --repair")
@click.option("--repair", is_flag=True, help="Repair what is safe to repair.")
@click.option("--all", "every_version", is_flag=True, help="Check the files of every version.")
@as_json
def doctor(repair: bool, every_version: bool, as_json: bool, timeout: float) -> None:
    """Check servers, registry, ledger, guard, files and folders.

    The command ends with exit code 0 if all is well, and with 5, 6 or 7 if a problem remains.
    """
    from lockgate.doctor import checks
    from lockgate.doctor.context import Site

    found = checks.examine(Site.here(params(), timeout, every_version), repair)
    if as_json:
        print_json(_as_json(found))
    else:
        _report(found)
    ending = found.ending()
    if ending is not None:
        raise ending


def _report(found: "Examination") -> None:
    """Print one line for each check; below it each finding with its hint."""
    width = max(len(each.name) for each in found.checked)
    printed: set[str] = set()
    for each in found.checked:
        click.echo(f"{each.name:<{width}}  {_outcome(each)}")
        for finding in each.findings:
            _indented(finding.message, "  - ")
            _indented(f"{finding.hint}{' (--repair does it)' if finding.repair else ''}", "    ")
        if each.refusal and str(each.refusal) not in printed:
            printed.add(str(each.refusal))
            _indented(str(each.refusal), "  - ")
            _indented(each.refusal.hint, "    ")
    for line in found.repaired:
        _indented(line, "repaired: ")


def _outcome(checked: "Checked") -> str:
    if checked.refusal:
        return "not checked"
    if not checked.findings:
        return "ok"
    return "warning" if all(finding.weight == "warning" for finding in checked.findings) else "WRONG"


def _indented(text: str, first: str) -> None:
    width = shutil.get_terminal_size((80, 24)).columns
    say(textwrap.fill(text, width, initial_indent=first, subsequent_indent=" " * len(first)))


def _as_json(found: "Examination") -> dict[str, Any]:
    checks = [
        {
            "name": each.name,
            "outcome": _outcome(each),
            "refusal": str(each.refusal) if each.refusal else None,
            "findings": [
                {"says": finding.message, "hint": finding.hint, "weight": finding.weight, "safe": bool(finding.repair)}
                for finding in each.findings
            ],
        }
        for each in found.checked
    ]
    return {"checks": checks, "repaired": list(found.repaired)}
