"""`lockgate gc`: deletes versions that nothing needs, with logged model, run and artifacts.

A version is deleted in the registry first, which the ledger records; then MLflow hides its run; then the files go, and
the rows last. Whatever a crash leaves is found by those rows, and the next gc goes on from there.
"""

from collections.abc import Iterator

from lockgate.database import storage_use
from lockgate.lifecycle import retention
from lockgate.lifecycle.moves import Command, Move, Stage
from lockgate.lifecycle.retention import Fate, Rule
from lockgate.operations import cleanup
from lockgate.operations.workspace import ModelLock, Workspace


def plan(backend: Workspace, rule: Rule, version: int | None = None) -> list[Fate]:
    """What would become now of each version that takes up room, or of the named one. Nothing is written."""
    return retention.fates(storage_use.of_model(backend.database, backend.model, version), backend.state(), rule)


def collect(backend: Workspace, rule: Rule, agreed: list[Fate], reason: str) -> Iterator[Fate]:
    """Delete the versions that were agreed to go, one at a time; yields the fate of each.

    Each is decided on again under the model's lock: what something speaks for by now stays.
    """
    for agreed_on in agreed:
        with backend.lock() as lock:
            now = plan(backend, rule, agreed_on.version)
            for fate in now:
                if fate.goes:
                    _delete(lock, fate, reason)
        yield from now


def remains(backend: Workspace) -> list[int]:
    """The versions that gc deleted without coming to its end."""
    found = storage_use.of_model(backend.database, backend.model)
    return [each.version for each in found if each.stage is Stage.DELETED and each.collected and not each.shared]


def finish(backend: Workspace, version: int) -> None:
    """Take away what a gc that was killed has left of a version."""
    with backend.lock():
        cleanup.clear(backend, storage_use.belongings(backend.database, backend.model, version))


def _delete(lock: ModelLock, fate: Fate, reason: str) -> None:
    if fate.stage is not Stage.DELETED:
        lock.carry_out(Move(fate.version, fate.stage, Stage.DELETED, Command.GC, ()), reason)
    backend = lock.workspace
    cleanup.clear(backend, storage_use.belongings(backend.database, backend.model, fate.version))
