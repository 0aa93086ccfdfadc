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
AGAIN = "write it again with: dvc repro"


@dataclass(frozen=True)
class Remembered:
    """A version in the records of schema lockgate, and its present state in MLflow.

    `present`: MLflow has its row, also if it is deleted. `astray`: the row names another run, source or files.
    """

    version: int
    present: bool
    deleted: bool
    astray: bool
    run_hidden: bool
    run_id: str


def records(remembered: Sequence[Remembered]) -> Iterator[Finding]:
    """Recorded versions whose row in MLflow is missing or changed."""
    lost = [each.version for each in remembered if not each.present]
    if lost and len(lost) == len(remembered):
        yield Finding(
            f"MLflow's registry was emptied: none of the {len(lost)} recorded versions is in it", hint=RESTORE
        )
        return
    for each in remembered:
        if not each.present:
            yield Finding(f"version {each.version} is recorded, but MLflow has no row of it", hint=RESTORE)
        elif each.astray and not each.deleted:
            yield Finding(
                f"version {each.version} points to another run or other files than at its registration",
                hint="it can no longer be promoted; train another version: dvc repro",
            )
        elif each.run_hidden and not each.deleted:
            yield Finding(
                f"the run of version {each.version} was deleted",
                hint=f"restore it in MLflow: mlflow runs restore --run-id {each.run_id}",
            )


def receipt(left: Receipt, model: str, recorded: Mapping[int, str], living: set[int]) -> Finding | None:
    """The first contradiction between the receipt and the existing versions or the recorded digests."""
    version = left.version
    if left.model != model:
        return Finding(f"the receipt is for {left.model}, but params.yaml names {model}", hint=AGAIN)
    if version not in recorded:
        return Finding(f"the receipt names version {version}, which is not recorded", hint=AGAIN)
    if recorded[version] != left.bundle_digest:
        digests = f"{left.bundle_digest[:12]}, but the record says {recorded[version][:12]}"
        return Finding(f"the receipt says that version {version} holds bundle {digests}", hint=AGAIN)
    if version not in living:
        return Finding(
            f"the receipt names version {version}, which the registry no longer has",
            hint="train another one, for example with another seed: dvc repro",
        )
    return None


def clock(ahead: timedelta) -> Iterator[Finding]:
    """A warning if the clock of the database differs too much from this host's; `ahead` may be negative."""
    if abs(ahead) > LARGEST_SKEW:
        direction = "ahead of" if ahead > timedelta(0) else "behind"
        yield Finding(
            f"the database's clock is {abs(ahead).total_seconds():.0f} s {direction} this host's",
            hint="the database's clock decides: when verdicts expire, and every time in the history",
            weight=Weight.WARNING,
        )


def settings(found: Mapping[str, str], safe: Mapping[str, str]) -> Iterator[Finding]:
    """The safe settings that the MLflow server does not have."""
    for name in sorted(name for name, value in safe.items() if found.get(name) != value):
        yield Finding(
            f"the MLflow server runs without the safe value of {name}",
            hint="restart it: lockgate down, then lockgate up",
        )


def rights(mode: int, forbidden: int) -> str | None:
    """A text on the forbidden rights that a mode gives; None if it gives none."""
    given = mode & forbidden
    if not given:
        return None
    who = "all users" if given & stat.S_IRWXO else "its group"
    may = "written" if given & (stat.S_IWOTH | stat.S_IWGRP) else "read"
    return f"can be {may} by {who} (mode {stat.S_IMODE(mode):o})"
