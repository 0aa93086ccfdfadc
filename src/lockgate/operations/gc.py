"""`lockgate gc`: deletes versions that no rule keeps, with logged model, run and artifacts.

The version is deleted in the registry first, with a row in the ledger. Then MLflow marks its run as deleted, the files
are deleted, and their rows last. After a crash, the next gc finds these rows and continues.
"""

from collections.abc import Iterator

from lockgate.database import storage_use
from lockgate.lifecycle import retention
from lockgate.lifecycle.moves import Command, Move, Stage
from lockgate.lifecycle.retention import Fate, Rule
from lockgate.operations import cleanup
from lockgate.operations.workspace import ModelLock, Workspace


def plan(backend: Workspace, rule: Rule, version: int | None = None) -> list[Fate]:
    """The fate of each version whose run or files exist, or of the given version. Nothing is written."""
    return retention.fates(storage_use.of_model(backend.database, backend.model, version), backend.state(), rule)


def collect(backend: Workspace, rule: Rule, agreed: list[Fate], reason: str) -> Iterator[Fate]:
    """Delete the agreed versions, one at a time; yields the fate of each.

    Each decision is made again under the model's lock: a version with a new reason to stay stays.
    """
    for agreed_on in agreed:
        with backend.lock() as lock:
            now = plan(backend, rule, agreed_on.version)
            for fate in now:
                if fate.goes:
                    _delete(lock, fate, reason)
        yield from now


def remains(backend: Workspace) -> list[int]:
    """The versions that gc deleted, but whose run or files still exist."""
    found = storage_use.of_model(backend.database, backend.model)
    return [each.version for each in found if each.stage is Stage.DELETED and each.collected and not each.shared]


def finish(backend: Workspace, version: int) -> None:
    """Delete the run and files that a killed gc left of a version."""
    with backend.lock():
        cleanup.clear(backend, storage_use.belongings(backend.database, backend.model, version))


def _delete(lock: ModelLock, fate: Fate, reason: str) -> None:
    if fate.stage is not Stage.DELETED:
        lock.carry_out(Move(fate.version, fate.stage, Stage.DELETED, Command.GC, ()), reason)
    backend = lock.workspace
    cleanup.clear(backend, storage_use.belongings(backend.database, backend.model, fate.version))
