"""Rollback: brings an earlier version back into Production, after its bundle was verified."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from lockgate.lifecycle import moves
from lockgate.lifecycle.model_state import Registered
from lockgate.lifecycle.moves import Move
from lockgate.lifecycle.stages import Command
from lockgate.operations import repeat
from lockgate.operations.confirmed_move import MoveRequest, confirm_and_move
from lockgate.operations.workspace import Workspace
from lockgate.system.readable_line import readable_line


@dataclass(frozen=True)
class RollbackResult:
    """A rollback that was made (on a dry run: would be), and the seconds that it took.

    Without seconds, an earlier run of the same command had made it and was killed before it reported the move.
    """

    move: Move
    verified: float | None
    switched: float | None


def verified_here(workspace: Workspace, registered: Registered) -> None:
    """Open the version in this process, and close it again."""
    from lockgate.operations import load_version  # imports the boosters: a rollback that opens nothing needs none

    load_version.verify(workspace, registered)


def rollback(
    workspace: Workspace,
    request: MoveRequest,
    to: int | None,
    verify: Callable[[Workspace, Registered], None] = verified_here,
) -> RollbackResult:
    """Bring the last good Production (or the named one) back, after its bundle was verified and has forecast its probe.

    Raises StateConflict if there is nowhere to go back to, and IntegrityBroken if the bundle is not what was
    registered; then nothing was changed.
    """
    readable_line(request.reason, "the reason")
    made = repeat.reported_again(workspace, request, to, Command.ROLLBACK, Command.UNDO)
    if made is not None:
        return RollbackResult(made, None, None)
    began = perf_counter()
    state = workspace.state()
    move = moves.rollback(state, to)
    verify(workspace, state.find(move.version))
    verified = perf_counter() - began
    switched = confirm_and_move(workspace, request, move, lambda now: moves.rollback(now, to))
    return RollbackResult(move, verified, switched)
