"""`lockgate gc`: versions that nothing speaks for go, with their logged model, their run and all artifacts.

A version is deleted in the registry first, which the ledger tells; then MLflow hides its run; then the files go, and
the rows last. Whatever a crash leaves is found by those rows, and the next gc goes on from there.
"""

from collections.abc import Iterator

from lockgate import retention
from lockgate.backend import Backend, Hold
from lockgate.database import holdings
from lockgate.lifecycle import Command, Move, Stage
from lockgate.retention import Fate, Rule


def plan(backend: Backend, rule: Rule) -> list[Fate]:
    """What would become of each version that takes up room now. Nothing is written."""
    return retention.fates(holdings.of_model(backend.database, backend.model), backend.roster(), rule)


def collect(backend: Backend, rule: Rule, agreed: list[Fate], reason: str) -> Iterator[Fate]:
    """Delete the versions that were agreed to go, one at a time; yields the fate of each.

    Each is decided on again under the model's lock: what something speaks for by now stays.
    """
    for fate in agreed:
        with backend.alone() as hold:
            now = {each.version: each for each in plan(backend, rule)}.get(fate.version)
            if now is not None and now.goes:
                _delete(hold, now, reason)
        if now is not None:
            yield now


def _delete(hold: Hold, fate: Fate, reason: str) -> None:
    """Every step may be repeated: what is gone already is passed over."""
    backend = hold.backend
    if fate.stage is not Stage.DELETED:
        hold.carry_out(Move(fate.version, fate.stage, Stage.DELETED, Command.GC, ()), reason)
    registry = backend.registry()
    left = holdings.belongings(backend.database, backend.model, fate.version)
    if left.run_id and left.run_shown:
        registry.hide_run(left.run_id)
    if left.model_id and left.model_shown:
        registry.hide_model(left.model_id)
    for files in (left.model_files, left.run_files):
        if files:
            registry.delete_files(files)
    holdings.erase(backend.database, left)
