"""What a command left in the spool goes to its own database only: to one that knows the version that gave it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lockgate.database import versions
from lockgate.database.connection import Database
from lockgate.errors import IntegrityBroken, StateConflict, StorageFailed, Unavailable
from lockgate.prediction_log.spool import FILE, Spool


def refuse_foreign(folders: Iterable[Path], database: Database) -> None:
    """Raise StateConflict if the oldest prediction in a spool is by a version that the database does not know.

    So all that a spool holds is of one database. Nothing is refused while the database is away, or for a spool that
    cannot be read: to drain it is refused.
    """
    for folder in folders:
        head = _oldest(folder)
        if head and not _is_known(database, head["model"], head["version"], head["digest"]):
            raise StateConflict(
                f"the spool has predictions by version {head['version']} of {head['model']} with bundle "
                f"{head['digest'][:12]}, which this database does not know ({folder})",
                where=database.address,
                hint="name their database in LOCKGATE_DATABASE_URL and run lockgate log drain, or move the folder away",
            )


def _oldest(folder: Path) -> dict[str, Any] | None:
    """The head of the oldest record (prediction_log/encoding.py)."""
    if not (folder / FILE).is_file():
        return None
    try:
        left = Spool(folder).batch(1)
    except (IntegrityBroken, StorageFailed):
        return None
    return json.loads(left.records[0].partition(b"\n")[0]) if left else None


def _is_known(database: Database, model: str, version: int, digest: str) -> bool:
    try:
        found = versions.recorded_version(database, model, version)
    except Unavailable:
        return True
    return found is not None and found.bundle_digest == digest
