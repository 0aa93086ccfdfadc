"""The human decision on a version: approve it, or reject it, which also archives it."""

from collections.abc import Callable

from lockgate.database import approvals, intents
from lockgate.database.approvals import Approval, Decision, Statement
from lockgate.database.intents import Words
from lockgate.lifecycle import moves
from lockgate.lifecycle.moves import Command, Move, Stage
from lockgate.operations.workspace import Workspace
from lockgate.system.readable_line import readable_line


def approve(backend: Workspace, version: int, reason: str, by: str | None) -> Approval:
    """Record that somebody (by default who runs this) approves the version on its newest verdict.

    Raises StateConflict if there is no passed verdict under the policy in force, or if the version is past Staging.
    """
    readable_line(reason, "the reason")
    backend.state().find(version)
    return approvals.record(backend.database, _statement(backend, version, Decision.APPROVED, reason, by))


def reject(
    backend: Workspace, version: int, reason: str, tell: Callable[[Move | None], None] = lambda move: None
) -> Move | None:
    """Record that the version is turned down and archive it; None if it is archived already.

    Whoever asks is told under the lock. Killed before that, the same command tells it when it is said again. Raises
    StateConflict for the version in Production.
    """
    readable_line(reason, "the reason")
    with backend.lock() as lock:
        move, intent = _made_before(backend, version, reason) or (moves.rejection(backend.state(), version), None)
        approvals.record(backend.database, _statement(backend, version, Decision.REJECTED, reason, None))
        if move is not None and intent is None:
            intent = lock.carry_out(move, reason)
        tell(move)
        if intent is not None:
            intents.tell(backend.database, intent)
    return move


def _made_before(backend: Workspace, version: int, reason: str) -> tuple[Move | None, int | None] | None:
    """The move that the same command has made, and its intent, if it was killed before it could say so."""
    words = Words([Command.REJECT], backend.actor, reason)
    found = intents.untold(backend.database, backend.model, words, version)
    if found is None:
        return None
    return Move(version, Stage(found.from_stage), Stage(found.to_stage), Command.REJECT, ()), found.id


def _statement(backend: Workspace, version: int, decision: Decision, reason: str, by: str | None) -> Statement:
    return Statement(backend.model, version, decision, by or backend.actor, backend.actor, reason)
