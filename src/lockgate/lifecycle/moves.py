"""The decision of each command that moves a version: the move, or the reason against it. Pure."""

from dataclasses import dataclass

from lockgate.errors import StateConflict
from lockgate.lifecycle.model_state import ModelState, Registered
from lockgate.lifecycle.stages import LEGAL_MOVES, Command, Stage


@dataclass(frozen=True)
class PromotionVerdict:
    """The verdict on which a version would be promoted."""

    outcome: str
    policy_digest: str
    serving_digest: str | None


@dataclass(frozen=True)
class Move:
    """The decision of a command: a version changes its stage, and `archives` are archived in the same transaction."""

    version: int
    from_stage: Stage
    to_stage: Stage
    command: Command
    archives: tuple[int, ...]


def staging(state: ModelState, version: int) -> Move | None:
    """The move of a passed version from None to Staging; None if the version is in another stage."""
    candidate = state.find(version)
    if candidate.stage is not Stage.NONE:
        return None
    return _move(state, candidate, Stage.STAGING, Command.VALIDATE)


def candidate_for_validation(state: ModelState, version: int | None) -> Registered:
    """The version to judge: the given one, else the newest in None. Raises StateConflict if it is past Staging."""
    if version is None:
        waiting = [registered for registered in state.versions if registered.stage is Stage.NONE]
        if not waiting:
            raise StateConflict(
                f"no version of {state.model} is in None{state.last_move()}",
                hint="register one with: dvc repro, or lockgate register PATH",
            )
        return waiting[-1]
    candidate = state.find(version)
    if candidate.stage not in (Stage.NONE, Stage.STAGING):
        raise StateConflict(
            f"version {version} is in {candidate.stage}; only candidates in None or Staging are judged",
            hint="see its verdict with: lockgate verdict " + str(version),
        )
    return candidate


def promotion(
    state: ModelState,
    version: int | None,
    standing: PromotionVerdict | None,
    policy_digest: str,
    expect_current: int | None = None,
) -> Move | None:
    """The move from Staging to Production on a passed verdict; None if the given version is already in Production.

    Raises StateConflict with the reason if the version may not be promoted.
    """
    serving = state.serving()
    if version is not None and serving is not None and serving.version == version:
        return None
    _expect(state, serving, expect_current)
    candidate = candidate_for_promotion(state, version)
    _require_standing(candidate.version, standing, policy_digest, serving)
    return _move(state, candidate, Stage.PRODUCTION, Command.PROMOTE)


def candidate_for_promotion(state: ModelState, version: int | None) -> Registered:
    """The version to promote: the given one, else the version in Staging.

    Raises StateConflict if it cannot be promoted from its stage.
    """
    candidate = state.in_stage(Stage.STAGING) if version is None else state.find(version)
    if candidate is None:
        raise StateConflict(
            f"no version of {state.model} is in Staging{state.last_move()}",
            hint="train and validate one with: dvc repro",
        )
    if state.quarantined(candidate.version):
        raise StateConflict(
            f"version {candidate.version} is quarantined: a rollback took it out of Production",
            hint=_how_to_undo(state, candidate.version),
        )
    if candidate.stage is not Stage.STAGING:
        raise StateConflict(
            f"version {candidate.version} is in {candidate.stage}, not in Staging",
            hint=_HOW_TO_REACH_STAGING[candidate.stage].format(candidate.version),
        )
    return candidate


def rollback(state: ModelState, to: int | None = None) -> Move:
    """The move back to the newest good version before the serving (or retired) one, or to the version `to`.

    If `to` is the version that the last rollback took out, the move undoes that rollback.
    Raises StateConflict if there is no such version.
    """
    serving = state.serving()
    if serving is None and state.last_departure() is None:
        raise StateConflict(
            f"no version of {state.model} has been in Production, so there is nothing to roll back to",
            hint="promote one with: lockgate promote",
        )
    if to is not None and to == state.taken_out_last():
        return _move(state, state.find(to), Stage.PRODUCTION, Command.UNDO)
    return _move(state, _rollback_target(state, serving, to), Stage.PRODUCTION, Command.ROLLBACK)


def retirement(state: ModelState) -> Move:
    """The move of the version in Production to Archived, without a replacement.

    Raises StateConflict if there is none.
    """
    serving = state.serving()
    if serving is None:
        raise StateConflict(
            f"no version of {state.model} is in Production, so there is nothing to retire{state.last_move()}",
            hint="see: lockgate status",
        )
    return _move(state, serving, Stage.ARCHIVED, Command.RETIRE)


def rejection(state: ModelState, version: int) -> Move | None:
    """The move of a rejected version to Archived, or None if it is there.

    Raises StateConflict for the serving version.
    """
    candidate = state.find(version)
    if candidate.stage is Stage.PRODUCTION:
        raise StateConflict(
            f"version {version} of {state.model} is in Production", hint="take it out with: lockgate rollback"
        )
    return None if candidate.stage is Stage.ARCHIVED else _move(state, candidate, Stage.ARCHIVED, Command.REJECT)


def concurrent_move(state: ModelState, agreed: Move) -> StateConflict:
    """The error for a move that another client prevented by a move of its own; the message names that move."""
    return StateConflict(
        f"another client moved a version before this {agreed.command}{state.last_move()}",
        hint="look again with: lockgate status",
    )


def _rollback_target(state: ModelState, serving: Registered | None, to: int | None) -> Registered:
    good = good_productions(state)
    if to is None and not good:
        raise StateConflict(
            f"no earlier good Production of {state.model} to roll back to",
            hint=_how_to_undo(state, state.taken_out_last()),
        )
    target = state.find(good[0] if to is None else to)
    if target.version not in good:
        raise StateConflict(
            f"version {target.version} is no earlier good Production: {_why_not(state, serving, target)}",
            hint=f"earlier good ones: {', '.join(map(str, good)) or 'none'}",
        )
    return target


def good_productions(state: ModelState) -> list[int]:
    """The archived versions to which a rollback may go: once in Production and not quarantined, the latest first."""
    archived = {registered.version for registered in state.versions if registered.stage is Stage.ARCHIVED}
    past = dict.fromkeys(state.past_production())
    return [version for version in past if version in archived and not state.quarantined(version)]


def _how_to_undo(state: ModelState, version: int | None) -> str:
    if version is None or version != state.taken_out_last():
        return "train another version: dvc repro"
    return f"if that rollback was a mistake, undo it with: lockgate rollback --to {version}"


def _why_not(state: ModelState, serving: Registered | None, target: Registered) -> str:
    if serving and target.version == serving.version:
        return "it is in Production now"
    if state.quarantined(target.version):
        return "it is quarantined"
    return "it has never been in Production"


def _expect(state: ModelState, serving: Registered | None, expected: int | None) -> None:
    current = serving.version if serving else None
    if expected is None or expected == current:
        return
    since = next((entry.at for entry in reversed(state.ledger) if entry.version == current), None)
    raise StateConflict(
        f"version {current or 'none'} is in Production, not {expected}"
        + (f", since {since:%F %T %Z}" if since else ""),
        hint="look again with: lockgate status",
    )


def _require_standing(
    version: int, standing: PromotionVerdict | None, policy_digest: str, serving: Registered | None
) -> None:
    if standing is None:
        raise StateConflict(f"version {version} has no verdict", hint=f"validate it with: lockgate validate {version}")
    if standing.outcome != "passed":
        raise StateConflict(
            f"the verdict on version {version} is {standing.outcome}", hint=f"see: lockgate verdict {version}"
        )
    if standing.policy_digest != policy_digest:
        raise StateConflict(
            f"version {version} passed under another policy than the one in params.yaml",
            hint=f"judge it again: lockgate validate {version}",
        )
    if standing.serving_digest != (serving.bundle_digest if serving else None):
        raise StateConflict(
            f"version {version} was compared with another version than the one in Production now",
            hint=f"judge it again: lockgate validate {version}",
        )


def _move(state: ModelState, moving: Registered, to_stage: Stage, command: Command) -> Move:
    if command not in LEGAL_MOVES.get((moving.stage, to_stage), ()):
        raise StateConflict(f"{command} may not move version {moving.version} from {moving.stage} to {to_stage}")
    return Move(moving.version, moving.stage, to_stage, command, _displaced(state, to_stage))


def _displaced(state: ModelState, stage: Stage) -> tuple[int, ...]:
    """The versions that the move displaces: all versions in Staging, or the version in Production."""
    if stage is Stage.STAGING:
        return tuple(registered.version for registered in state.versions if registered.stage is stage)
    displaced = state.serving() if stage is Stage.PRODUCTION else None
    return (displaced.version,) if displaced else ()


_HOW_TO_REACH_STAGING = {
    Stage.NONE: "validate it with: lockgate validate {}",
    Stage.PRODUCTION: "it is already in Production",
    Stage.ARCHIVED: "to return to a former Production: lockgate rollback --to VERSION",
}
