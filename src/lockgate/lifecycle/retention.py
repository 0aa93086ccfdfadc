"""Retention: which versions `lockgate gc` keeps, and for which reason; all others are deleted. Pure."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from lockgate.errors import WrongUsage
from lockgate.lifecycle import moves
from lockgate.lifecycle.model_state import ModelState
from lockgate.lifecycle.stages import Stage

UNITS = {"h": "hours", "d": "days", "w": "weeks"}
SPAN = re.compile(r"(?P<count>\d{1,6})(?P<unit>[hdw])")


@dataclass(frozen=True)
class Rule:
    """The options of the command: keep this number of rollback targets, and every version that is younger."""

    keep: int
    older_than: timedelta


@dataclass(frozen=True)
class Holding:
    """The facts on a version whose run or files exist; the version itself may be deleted.

    `verdict` and `decision` are the newest ones on the version. `approved`: this verdict has an approval. `collected`:
    gc deleted the version. `shared`: another version uses the same run or files. `logged`: predictions of it are on
    record.
    """

    version: int
    stage: Stage
    age: timedelta
    registered_by_us: bool
    verdict: str | None = None
    verdict_expired: bool = False
    decision: str | None = None
    approved: bool = False
    intended: bool = False
    collected: bool = False
    shared: bool = False
    logged: bool = False


@dataclass(frozen=True)
class Fate:
    """Whether a version stays: for the reason `kept_for`. Without a reason it is deleted."""

    version: int
    stage: Stage
    kept_for: str | None

    @property
    def goes(self) -> bool:
        """Whether there is no reason to keep the version."""
        return self.kept_for is None


@dataclass(frozen=True)
class Ground:
    """The facts that the reasons need beside the version itself."""

    rule: Rule
    targets: frozenset[int]
    taken_out_last: int | None


def fates(holdings: Sequence[Holding], state: ModelState, rule: Rule) -> list[Fate]:
    """The fate of each version, in the given order."""
    ground = Ground(rule, frozenset(rollback_targets(state, rule.keep)), state.taken_out_last())
    return [Fate(holding.version, holding.stage, _kept_for(holding, ground)) for holding in holdings]


def rollback_targets(state: ModelState, keep: int) -> list[int]:
    """The newest `keep` versions to which a rollback may go, the latest first."""
    return moves.good_productions(state)[:keep]


def span(text: str) -> timedelta:
    """Parse a span of time such as 36h, 90d or 12w. Raises WrongUsage for any other text."""
    match = SPAN.fullmatch(text.strip().lower())
    if match is None:
        raise WrongUsage(f"--older-than is no span of time: {text}", hint="write it as 90d, 12w or 36h")
    return timedelta(**{UNITS[match["unit"]]: int(match["count"])})


def _kept_for(holding: Holding, ground: Ground) -> str | None:
    return next((reason for reason, holds in REASONS.items() if holds(holding, ground)), None)


def _is_candidate(holding: Holding, _: Ground) -> bool:
    hopeful = holding.verdict is None or (holding.verdict == "passed" and not holding.verdict_expired)
    return holding.stage is Stage.NONE and holding.decision != "rejected" and hopeful


Reason = Callable[[Holding, Ground], bool]

REASONS: dict[str, Reason] = {
    "in Production": lambda holding, _: holding.stage is Stage.PRODUCTION,
    "in Staging": lambda holding, _: holding.stage is Stage.STAGING,
    "a rollback may need it": lambda holding, ground: holding.version in ground.targets,
    "the last rollback took it out": lambda holding, ground: holding.version == ground.taken_out_last,
    "registered outside Lockgate": lambda holding, _: not holding.registered_by_us,
    "still a candidate": _is_candidate,
    "it is approved": lambda holding, _: holding.stage is Stage.NONE and holding.approved,
    "a command is moving it": lambda holding, _: holding.intended,
    "too young": lambda holding, ground: holding.age < ground.rule.older_than and not holding.collected,
    "another version uses its run or files": lambda holding, _: holding.shared,
    "it gave predictions on record": lambda holding, _: holding.logged,
}
