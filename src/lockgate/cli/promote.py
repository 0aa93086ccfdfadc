"""`promote`, `rollback`, `retire`: the commands that change which version is in Production."""

from typing import TYPE_CHECKING

import click

from lockgate.cli.common_options import (
    LINE,
    PREPARED,
    VERSION,
    command,
    confirm,
    dry_run,
    params,
    reason,
    say,
    session,
    workspace,
    yes,
)
from lockgate.errors import WrongUsage
from lockgate.gate.verdict import policy_digest
from lockgate.lifecycle.moves import Move
from lockgate.lifecycle.stages import Command

if TYPE_CHECKING:
    from lockgate.operations.confirmed_move import MoveRequest
    from lockgate.operations.rollback import RollbackResult

VERBS = {
    Command.PROMOTE: "promote",
    Command.ROLLBACK: "roll back to",
    Command.UNDO: "undo the last rollback and return to",
    Command.RETIRE: "retire",
}


@command("promote", example='lockgate promote 3 --reason "reviewed by Anna" --yes')
@click.argument("version", type=VERSION, required=False)
@reason
@click.option("--expect-current", type=VERSION, help="Promote only if this version is in Production now.")
@yes
@dry_run
def promote(
    version: int | None, reason: str, expect_current: int | None, yes: bool, dry_run: bool, timeout: float
) -> None:  # fmt: skip
    """Move a version from Staging to Production.

    Without VERSION, the command moves the version in Staging. The version that was in Production is archived.
    """
    from lockgate.operations import promote

    policy = policy_digest(params().policy)
    move = promote.promote(workspace(timeout), _request(reason, yes, dry_run), version, policy, expect_current)
    if move is None:
        session().ids["version"] = version or 0
        click.echo(f"version {version} is already in Production; nothing was changed")
    elif dry_run:
        _report(move, "would go")


@command("rollback", example='lockgate rollback --reason "forecasts too high in store 5" --yes')
@click.option(
    "--to", type=VERSION,
    help="Version to return to. Default: the previous good version. To undo the last rollback, name the version that it"
    " removed.",
)  # fmt: skip
@click.option("--reason", type=LINE, help="The reason, in one line. The history shows it. Needed without --if-alert.")
@click.option(
    "--if-alert", is_flag=True,
    help="Roll back only if `lockgate monitor` would name a rollback. The reason names the alert.",
)  # fmt: skip
@yes
@dry_run
def rollback(to: int | None, reason: str | None, if_alert: bool, yes: bool, dry_run: bool, timeout: float) -> None:
    """Return to the previous good version in Production.

    The version that is in Production now is quarantined: it cannot be promoted again, unless this rollback is undone.
    """
    from lockgate.operations import rollback

    request = _request(reason or "", yes, dry_run)
    if if_alert:
        done = _if_alert(request, to, timeout)
    elif reason is None:
        raise WrongUsage("Missing option '--reason'.", hint="see: lockgate rollback --help")
    else:
        done = rollback.rollback(workspace(timeout), request, to)
    if done is None:
        return
    if dry_run:
        _report(done.move, "would go")
    elif done.verified is None:
        click.echo("an earlier run of this command moved the version, but ended before it printed the move")
    else:
        click.echo(f"verified in {done.verified:.2f} s, switched in {done.switched:.2f} s")


def _if_alert(request: "MoveRequest", to: int | None, timeout: float) -> "RollbackResult | None":
    """The rollback that the monitor names; None, said on stdout, if it names none."""
    if to is not None:
        raise WrongUsage("--to and --if-alert exclude each other", hint="an alert chooses the version itself")
    from lockgate.monitoring.live import ANSWERS
    from lockgate.monitoring.windows import length_of
    from lockgate.operations.alerted_rollback import rollback_if_alert
    from lockgate.operations.monitor import Order

    found = params()
    order = Order.of(found, length_of(found.monitor.window), ANSWERS, PREPARED)
    alerted = rollback_if_alert(workspace(timeout), request, order)
    if alerted.done is None:
        session().ids["version"] = alerted.found.findings.production.version
        say(f"no rollback: {alerted.found.advice.why}; next: {alerted.found.advice.command}")
    return alerted.done


@command("retire", example='lockgate retire --reason "the chain was sold" --yes')
@reason
@yes
@dry_run
def retire(reason: str, yes: bool, dry_run: bool, timeout: float) -> None:
    """Archive the version in Production and leave the stage empty."""
    from lockgate.operations import retire

    move = retire.retire(workspace(timeout), _request(reason, yes, dry_run))
    if dry_run:
        _report(move, "would go")


def _request(reason: str, yes: bool, dry_run: bool) -> "MoveRequest":
    from lockgate.operations.confirmed_move import MoveRequest

    return MoveRequest(reason, dry_run, _confirmed if yes else _ask, lambda move: _report(move, "went"))


def _confirmed(_: Move) -> None:
    """Ask nothing, because of --yes."""


def _ask(move: Move) -> None:
    confirm(f"{VERBS[move.command]} version {move.version}{_archiving(move)}?", yes=False)


def _report(move: Move, verb: str) -> None:
    session().ids["version"] = move.version
    click.echo(f"version {move.version} {verb} from {move.from_stage} to {move.to_stage}{_archiving(move)}")


def _archiving(move: Move) -> str:
    return "".join(f", version {version} to Archived" for version in move.archives)
