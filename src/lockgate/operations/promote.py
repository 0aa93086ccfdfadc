"""Promote, roll back, retire: makes the moves that `lifecycle` decides, under the lock of the model."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from lockgate.database import intents, verdicts
from lockgate.database.intents import Words
from lockgate.database.verdicts import StoredVerdict
from lockgate.errors import StateConflict
from lockgate.lifecycle import moves
from lockgate.lifecycle.moves import Command, ModelState, Move, PromotionVerdict, Stage
from lockgate.operations import load_version
from lockgate.operations.workspace import Workspace
from lockgate.system.readable_line import readable_line


@dataclass(frozen=True)
class Order:
    """What a person asks for: why, whether only to look, how they confirm (an exception stops it), how they are told.

    They are told of a move under the lock, and only then is it on record that they were: a command that is killed in
    between tells it when it is said again, and does not move once more.
    """

    reason: str
    dry_run: bool
    confirm: Callable[[Move], None]
    tell: Callable[[Move], None] = lambda move: None


@dataclass(frozen=True)
class RollbackResult:
    """A rollback that was made (on a dry run: would be), and the seconds that it took.

    Without seconds, an earlier run of the same command had made it and was killed before it could say so.
    """

    move: Move
    verified: float | None
    switched: float | None


def promote(
    backend: Workspace, order: Order, version: int | None, policy_digest: str, expect_current: int | None
) -> Move | None:
    """Move a version from Staging to Production and archive the prior one.

    Returns the move that was made (on a dry run: would be made), None if the named version is in Production already.
    Raises StateConflict if the version may not be promoted.
    """
    readable_line(order.reason, "the reason")

    def decide(roster: ModelState) -> Move | None:
        standing = _standing(_verdict_on_candidate(backend, roster, version))
        move = moves.promotion(roster, version, standing, policy_digest, expect_current)
        if move is not None:
            _require_no_objection(backend, roster, move)
        return move

    made = _made_before(backend, order, version, Command.PROMOTE)
    if made is not None:
        return made
    move = decide(backend.state())
    if move is not None:
        _confirm_and_move(backend, order, move, decide)
    return move


def rollback(backend: Workspace, order: Order, to: int | None) -> RollbackResult:
    """Bring the last good Production (or the named one) back, after its bundle was verified and has forecast its probe.

    Raises StateConflict if there is nowhere to go back to, and IntegrityBroken if the bundle is not what was
    registered; then nothing was changed.
    """
    readable_line(order.reason, "the reason")
    made = _made_before(backend, order, to, Command.ROLLBACK, Command.UNDO)
    if made is not None:
        return RollbackResult(made, None, None)
    began = perf_counter()
    roster = backend.state()
    move = moves.rollback(roster, to)
    load_version.verify(backend, roster.find(move.version))
    verified = perf_counter() - began
    switched = _confirm_and_move(backend, order, move, lambda now: moves.rollback(now, to))
    return RollbackResult(move, verified, switched)


def retire(backend: Workspace, order: Order) -> Move:
    """Take the version in Production out of service, with nothing in its place.

    Returns the move that was made (on a dry run: would be made). Raises StateConflict if Production is empty.
    """
    readable_line(order.reason, "the reason")
    made = _made_before(backend, order, None, Command.RETIRE)
    if made is not None:
        return made
    move = moves.retirement(backend.state())
    _confirm_and_move(backend, order, move, moves.retirement)
    return move


def _made_before(backend: Workspace, order: Order, version: int | None, *commands: Command) -> Move | None:
    """The move that the same command, said before and killed in the middle, has made: saying it again must not move on.

    It is the newest change of Production, by the same person for the same reason, and nobody was told of it.
    """
    found = intents.untold(backend.database, backend.model, Words(commands, backend.actor, order.reason))
    if found is None or version not in (None, found.version):
        return None
    from_stage, to_stage, command = Stage(found.from_stage), Stage(found.to_stage), Command(found.command)
    move = Move(found.version, from_stage, to_stage, command, tuple(found.archives))
    if not order.dry_run:
        order.tell(move)
        intents.tell(backend.database, found.id)
    return move


def _confirm_and_move(
    backend: Workspace, order: Order, move: Move, decide: Callable[[ModelState], Move | None]
) -> float:
    """Ask; then decide again under the lock, since somebody else may have moved while the person was thinking.

    Gives the seconds from the person's yes to the move.
    """
    if order.dry_run:
        return 0.0
    order.confirm(move)
    agreed = perf_counter()
    with backend.lock() as lock:
        roster = backend.state()
        _require_unchanged(roster, move, decide(roster))
        intent = lock.carry_out(move, order.reason)
        switched = perf_counter() - agreed
        order.tell(move)
        intents.tell(backend.database, intent)
    return switched


def _require_no_objection(backend: Workspace, roster: ModelState, move: Move) -> None:
    """What the guard would refuse at the end is said before anybody is asked to confirm."""
    objection = intents.objection_to_rise(backend.database, backend.intent(move, ""))
    if objection is None:
        return
    now = backend.state()
    if now.ledger != roster.ledger:  # the objection is to what has come of it meanwhile
        raise moves.concurrent_move(now, move)
    raise StateConflict(f"version {move.version} may not be promoted: {objection.says}", hint=objection.hint)


def _require_unchanged(roster: ModelState, agreed: Move, decided_now: Move | None) -> None:
    if decided_now != agreed:
        raise moves.concurrent_move(roster, agreed)


def _verdict_on_candidate(backend: Workspace, roster: ModelState, version: int | None) -> StoredVerdict | None:
    serving = roster.serving()
    if serving is not None and version == serving.version:
        return None
    candidate = moves.candidate_for_promotion(roster, version)
    return verdicts.latest_verdict(backend.database, backend.model, candidate.version)


def _standing(verdict: StoredVerdict | None) -> PromotionVerdict | None:
    if verdict is None:
        return None
    return PromotionVerdict(verdict.outcome, verdict.digests.policy_digest, verdict.digests.serving_digest)
