"""Retention: which versions `lockgate gc` keeps, and for which reason; all others are deleted. Pure."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from lockgate.errors import WrongUsage
from lockgate.lifecycle import moves
from lockgate.lifecycle.moves import ModelState, Stage

UNITS = {"h": "hours", "d": "days", "w": "weeks"}
SPAN = re.compile(r"(?P<count>\d{1,6})(?P<unit>[hdw])")


@dataclass(frozen=True)
class Rule:
    """What a person asks to be kept: the last so many rollback targets, and everything that is younger."""

    keep: int
    older_than: timedelta


@dataclass(frozen=True)
class Holding:
    """What is known of a version that takes up room; of a deleted one, its run or its files still do.

    `verdict` and `decision` are the newest words of the gate and of a person. `approved`: somebody approved that very
    verdict. `collected`: it was gc that deleted it. `shared`: another version lives on the same run or files.
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


@dataclass(frozen=True)
class Fate:
    """What becomes of a version: it stays for the reason `kept_for`, or goes where there is none."""

    version: int
    stage: Stage
    kept_for: str | None

    @property
    def goes(self) -> bool:
        """Whether nothing speaks for it."""
        return self.kept_for is None


@dataclass(frozen=True)
class Ground:
    """What the reasons look at beside the version itself."""

    rule: Rule
    targets: frozenset[int]
    taken_out_last: int | None


def fates(holdings: Sequence[Holding], roster: ModelState, rule: Rule) -> list[Fate]:
    """What becomes of each version, in the order given."""
    ground = Ground(rule, frozenset(rollback_targets(roster, rule.keep)), roster.taken_out_last())
    return [Fate(holding.version, holding.stage, _kept_for(holding, ground)) for holding in holdings]


def rollback_targets(roster: ModelState, keep: int) -> list[int]:
    """The last so many versions that a rollback could bring back: good past Productions, the latest first."""
    return moves.good_productions(roster)[:keep]


def span(text: str) -> timedelta:
    """A span of time as it is typed: 36h, 90d, 12w. Raises WrongUsage for anything else."""
    match = SPAN.fullmatch(text.strip().lower())
    if match is None:
        raise WrongUsage(f"--older-than is no span of time: {text}", hint="write it as 90d, 12w or 36h")
    return timedelta(**{UNITS[match["unit"]]: int(match["count"])})


def _kept_for(holding: Holding, ground: Ground) -> str | None:
    return next((says for says, holds in REASONS.items() if holds(holding, ground)), None)


def _may_still_rise(holding: Holding, _: Ground) -> bool:
    hopeful = holding.verdict is None or (holding.verdict == "passed" and not holding.verdict_expired)
    return holding.stage is Stage.NONE and holding.decision != "rejected" and hopeful


Reason = Callable[[Holding, Ground], bool]

REASONS: dict[str, Reason] = {
    "in Production": lambda holding, _: holding.stage is Stage.PRODUCTION,
    "in Staging": lambda holding, _: holding.stage is Stage.STAGING,
    "a rollback may need it": lambda holding, ground: holding.version in ground.targets,
    "the last rollback took it out": lambda holding, ground: holding.version == ground.taken_out_last,
    "it came past Lockgate": lambda holding, _: not holding.registered_by_us,
    "it may still rise": _may_still_rise,
    "it is approved": lambda holding, _: holding.stage is Stage.NONE and holding.approved,
    "it is about to be moved": lambda holding, _: holding.intended,
    "too young": lambda holding, ground: holding.age < ground.rule.older_than and not holding.collected,
    "another version lives on its run or files": lambda holding, _: holding.shared,
}
