"""A command that was killed after its move, and is repeated, reports that move instead of moving again."""

from dataclasses import dataclass

from lockgate.database import intents
from lockgate.database.intents import CommandKey
from lockgate.lifecycle.moves import Move
from lockgate.lifecycle.stages import Command, Stage
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.workspace import Workspace


@dataclass(frozen=True)
class UnreportedMove:
    """A move that was made and not reported, and the number of its intent."""

    move: Move
    intent: int


def unreported_move(
    workspace: Workspace, reason: str, *commands: Command, version: int | None = None
) -> UnreportedMove | None:
    """The newest move of a version (without a version: of Production), if an earlier run of the same command made it.

    The same command is one of these, by the same actor for the same reason. None if that run reported its move.
    """
    key = CommandKey(commands, workspace.actor, reason)
    found = intents.unreported(workspace.database, workspace.model, key, version)
    if found is None:
        return None
    from_stage, to_stage = Stage(found.from_stage), Stage(found.to_stage)
    move = Move(found.version, from_stage, to_stage, Command(found.command), tuple(found.archives))
    return UnreportedMove(move, found.id)


def reported_again(workspace: Workspace, request: MoveRequest, version: int | None, *commands: Command) -> Move | None:
    """The move of Production that an earlier run of the same command made; reported now, but for a dry run.

    None if there is no such move, or if the move is of another version than the named one.
    """
    found = unreported_move(workspace, request.reason, *commands)
    if found is None or version not in (None, found.move.version):
        return None
    if not request.dry_run:
        request.report(found.move)
        intents.mark_reported(workspace.database, found.intent)
    return found.move
