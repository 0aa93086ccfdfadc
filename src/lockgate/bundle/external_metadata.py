"""What nobody can measure of a model from elsewhere, and somebody must state: until when it learned, and of what.

The one who brings it says so, or its own metadata; never both in contradiction. Imports nothing heavy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, get_args

from lockgate.errors import WrongUsage
from lockgate.problem.target import Target

TARGETS: tuple[Target, ...] = get_args(Target)
EARLIEST, LATEST = date(1990, 1, 1), date(2100, 12, 31)
METADATA = "the model's metadata"


@dataclass(frozen=True)
class Stated:
    """What somebody says of a model; None where they say nothing."""

    trained_until: date | None = None
    target: Target | None = None

    @property
    def silent(self) -> bool:
        """Whether nothing is said at all."""
        return self == Stated()


@dataclass(frozen=True)
class Statement:
    """The last day that a model has learned from and what its output is, each with who says so."""

    trained_until: date
    trained_until_by: str
    target: Target
    target_by: str


def settle(said: Stated, metadata: Mapping[str, Any], who: str) -> Statement:
    """What holds of what a person says and what the metadata (`trained_until`, `target`) say; sales by default.

    Raises WrongUsage where the two disagree, where a value cannot be, and where nobody says until when.
    """
    written = _written(metadata)
    for name in ("trained_until", "target"):
        mine, theirs = getattr(said, name), getattr(written, name)
        if None not in (mine, theirs) and mine != theirs:
            raise WrongUsage(
                f"--{name.replace('_', '-')} {mine} contradicts {METADATA}: {theirs}", hint="find out which is right"
            )
    until = said.trained_until or written.trained_until
    if until is None:
        raise WrongUsage(
            "nobody says until when the model was trained",
            hint='say --trained-until YYYY-MM-DD, or save it with metadata={"trained_until": "YYYY-MM-DD"}',
        )
    if not EARLIEST <= until <= LATEST:
        raise WrongUsage(f"trained until {until}", hint=f"name a day from {EARLIEST} to {LATEST}")
    return Statement(
        until,
        who if said.trained_until else METADATA,
        said.target or written.target or TARGETS[0],
        who if said.target else METADATA if written.target else "by default",
    )


def _written(metadata: Mapping[str, Any]) -> Stated:
    until, target = metadata.get("trained_until"), metadata.get("target")
    if target is not None and target not in TARGETS:
        raise WrongUsage(f"{METADATA} name the target {str(target)[:40]!a}", hint=f"one of {', '.join(TARGETS)}")
    try:
        return Stated(None if until is None else date.fromisoformat(str(until)), target)
    except ValueError:
        raise WrongUsage(f"{METADATA} say trained_until {str(until)[:40]!a}", hint="write it as YYYY-MM-DD") from None
