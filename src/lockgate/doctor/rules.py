"""The rules of the health checks: values in, findings out. Pure."""

import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from lockgate.doctor.report import Finding, Weight
from lockgate.operations.stage_files import Receipt

LARGEST_SKEW = timedelta(seconds=30)
OTHERS_RIGHTS = stat.S_IRWXG | stat.S_IRWXO
OTHERS_MAY_WRITE = stat.S_IWOTH
RESTORE = "restore the database, schemas public and lockgate together, from one backup"
AGAIN = "make it again: dvc repro"


@dataclass(frozen=True)
class Remembered:
    """A version as schema lockgate recorded it, and what MLflow has of it now.

    `present`: MLflow has a row of it, be it of a deleted one. `astray`: that row names another run, source or files.
    """

    version: int
    present: bool
    deleted: bool
    astray: bool
    run_hidden: bool
    run_id: str


def records(remembered: Sequence[Remembered]) -> Iterator[Finding]:
    """Versions on record whose row in MLflow is gone or is not what it was."""
    lost = [each.version for each in remembered if not each.present]
    if lost and len(lost) == len(remembered):
        yield Finding(
            f"MLflow's registry was emptied: none of the {len(lost)} versions on record is in it", hint=RESTORE
        )
        return
    for each in remembered:
        if not each.present:
            yield Finding(f"version {each.version} is on record, and MLflow has no row of it", hint=RESTORE)
        elif each.astray and not each.deleted:
            yield Finding(
                f"version {each.version} points to another run or other files than when it was registered",
                hint="it cannot rise any more; train another one: dvc repro",
            )
        elif each.run_hidden and not each.deleted:
            yield Finding(
                f"the run behind version {each.version} was deleted",
                hint=f"restore it in MLflow: mlflow runs restore --run-id {each.run_id}",
            )


def receipt(left: Receipt, model: str, recorded: Mapping[int, str], living: set[int]) -> Finding | None:
    """What contradicts the receipt: the registry's living versions, or the digests on record by version."""
    version = left.version
    if left.model != model:
        return Finding(f"the receipt is of {left.model}, params.yaml names {model}", hint=AGAIN)
    if version not in recorded:
        return Finding(f"the receipt names version {version}, which is not on record", hint=AGAIN)
    if recorded[version] != left.bundle_digest:
        digests = f"{left.bundle_digest[:12]}, on record it is {recorded[version][:12]}"
        return Finding(f"the receipt says that version {version} holds bundle {digests}", hint=AGAIN)
    if version not in living:
        return Finding(
            f"the receipt names version {version}, which the registry no longer has",
            hint="train another one, for example with another seed: dvc repro",
        )
    return None


def clock(ahead: timedelta) -> Iterator[Finding]:
    """A database whose clock is `ahead` of this host's (behind, if negative)."""
    if abs(ahead) > LARGEST_SKEW:
        direction = "ahead of" if ahead > timedelta(0) else "behind"
        yield Finding(
            f"the database's clock is {abs(ahead).total_seconds():.0f} s {direction} this host's",
            hint="the database's clock decides: when verdicts expire, and every time in the history",
            weight=Weight.WARNING,
        )


def settings(found: Mapping[str, str], safe: Mapping[str, str]) -> Iterator[Finding]:
    """An MLflow server that was started without one of the safe settings."""
    for name in sorted(name for name, value in safe.items() if found.get(name) != value):
        yield Finding(
            f"the MLflow server runs without its safe {name}", hint="start it anew: lockgate down, then lockgate up"
        )


def rights(mode: int, forbidden: int) -> str | None:
    """Those of the forbidden rights that a mode gives, in words; None if it gives none of them."""
    given = mode & forbidden
    if not given:
        return None
    who = "everyone" if given & stat.S_IRWXO else "its group"
    may = "written" if given & (stat.S_IWOTH | stat.S_IWGRP) else "read"
    return f"can be {may} by {who} (mode {stat.S_IMODE(mode):o})"
