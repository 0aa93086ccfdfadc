"""The human decision on a version: approve it, or reject it, which also archives it."""

from lockgate import lifecycle
from lockgate.backend import Backend
from lockgate.database import approvals
from lockgate.database.approvals import Approval, Decision, Statement
from lockgate.lifecycle import Move
from lockgate.promotion import check_reason


def approve(backend: Backend, version: int, reason: str, by: str | None) -> Approval:
    """Record that somebody (by default who runs this) approves the version on its newest verdict.

    Raises StateConflict if there is no passed verdict under the policy in force, or if the version is past Staging.
    """
    check_reason(reason)
    backend.roster().find(version)
    return approvals.record(backend.database, _statement(backend, version, Decision.APPROVED, reason, by))


def reject(backend: Backend, version: int, reason: str) -> Move | None:
    """Record that the version is turned down and archive it; None if it is archived already.

    Raises StateConflict for the version in Production.
    """
    check_reason(reason)
    with backend.alone() as hold:
        move = lifecycle.rejection(backend.roster(), version)
        approvals.record(backend.database, _statement(backend, version, Decision.REJECTED, reason, None))
        if move is not None:
            hold.carry_out(move, reason)
    return move


def _statement(backend: Backend, version: int, decision: Decision, reason: str, by: str | None) -> Statement:
    return Statement(backend.model, version, decision, by or backend.actor, backend.actor, reason)
