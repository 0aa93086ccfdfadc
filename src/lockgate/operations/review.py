"""The human decision on a version: approve it, or reject it, which also archives it."""

from collections.abc import Callable

from lockgate.database import approvals, intents
from lockgate.database.approvals import Approval, Decision, Statement
from lockgate.lifecycle import moves
from lockgate.lifecycle.moves import Move
from lockgate.lifecycle.stages import Command
from lockgate.operations import repeat
from lockgate.operations.workspace import Workspace
from lockgate.system.readable_line import readable_line


def approve(workspace: Workspace, version: int, reason: str, by: str | None) -> Approval:
    """Record that `by` (by default the actor) approves the version on its newest verdict.

    Raises StateConflict if there is no passed verdict under the policy in force, or if the version is past Staging.
    """
    readable_line(reason, "the reason")
    workspace.state().find(version)
    return approvals.record(workspace.database, _statement(workspace, version, Decision.APPROVED, reason, by))


def reject(
    workspace: Workspace, version: int, reason: str, report: Callable[[Move | None], None] = lambda move: None
) -> Move | None:
    """Record the rejection of a version and archive it; returns the move, or None if it is already archived.

    The move is reported under the lock. After a kill before that, the same command reports the move that was made.
    Raises StateConflict for the version in Production.
    """
    readable_line(reason, "the reason")
    with workspace.lock() as lock:
        made = repeat.unreported_move(workspace, reason, Command.REJECT, version=version)
        move = made.move if made else moves.rejection(workspace.state(), version)
        approvals.record(workspace.database, _statement(workspace, version, Decision.REJECTED, reason, None))
        intent = made.intent if made else None
        if move is not None and intent is None:
            intent = lock.carry_out(move, reason)
        report(move)
        if intent is not None:
            intents.mark_reported(workspace.database, intent)
    return move


def _statement(workspace: Workspace, version: int, decision: Decision, reason: str, by: str | None) -> Statement:
    return Statement(workspace.model, version, decision, by or workspace.actor, workspace.actor, reason)
