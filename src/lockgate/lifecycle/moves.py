"""Stages, the table of legal moves, and the decision of each command. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lockgate.errors import StateConflict


class Stage(StrEnum):
    """MLflow's stages, spelt as in MLflow. A deleted version is in the stage Deleted_Internal."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"
    DELETED = "Deleted_Internal"


class Command(StrEnum):
    """What moves a version: a command of Lockgate, another client of MLflow (out of band), or the guard's installation.

    `undo` is a rollback that undoes the last rollback.
    """

    VALIDATE = "validate"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    UNDO = "undo"
    REJECT = "reject"
    RETIRE = "retire"
    GC = "gc"
    OUT_OF_BAND = "out of band"
    ADOPT = "adopt"


# The guard has a copy of this table in the database. For each of these moves, the guard also requires the evidence.
LEGAL_MOVES: dict[tuple[Stage, Stage], frozenset[Command]] = {
    (Stage.NONE, Stage.STAGING): frozenset({Command.VALIDATE, Command.OUT_OF_BAND, Command.ADOPT}),
    (Stage.NONE, Stage.ARCHIVED): frozenset({Command.REJECT, Command.OUT_OF_BAND, Command.ADOPT}),
    (Stage.NONE, Stage.PRODUCTION): frozenset({Command.ADOPT}),
    (Stage.STAGING, Stage.PRODUCTION): frozenset({Command.PROMOTE, Command.OUT_OF_BAND}),
    (Stage.ARCHIVED, Stage.PRODUCTION): frozenset({Command.ROLLBACK, Command.UNDO}),
    # Rejected, or displaced by the version that moves up.
    (Stage.STAGING, Stage.ARCHIVED): frozenset({Command.REJECT, Command.VALIDATE, Command.OUT_OF_BAND}),
    (Stage.PRODUCTION, Stage.ARCHIVED): frozenset(
        {Command.PROMOTE, Command.ROLLBACK, Command.UNDO, Command.RETIRE, Command.OUT_OF_BAND}
    ),
    (Stage.NONE, Stage.DELETED): frozenset({Command.GC, Command.OUT_OF_BAND}),
    (Stage.ARCHIVED, Stage.DELETED): frozenset({Command.GC, Command.OUT_OF_BAND}),
}


@dataclass(frozen=True)
class Registered:
    """A version in the registry, with its present stage."""

    version: int
    stage: Stage
    bundle_digest: str | None


@dataclass(frozen=True)
class Entry:
    """One stage change in the ledger."""

    version: int
    from_stage: Stage
    to_stage: Stage
    command: str
    actor: str
    at: datetime


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


@dataclass(frozen=True)
class ModelState:
    """All versions of one model and its ledger, oldest first: the input of every decision."""

    model: str
    versions: Sequence[Registered]
    ledger: Sequence[Entry]

    def find(self, version: int) -> Registered:
        """The version with this number; raises StateConflict if there is none."""
        for registered in self.versions:
            if registered.version == version:
                return registered
        raise StateConflict(f"{self.model} has no version {version}", hint="see them with: lockgate list")

    def in_stage(self, stage: Stage) -> Registered | None:
        """The version in this stage, or None. Raises StateConflict if there are two."""
        found = [registered for registered in self.versions if registered.stage is stage]
        if len(found) > 1:
            numbers = " and ".join(str(registered.version) for registered in found)
            raise StateConflict(f"versions {numbers} of {self.model} are both in {stage}", hint="see: lockgate status")
        return found[0] if found else None

    def serving(self) -> Registered | None:
        """The version in Production."""
        return self.in_stage(Stage.PRODUCTION)

    def quarantined(self, version: int) -> bool:
        """Whether a rollback took the version out of Production, and no undo has brought it back."""
        last = next(
            (entry for entry in reversed(self.ledger) if entry.version == version and _of_production(entry)), None
        )
        return last is not None and last.from_stage is Stage.PRODUCTION and last.command == Command.ROLLBACK

    def last_departure(self) -> Entry | None:
        """The newest entry by which a version left Production, or None."""
        return next((entry for entry in reversed(self.ledger) if entry.from_stage is Stage.PRODUCTION), None)

    def taken_out_last(self) -> int | None:
        """The version that a rollback took out of Production, if no version has left Production since."""
        left = self.last_departure()
        return left.version if left and left.command == Command.ROLLBACK else None

    def past_production(self) -> Iterator[int]:
        """The versions that were in Production, the latest first, with repeats."""
        return (entry.version for entry in reversed(self.ledger) if entry.to_stage is Stage.PRODUCTION)

    def last_move(self) -> str:
        """The newest entry as text for a message; empty without an entry."""
        if not self.ledger:
            return ""
        last = self.ledger[-1]
        return f"; version {last.version} went to {last.to_stage} at {last.at:%F %T %Z} by {last.actor}"


def _of_production(entry: Entry) -> bool:
    return Stage.PRODUCTION in (entry.from_stage, entry.to_stage)


def staging(roster: ModelState, version: int) -> Move | None:
    """The move of a passed version from None to Staging; None if the version is in another stage."""
    candidate = roster.find(version)
    if candidate.stage is not Stage.NONE:
        return None
    return _move(roster, candidate, Stage.STAGING, Command.VALIDATE)


def candidate_for_validation(roster: ModelState, version: int | None) -> Registered:
    """The version to judge: the given one, else the newest in None. Raises StateConflict if it is past Staging."""
    if version is None:
        waiting = [registered for registered in roster.versions if registered.stage is Stage.NONE]
        if not waiting:
            raise StateConflict(
                f"no version of {roster.model} is in None{roster.last_move()}",
                hint="register one with: dvc repro, or lockgate register PATH",
            )
        return waiting[-1]
    candidate = roster.find(version)
    if candidate.stage not in (Stage.NONE, Stage.STAGING):
        raise StateConflict(
            f"version {version} is in {candidate.stage}; only candidates in None or Staging are judged",
            hint="see its verdict with: lockgate verdict " + str(version),
        )
    return candidate


def promotion(
    roster: ModelState,
    version: int | None,
    standing: PromotionVerdict | None,
    policy_digest: str,
    expect_current: int | None = None,
) -> Move | None:
    """The move from Staging to Production on a passed verdict; None if the given version is already in Production.

    Raises StateConflict with the reason if the version may not be promoted.
    """
    serving = roster.serving()
    if version is not None and serving is not None and serving.version == version:
        return None
    _expect(roster, serving, expect_current)
    candidate = candidate_for_promotion(roster, version)
    _require_standing(candidate.version, standing, policy_digest, serving)
    return _move(roster, candidate, Stage.PRODUCTION, Command.PROMOTE)


def candidate_for_promotion(roster: ModelState, version: int | None) -> Registered:
    """The version to promote: the given one, else the version in Staging.

    Raises StateConflict if it cannot be promoted from its stage.
    """
    candidate = roster.in_stage(Stage.STAGING) if version is None else roster.find(version)
    if candidate is None:
        raise StateConflict(
            f"no version of {roster.model} is in Staging{roster.last_move()}",
            hint="train and validate one with: dvc repro",
        )
    if roster.quarantined(candidate.version):
        raise StateConflict(
            f"version {candidate.version} is quarantined: a rollback took it out of Production",
            hint=_how_to_undo(roster, candidate.version),
        )
    if candidate.stage is not Stage.STAGING:
        raise StateConflict(
            f"version {candidate.version} is in {candidate.stage}, not in Staging",
            hint=_HOW_TO_REACH_STAGING[candidate.stage].format(candidate.version),
        )
    return candidate


def rollback(roster: ModelState, to: int | None = None) -> Move:
    """The move back to the newest good version before the serving (or retired) one, or to the version `to`.

    If `to` is the version that the last rollback took out, the move undoes that rollback.
    Raises StateConflict if there is no such version.
    """
    serving = roster.serving()
    if serving is None and roster.last_departure() is None:
        raise StateConflict(
            f"no version of {roster.model} has been in Production, so there is nothing to roll back to",
            hint="promote one with: lockgate promote",
        )
    if to is not None and to == roster.taken_out_last():
        return _move(roster, roster.find(to), Stage.PRODUCTION, Command.UNDO)
    return _move(roster, _rollback_target(roster, serving, to), Stage.PRODUCTION, Command.ROLLBACK)


def retirement(roster: ModelState) -> Move:
    """The move of the version in Production to Archived, without a replacement.

    Raises StateConflict if there is none.
    """
    serving = roster.serving()
    if serving is None:
        raise StateConflict(
            f"no version of {roster.model} is in Production, so there is nothing to retire{roster.last_move()}",
            hint="see: lockgate status",
        )
    return _move(roster, serving, Stage.ARCHIVED, Command.RETIRE)


def rejection(roster: ModelState, version: int) -> Move | None:
    """The move of a rejected version to Archived, or None if it is there.

    Raises StateConflict for the serving version.
    """
    candidate = roster.find(version)
    if candidate.stage is Stage.PRODUCTION:
        raise StateConflict(
            f"version {version} of {roster.model} is in Production", hint="take it out with: lockgate rollback"
        )
    return None if candidate.stage is Stage.ARCHIVED else _move(roster, candidate, Stage.ARCHIVED, Command.REJECT)


def concurrent_move(roster: ModelState, agreed: Move) -> StateConflict:
    """The error for a move that another client prevented by a move of its own; the message names that move."""
    return StateConflict(
        f"another client moved a version before this {agreed.command}{roster.last_move()}",
        hint="look again with: lockgate status",
    )


def _rollback_target(roster: ModelState, serving: Registered | None, to: int | None) -> Registered:
    good = good_productions(roster)
    if to is None and not good:
        raise StateConflict(
            f"no earlier good Production of {roster.model} to roll back to",
            hint=_how_to_undo(roster, roster.taken_out_last()),
        )
    target = roster.find(good[0] if to is None else to)
    if target.version not in good:
        raise StateConflict(
            f"version {target.version} is no earlier good Production: {_why_not(roster, serving, target)}",
            hint=f"earlier good ones: {', '.join(map(str, good)) or 'none'}",
        )
    return target


def good_productions(roster: ModelState) -> list[int]:
    """The archived versions to which a rollback may go: once in Production and not quarantined, the latest first."""
    archived = {registered.version for registered in roster.versions if registered.stage is Stage.ARCHIVED}
    past = dict.fromkeys(roster.past_production())
    return [version for version in past if version in archived and not roster.quarantined(version)]


def _how_to_undo(roster: ModelState, version: int | None) -> str:
    if version is None or version != roster.taken_out_last():
        return "train another version: dvc repro"
    return f"if that rollback was a mistake, undo it with: lockgate rollback --to {version}"


def _why_not(roster: ModelState, serving: Registered | None, target: Registered) -> str:
    if serving and target.version == serving.version:
        return "it is in Production now"
    if roster.quarantined(target.version):
        return "it is quarantined"
    return "it has never been in Production"


def _expect(roster: ModelState, serving: Registered | None, expected: int | None) -> None:
    current = serving.version if serving else None
    if expected is None or expected == current:
        return
    since = next((entry.at for entry in reversed(roster.ledger) if entry.version == current), None)
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


def _move(roster: ModelState, moving: Registered, to_stage: Stage, command: Command) -> Move:
    if command not in LEGAL_MOVES.get((moving.stage, to_stage), ()):
        raise StateConflict(f"{command} may not move version {moving.version} from {moving.stage} to {to_stage}")
    return Move(moving.version, moving.stage, to_stage, command, _displaced(roster, to_stage))


def _displaced(roster: ModelState, stage: Stage) -> tuple[int, ...]:
    """The versions that the move displaces: all versions in Staging, or the version in Production."""
    if stage is Stage.STAGING:
        return tuple(registered.version for registered in roster.versions if registered.stage is stage)
    displaced = roster.serving() if stage is Stage.PRODUCTION else None
    return (displaced.version,) if displaced else ()


_HOW_TO_REACH_STAGING = {
    Stage.NONE: "validate it with: lockgate validate {}",
    Stage.PRODUCTION: "it is already in Production",
    Stage.ARCHIVED: "to return to a former Production: lockgate rollback --to VERSION",
}
