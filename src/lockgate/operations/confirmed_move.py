"""Makes a move in or out of Production after a person confirmed the move, under the lock of the model."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from lockgate.database import intents
from lockgate.lifecycle import moves
from lockgate.lifecycle.model_state import ModelState
from lockgate.lifecycle.moves import Move
from lockgate.operations.workspace import Workspace


@dataclass(frozen=True)
class MoveRequest:
    """The request of a person: reason, dry run, how to confirm (an exception stops the command), how to report.

    A move is reported under the lock, and only then recorded as reported: the same command after a kill in between
    reports the move and does not move again (see `repeat`).
    """

    reason: str
    dry_run: bool
    confirm: Callable[[Move], None]
    report: Callable[[Move], None] = lambda move: None


def confirm_and_move(
    workspace: Workspace, request: MoveRequest, move: Move, decide: Callable[[ModelState], Move | None]
) -> float:
    """Ask the person, decide again under the lock, since the registry may have changed meanwhile, and make the move.

    Returns the seconds from the confirmation to the move; on a dry run 0, without asking. StateConflict for another
    decision.
    """
    if request.dry_run:
        return 0.0
    request.confirm(move)
    confirmed = perf_counter()
    with workspace.lock() as lock:
        state = workspace.state()
        if decide(state) != move:
            raise moves.concurrent_move(state, move)
        intent = lock.carry_out(move, request.reason)
        switched = perf_counter() - confirmed
        request.report(move)
        intents.mark_reported(workspace.database, intent)
    return switched
