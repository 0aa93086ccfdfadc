"""The pages that ask before a move of Production: what will move, as --dry-run says, and what the page was based on."""

from dataclasses import dataclass

from lockgate.database import policies
from lockgate.errors import StateConflict, WrongUsage
from lockgate.lifecycle.moves import Move
from lockgate.lifecycle.stages import Command
from lockgate.operations import promote, rollback
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.workspace import Workspace
from lockgate.pages import child

NOBODY = "none"
DRY_RUN = "(dry run)"
VERBS = {
    Command.PROMOTE: "Promote",
    Command.ROLLBACK: "Roll back to",
    Command.UNDO: "Undo the last rollback: return to",
}


@dataclass(frozen=True)
class Planned:
    """A move that a person is asked to confirm. `current` is the version in Production when the page was made."""

    model: str
    version: int
    verb: str
    lines: tuple[str, ...]
    current: str


def plan_promotion(workspace: Workspace, version: int) -> Planned:
    """What a promotion would move. Raises StateConflict, in the words of the guard, if it would be refused."""
    move = promote.promote(workspace, _asked(DRY_RUN), version, policy_in_force(workspace), None)
    if move is None:
        raise StateConflict(f"version {version} is already in Production", hint="nothing is to be done")
    return _planned(workspace, move)


def plan_rollback(workspace: Workspace, to: int | None) -> Planned:
    """What a rollback would move; the bundle is not verified yet."""
    found = rollback.rollback(workspace, _asked(DRY_RUN), to, verify=lambda *_: None)
    return _planned(workspace, found.move)


def carry_out_promotion(workspace: Workspace, version: int, reason: str, current: str) -> None:
    """Promote the version, if the version in Production is still the one that the page showed."""
    request = MoveRequest(reason, dry_run=False, confirm=lambda move: _require_shown(move, current))
    made = promote.promote(workspace, request, version, policy_in_force(workspace), _number(current))
    if made is None:
        raise StateConflict(f"version {version} is already in Production", hint="nothing was changed")


def carry_out_rollback(workspace: Workspace, to: int, reason: str, current: str) -> None:
    """Return to the version, if the version in Production is still the one that the page showed."""
    request = MoveRequest(reason, dry_run=False, confirm=lambda move: _require_shown(move, current))
    rollback.rollback(workspace, request, to, verify=child.verified)


def policy_in_force(workspace: Workspace) -> str:
    """The digest of the policy in force: that of the newest verdict run, as the guard reads it."""
    changes = policies.changes(workspace.database, workspace.model)
    return changes[-1].policy_digest if changes else ""


def _asked(reason: str) -> MoveRequest:
    return MoveRequest(reason, dry_run=True, confirm=lambda _: None)


def _planned(workspace: Workspace, move: Move) -> Planned:
    lines = [f"version {move.version} goes from {move.from_stage} to {move.to_stage}"]
    lines += [f"version {each} goes from Production to Archived" for each in move.archives]
    return Planned(workspace.model, move.version, VERBS[move.command], tuple(lines), _current(move))


def _current(move: Move) -> str:
    return ",".join(map(str, move.archives)) or NOBODY


def _require_shown(move: Move, current: str) -> None:
    if _current(move) != current:
        raise StateConflict(
            f"version {_current(move)} is in Production now; this page was made when it was {current}",
            hint="load the page again and look at what would move",
        )


def _number(current: str) -> int | None:
    """The version that must be in Production; None if the page showed an empty Production."""
    if current == NOBODY:
        return None
    if not current.isdecimal() or len(current) > 9:
        raise WrongUsage("the form does not say which version is in Production", hint="load the page again")
    return int(current)
