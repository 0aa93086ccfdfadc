"""A rollback for schedulers: made only if the monitor finds that the last good version would have been better."""

from dataclasses import dataclass, replace

from lockgate.errors import StateConflict
from lockgate.lifecycle.moves import Move
from lockgate.monitoring.advice import reason_of
from lockgate.monitoring.monitored import Monitored
from lockgate.operations import monitor, rollback
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.monitor import Inputs, Order
from lockgate.operations.rollback import RollbackResult
from lockgate.operations.workspace import Workspace

LONGEST = 1000  # characters of a reason


@dataclass(frozen=True)
class Alerted:
    """What the monitor found, and the rollback; None if there was no reason for one."""

    found: Monitored
    done: RollbackResult | None


def rollback_if_alert(workspace: Workspace, request: MoveRequest, order: Order) -> Alerted:
    """Roll back if a rule blames the version in Production and the last good version would have been better.

    The reason in the ledger is that of the request, if it has one, and the alert. Raises StateConflict if another
    version is in Production by the time of the move, and as `rollback` does.
    """
    found = monitor.monitor(workspace, order, Inputs(workspace))
    if not found.advice.rolls_back or found.earlier is None:
        return Alerted(found, None)
    blamed = found.findings.production.version

    def confirm(move: Move) -> None:
        if move.archives != (blamed,):
            raise StateConflict(
                f"version {blamed} is no longer in Production, so the alert is about another version",
                hint="look again with: lockgate monitor",
            )
        request.confirm(move)

    reason = "; ".join(filter(None, (request.reason, reason_of(found.findings))))[:LONGEST]
    alerted = replace(request, reason=reason, confirm=confirm)
    return Alerted(found, rollback.rollback(workspace, alerted, found.earlier.version))
