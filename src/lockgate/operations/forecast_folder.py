"""The folder of forecasts: a parquet file for each part, and a manifest, which is written last.

The folder is made beside the target and put in its place at the end, so a target has its manifest and is whole.
Readers of datasets (Spark, Dask, pyarrow) skip the manifest, because its name starts with `_`.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lockgate import __version__
from lockgate.errors import StorageFailed, WrongUsage
from lockgate.prediction_log.record import Scorer
from lockgate.system import output_folder

MANIFEST = "_manifest.json"
FORM = 1


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

    Raises StorageFailed if the target cannot be replaced; it is as before then.
    """
    with output_folder.beside(target) as scratch:
        staging = Staging(scratch.folder / "forecasts", scratch.folder / "work")
        for folder in (staging.final, staging.shared):
            folder.mkdir()
        yield staging
        try:
            scratch.put(staging.final)
        except OSError as error:
            what, hint = (
                "the folder of the output cannot be replaced",
                "give a folder below it, or check its permissions",
            )
            raise StorageFailed(f"{what}: {error.strerror}", where=str(target), hint=hint) from error


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
