"""Metadata that an imported model must declare: the last day of its training data, and the scale of its output.

The command line or the metadata of the model declares it; the two must not contradict. Imports nothing heavy.
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
class DeclaredMetadata:
    """Metadata from one source; None for a value that it does not declare."""

    trained_until: date | None = None
    target: Target | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is declared."""
        return self == DeclaredMetadata()


@dataclass(frozen=True)
class ModelMetadata:
    """The last day of the training data and the scale of the output, each with its source."""

    trained_until: date
    trained_until_by: str
    target: Target
    target_by: str


def resolve(declared: DeclaredMetadata, metadata: Mapping[str, Any], who: str) -> ModelMetadata:
    """Combine what the user `who` declares with the model's metadata (`trained_until`, `target`); sales by default.

    Raises WrongUsage where the two contradict, for an impossible value, and where `trained_until` is missing.
    """
    written = _written(metadata)
    for name in ("trained_until", "target"):
        mine, theirs = getattr(declared, name), getattr(written, name)
        if None not in (mine, theirs) and mine != theirs:
            raise WrongUsage(
                f"--{name.replace('_', '-')} {mine} contradicts {METADATA}: {theirs}", hint="correct the wrong one"
            )
    until = declared.trained_until or written.trained_until
    if until is None:
        raise WrongUsage(
            "the last day of the model's training data is not declared",
            hint='add --trained-until YYYY-MM-DD, or save it with metadata={"trained_until": "YYYY-MM-DD"}',
        )
    if not EARLIEST <= until <= LATEST:
        raise WrongUsage(f"the model was trained until {until}", hint=f"declare a day from {EARLIEST} to {LATEST}")
    return ModelMetadata(
        until,
        who if declared.trained_until else METADATA,
        declared.target or written.target or TARGETS[0],
        who if declared.target else METADATA if written.target else "by default",
    )


def _written(metadata: Mapping[str, Any]) -> DeclaredMetadata:
    until, target = metadata.get("trained_until"), metadata.get("target")
    if target is not None and target not in TARGETS:
        raise WrongUsage(f"{METADATA} name the target {str(target)[:40]!a}", hint=f"one of {', '.join(TARGETS)}")
    try:
        return DeclaredMetadata(None if until is None else date.fromisoformat(str(until)), target)
    except ValueError:
        raise WrongUsage(f"{METADATA} say trained_until {str(until)[:40]!a}", hint="write it as YYYY-MM-DD") from None
