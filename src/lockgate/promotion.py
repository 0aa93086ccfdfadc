"""The moves that a person makes of Production: promote, rollback, retire. `lifecycle` decides, the lock keeps order."""

from collections.abc import Callable
from dataclasses import dataclass

from lockgate import lifecycle, scoring
from lockgate.backend import Backend
from lockgate.database import intents, verdicts
from lockgate.database.verdicts import StoredVerdict
from lockgate.errors import StateConflict, WrongUsage
from lockgate.lifecycle import Move, Roster, Standing

MAX_REASON = 2000


@dataclass(frozen=True)
class Order:
    """What a person asks for: why, whether only to look, and how they confirm (an exception stops it)."""

    reason: str
    dry_run: bool
    confirm: Callable[[Move], None]


def promote(
    backend: Backend, order: Order, version: int | None, policy_digest: str, expect_current: int | None
) -> Move | None:
    """Move a version from Staging to Production and archive the prior one.

    Returns the move that was made (on a dry run: would be made), None if the named version is in Production already.
    Raises StateConflict if the version may not be promoted.
    """
    check_reason(order.reason)

    def decide(roster: Roster) -> Move | None:
        standing = _standing(_verdict_on_candidate(backend, roster, version))
        move = lifecycle.promotion(roster, version, standing, policy_digest, expect_current)
        if move is not None:
            _require_no_objection(backend, move)
        return move

    move = decide(backend.roster())
    if move is not None:
        _confirm_and_move(backend, order, move, decide)
    return move


def rollback(backend: Backend, order: Order, to: int | None) -> Move:
    """Bring the last good Production (or the named one) back, after its bundle was verified and has forecast its probe.

    Returns the move that was made (on a dry run: would be made). Raises StateConflict if there is nowhere to go back
    to, and IntegrityBroken if the bundle is not what was registered; then nothing was changed.
    """
    check_reason(order.reason)
    roster = backend.roster()
    move = lifecycle.rollback(roster, to)
    scoring.verify(backend, roster.find(move.version))
    _confirm_and_move(backend, order, move, lambda now: lifecycle.rollback(now, to))
    return move


def retire(backend: Backend, order: Order) -> Move:
    """Take the version in Production out of service, with nothing in its place.

    Returns the move that was made (on a dry run: would be made). Raises StateConflict if Production is empty.
    """
    check_reason(order.reason)
    move = lifecycle.retirement(backend.roster())
    _confirm_and_move(backend, order, move, lifecycle.retirement)
    return move


def _confirm_and_move(backend: Backend, order: Order, move: Move, decide: Callable[[Roster], Move | None]) -> None:
    """Ask; then decide again under the lock, since somebody else may have moved while the person was thinking."""
    if order.dry_run:
        return
    order.confirm(move)
    with backend.database.lock(backend.model, wait=backend.timeout):
        roster = backend.roster()
        _require_unchanged(roster, move, decide(roster))
        backend.carry_out(move, order.reason)


def _require_no_objection(backend: Backend, move: Move) -> None:
    """What the guard would refuse at the end is said before anybody is asked to confirm."""
    objection = intents.objection_to_rise(backend.database, backend.intent(move, ""))
    if objection is not None:
        raise StateConflict(f"version {move.version} may not be promoted: {objection.says}", hint=objection.hint)


def _require_unchanged(roster: Roster, agreed: Move, decided_now: Move | None) -> None:
    if decided_now == agreed:
        return
    raise StateConflict(
        f"somebody was faster than this {agreed.command}{roster.last_move()}", hint="look again with: lockgate status"
    )


def _verdict_on_candidate(backend: Backend, roster: Roster, version: int | None) -> StoredVerdict | None:
    serving = roster.serving()
    if serving is not None and version == serving.version:
        return None
    candidate = lifecycle.candidate_for_promotion(roster, version)
    return verdicts.latest_verdict(backend.database, backend.model, candidate.version)


def _standing(verdict: StoredVerdict | None) -> Standing | None:
    if verdict is None:
        return None
    return Standing(verdict.outcome, verdict.digests.policy_digest, verdict.digests.serving_digest)


def check_reason(reason: str) -> None:
    """Raises WrongUsage unless the reason is one readable line."""
    if not reason.strip() or len(reason) > MAX_REASON or not reason.isprintable():
        raise WrongUsage(
            f"the reason has {len(reason)} characters", hint=f"say why in one line of 1 to {MAX_REASON} characters"
        )
