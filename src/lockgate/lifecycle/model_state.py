"""The state of a model: its versions with their stages, and its ledger. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from lockgate.errors import StateConflict
from lockgate.lifecycle.stages import Command, Stage


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

    def last_arrival(self) -> datetime | None:
        """The newest move of a version to Production."""
        return next((entry.at for entry in reversed(self.ledger) if entry.to_stage is Stage.PRODUCTION), None)

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
