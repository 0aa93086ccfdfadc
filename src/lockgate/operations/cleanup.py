"""Deletes the runs, models and files that a failed registration or a deleted version left in MLflow."""

from contextlib import suppress

from lockgate.bundle.registered_files import BUNDLE_TAG
from lockgate.database import diagnostics, storage_use
from lockgate.database.storage_use import Belongings
from lockgate.errors import LockgateError
from lockgate.operations.workspace import Workspace


def of_registrations(workspace: Workspace) -> list[Belongings]:
    """The runs and models of ended registrations. Waits for the model's lock, which a running registration holds."""
    with workspace.lock():
        return diagnostics.dead_runs(workspace.database, workspace.model, BUNDLE_TAG)


def clear_dead(workspace: Workspace, left: Belongings) -> None:
    """Delete the run and model of an ended registration, if they still exist."""
    with workspace.lock():
        if left in diagnostics.dead_runs(workspace.database, workspace.model, BUNDLE_TAG):
            clear(workspace, left)


def forget_tries(workspace: Workspace, digest: str) -> None:
    """Delete the runs and models of failed registrations of a bundle that now has its version.

    Only the database is searched, so this costs nothing if there are none. A failed deletion is no error: the next
    registration of the bundle, or `lockgate doctor --repair`, repeats it.
    """
    with suppress(LockgateError):
        if not diagnostics.dead_runs(workspace.database, workspace.model, BUNDLE_TAG, digest):
            return
        with workspace.lock():
            for left in diagnostics.dead_runs(workspace.database, workspace.model, BUNDLE_TAG, digest):
                clear(workspace, left)


def clear(workspace: Workspace, left: Belongings) -> None:
    """Delete a run and a logged model with all their files permanently; what is already deleted is skipped."""
    registry = workspace.registry()
    if left.run_id and left.run_shown:
        registry.hide_run(left.run_id)
    if left.model_id and left.model_shown:
        registry.hide_model(left.model_id)
    for files in (left.model_files, left.run_files):
        if files:
            registry.delete_files(files)
    storage_use.erase(workspace.database, left)
