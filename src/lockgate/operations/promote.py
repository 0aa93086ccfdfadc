"""Promote: moves a version from Staging to Production."""

from lockgate.database import intents, verdicts
from lockgate.database.verdicts import StoredVerdict
from lockgate.errors import StateConflict
from lockgate.lifecycle import moves
from lockgate.lifecycle.model_state import ModelState
from lockgate.lifecycle.moves import Move, PromotionVerdict
from lockgate.lifecycle.stages import Command
from lockgate.operations import repeat
from lockgate.operations.confirmed_move import MoveRequest, confirm_and_move
from lockgate.operations.workspace import Workspace
from lockgate.system.readable_line import readable_line


def promote(
    workspace: Workspace, request: MoveRequest, version: int | None, policy_digest: str, expect_current: int | None
) -> Move | None:
    """Move a version from Staging to Production and archive the prior one.

    Returns the move that was made (on a dry run: would be made), None if the named version is in Production already.
    Raises StateConflict if the version may not be promoted.
    """
    readable_line(request.reason, "the reason")

    def decide(state: ModelState) -> Move | None:
        standing = _standing(_verdict_on_candidate(workspace, state, version))
        move = moves.promotion(state, version, standing, policy_digest, expect_current)
        if move is not None:
            _require_no_objection(workspace, state, move)
        return move

    made = repeat.reported_again(workspace, request, version, Command.PROMOTE)
    if made is not None:
        return made
    move = decide(workspace.state())
    if move is not None:
        confirm_and_move(workspace, request, move, decide)
    return move


def _require_no_objection(workspace: Workspace, state: ModelState, move: Move) -> None:
    """Raise the refusal of the guard before the person is asked to confirm."""
    objection = intents.objection_to_rise(workspace.database, workspace.intent(move, ""))
    if objection is None:
        return
    now = workspace.state()
    if now.ledger != state.ledger:  # the registry has changed since the decision
        raise moves.concurrent_move(now, move)
    raise StateConflict(f"version {move.version} may not be promoted: {objection.reason}", hint=objection.hint)


def _verdict_on_candidate(workspace: Workspace, state: ModelState, version: int | None) -> StoredVerdict | None:
    serving = state.serving()
    if serving is not None and version == serving.version:
        return None
    candidate = moves.candidate_for_promotion(state, version)
    return verdicts.latest_verdict(workspace.database, workspace.model, candidate.version)


def _standing(verdict: StoredVerdict | None) -> PromotionVerdict | None:
    if verdict is None:
        return None
    return PromotionVerdict(verdict.outcome, verdict.digests.policy_digest, verdict.digests.serving_digest)
