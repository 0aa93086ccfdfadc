"""The folder of forecasts: a parquet file for each part, and a manifest, which is written last.

The folder is made beside the target and becomes the target in one step, so a target has its manifest and is whole.
Readers of datasets (Spark, Dask, pyarrow) skip the manifest, because its name starts with `_`.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from socket import gethostname
from typing import Any

import psutil

from lockgate import __version__
from lockgate.errors import StorageFailed, WrongUsage
from lockgate.prediction_log.record import Scorer

MANIFEST = "_manifest.json"
FORM = 1
LEFT = (".part", ".old")  # the ends of folders that a killed process may leave


@dataclass(frozen=True)
class WrittenPart:
    """A part of the manifest: its file, its rows, those that were set aside, and the SHA-256 of the file."""

    name: str
    rows: int
    refused_rows: int
    sha256: str


def check(target: Path, force: bool, source: Path) -> None:
    """Raise WrongUsage for a target that cannot become the folder of forecasts of this source.

    A folder with forecasts is replaced with `force`; one with any other file never is.
    """
    if target.exists() and not target.is_dir():
        raise WrongUsage(f"the output is a file: {target}", hint="give another name for the folder of parts")
    if not target.absolute().parent.is_dir():
        raise WrongUsage(f"the output cannot be written: {target}", hint="give a folder in an existing folder")
    own, given = target.resolve(), source.resolve()
    if own == given or own in given.parents or given in own.parents:
        raise WrongUsage("the output and the input are in one another", hint="give a folder beside the input")
    if strange := _strange(target):
        raise WrongUsage(
            f"the output has a file that is no forecast: {target / strange}", hint="give a new or an empty folder"
        )
    if any(target.glob("*")) and not force:
        raise WrongUsage(f"the output exists already: {target}", hint="replace it with --force")


def _strange(target: Path) -> str:
    """The first file of a folder that its manifest does not name."""
    found = sorted(each.name for each in target.iterdir()) if target.exists() else []
    try:
        listed = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
        named = {MANIFEST, *(part["name"] for part in listed["parts"])}
    except (OSError, ValueError, LookupError, TypeError):
        named = set()
    return next((name for name in found if name not in named), "")


@dataclass(frozen=True)
class Staging:
    """The folder that becomes the target, and the folder of other files that all workers see."""

    final: Path
    shared: Path


@contextmanager
def replaced(target: Path) -> Iterator[Staging]:
    """New folders beside the target, one of which becomes the target at the end; after an error they are deleted.

    Folders that killed processes of this machine have left are deleted, too.
    """
    target = target.resolve()
    _clear(target)
    mine = f".{target.name}.{gethostname()}.{os.getpid()}"
    partial, old = (target.with_name(f"{mine}{end}") for end in LEFT)
    try:
        staging = Staging(partial / "forecasts", partial / "work")
        for folder in (partial, staging.final, staging.shared):
            folder.mkdir()
        yield staging
        _put(staging.final, target, old)
    finally:
        for each in (partial, old):
            shutil.rmtree(each, ignore_errors=True)


def _put(final: Path, target: Path, old: Path) -> None:
    """Put the new folder in the place of the target. Raises StorageFailed if it cannot; the target is as before."""
    try:
        if target.exists():
            target.rename(old)
        final.rename(target)
    except OSError as error:
        if old.exists() and not target.exists():
            old.rename(target)
        what = f"the folder of the output cannot be replaced: {error.strerror}"
        raise StorageFailed(what, where=str(target), hint="give a folder below it, or check its permissions") from error


def _clear(target: Path) -> None:
    """Delete what killed processes have left; a target that one has moved away comes back."""
    start = f".{target.name}.{gethostname()}."
    for left in sorted(target.parent.iterdir()):
        process = left.stem.removeprefix(start)
        if not left.name.startswith(start) or left.suffix not in LEFT or not process.isdecimal():
            continue
        if not psutil.pid_exists(int(process)):
            if left.suffix == ".old" and not target.exists():
                left.rename(target)
            shutil.rmtree(left, ignore_errors=True)


def write_manifest(folder: Path, scorer: Scorer, confidence: float, parts: Iterable[WrittenPart]) -> None:
    """Write the manifest of the parts in a folder."""
    listed = [vars(part) for part in parts]
    found: dict[str, Any] = {
        "form": FORM,
        "lockgate": __version__,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": scorer.model,
        "version": scorer.version,
        "stage": scorer.stage,
        "degraded": scorer.degraded,
        "bundle_digest": scorer.digest,
        "confidence": confidence,
        "rows": sum(part["rows"] for part in listed),
        "refused_rows": sum(part["refused_rows"] for part in listed),
        "parts": listed,
    }
    (folder / MANIFEST).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
