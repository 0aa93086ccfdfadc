"""Retire: takes the version in Production out of service, with nothing in its place."""

from lockgate.lifecycle import moves
from lockgate.lifecycle.moves import Move
from lockgate.lifecycle.stages import Command
from lockgate.operations import repeat
from lockgate.operations.confirmed_move import MoveRequest, confirm_and_move
from lockgate.operations.workspace import Workspace
from lockgate.system.readable_line import readable_line


def retire(workspace: Workspace, request: MoveRequest) -> Move:
    """Archive the version in Production and leave the stage empty.

    Returns the move that was made (on a dry run: would be made). Raises StateConflict if Production is empty.
    """
    readable_line(request.reason, "the reason")
    made = repeat.reported_again(workspace, request, None, Command.RETIRE)
    if made is not None:
        return made
    move = moves.retirement(workspace.state())
    confirm_and_move(workspace, request, move, moves.retirement)
    return move
