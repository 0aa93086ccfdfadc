"""Deletes what a failed registration, or a deleted version, left in MLflow."""

from contextlib import suppress

from lockgate.bundle.registered_files import BUNDLE_TAG
from lockgate.database import diagnostics, storage_use
from lockgate.database.storage_use import Belongings
from lockgate.errors import LockgateError
from lockgate.operations.workspace import Workspace


def of_registrations(backend: Workspace) -> list[Belongings]:
    """What dead registrations left. Waits for the model's lock: a registration that is at work looks the same."""
    with backend.lock():
        return diagnostics.dead_runs(backend.database, backend.model, BUNDLE_TAG)


def clear_dead(backend: Workspace, left: Belongings) -> None:
    """Delete what a dead registration left, if it is still there."""
    with backend.lock():
        if left in diagnostics.dead_runs(backend.database, backend.model, BUNDLE_TAG):
            clear(backend, left)


def forget_tries(backend: Workspace, digest: str) -> None:
    """Delete what earlier tries to register a bundle have left, now that it has its version.

    They are looked for in the database alone, so that this costs nothing where there are none. What cannot be
    deleted now is no failure: the next registration of the bundle, or `lockgate doctor`, finds it again.
    """
    with suppress(LockgateError):
        if not diagnostics.dead_runs(backend.database, backend.model, BUNDLE_TAG, digest):
            return
        with backend.lock():
            for left in diagnostics.dead_runs(backend.database, backend.model, BUNDLE_TAG, digest):
                clear(backend, left)


def clear(backend: Workspace, left: Belongings) -> None:
    """Delete a run and a logged model with all their files, for good; what is gone already is passed over."""
    registry = backend.registry()
    if left.run_id and left.run_shown:
        registry.hide_run(left.run_id)
    if left.model_id and left.model_shown:
        registry.hide_model(left.model_id)
    for files in (left.model_files, left.run_files):
        if files:
            registry.delete_files(files)
    storage_use.erase(backend.database, left)
