"""`lockgate gc`: deletes versions that no rule keeps, with logged model, run and artifacts.

The version is deleted in the registry first, with a row in the ledger. Then MLflow marks its run as deleted, the files
are deleted, and their rows last. After a crash, the next gc finds these rows and continues.
"""

from collections.abc import Iterator

from lockgate.database import storage_use
from lockgate.lifecycle import retention
from lockgate.lifecycle.moves import Move
from lockgate.lifecycle.retention import Fate, Rule
from lockgate.lifecycle.stages import Command, Stage
from lockgate.operations import cleanup
from lockgate.operations.workspace import ModelLock, Workspace


def plan(workspace: Workspace, rule: Rule, version: int | None = None) -> list[Fate]:
    """The fate of each version whose run or files exist, or of the given version. Nothing is written."""
    return retention.fates(storage_use.of_model(workspace.database, workspace.model, version), workspace.state(), rule)


def collect(workspace: Workspace, rule: Rule, agreed: list[Fate], reason: str) -> Iterator[Fate]:
    """Delete the agreed versions, one at a time; yields the fate of each.

    Each decision is made again under the model's lock: a version with a new reason to stay stays.
    """
    for agreed_on in agreed:
        with workspace.lock() as lock:
            now = plan(workspace, rule, agreed_on.version)
            for fate in now:
                if fate.goes:
                    _delete(lock, fate, reason)
        yield from now


def remains(workspace: Workspace) -> list[int]:
    """The versions that gc deleted, but whose run or files still exist."""
    found = storage_use.of_model(workspace.database, workspace.model)
    return [each.version for each in found if each.stage is Stage.DELETED and each.collected and not each.shared]


def finish(workspace: Workspace, version: int) -> None:
    """Delete the run and files that a killed gc left of a version."""
    with workspace.lock():
        cleanup.clear(workspace, storage_use.belongings(workspace.database, workspace.model, version))


def _delete(lock: ModelLock, fate: Fate, reason: str) -> None:
    if fate.stage is not Stage.DELETED:
        lock.carry_out(Move(fate.version, fate.stage, Stage.DELETED, Command.GC, ()), reason)
    workspace = lock.workspace
    cleanup.clear(workspace, storage_use.belongings(workspace.database, workspace.model, fate.version))
