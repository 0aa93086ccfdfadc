"""Checks the database: invariants, records, stale intents, unfinished runs, leftovers of gc, the clock."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial

from lockgate.database import diagnostics, guard
from lockgate.database.intents import withdraw_intent
from lockgate.database.storage_use import Belongings
from lockgate.doctor import rules
from lockgate.doctor.context import Site
from lockgate.doctor.report import Finding, Weight
from lockgate.doctor.rules import Remembered
from lockgate.lifecycle import invariants
from lockgate.lifecycle.invariants import Checker
from lockgate.operations import cleanup, gc
from lockgate.operations.workspace import Workspace

SEE_HISTORY = "see what happened with: lockgate history"


def schema(site: Site) -> Iterator[Finding]:
    """Schema lockgate is there, and of this code's age: any other refuses the first connection."""
    _ = site.backend
    yield from ()


def clock(site: Site) -> Iterator[Finding]:
    """The database and this host agree on the time."""
    before = datetime.now(UTC)
    there = diagnostics.clock(site.backend.database)
    after = datetime.now(UTC)
    yield from rules.clock(there - before - (after - before) / 2)


def invariant(check: Checker) -> Callable[[Site], Iterator[Finding]]:
    """A checker of one invariant. What it finds has happened, and nobody can make it undone."""

    def look(site: Site) -> Iterator[Finding]:
        for says in check(site.facts):
            yield Finding(says, hint=SEE_HISTORY)

    return look


def guard_is_whole(site: Site) -> Iterator[Finding]:
    """Every piece of the guard is there as it was made."""
    for says in site.facts.guard_faults:
        yield Finding(
            says, hint="put it on again: lockgate guard install", repair=partial(_install_guard, site.backend)
        )


def _install_guard(backend: Workspace) -> str:
    guard.install(backend.database, backend.actor)
    return "the guard is whole again"


def ledger_is_whole(site: Site) -> Iterator[Finding]:
    """The chain of hashes; what is broken there nobody can repair."""
    for says in site.facts.ledger_breaks:
        yield Finding(says, hint="compare with a backup or an earlier export", weight=Weight.INTEGRITY)


def records(site: Site) -> Iterator[Finding]:
    """What schema lockgate remembers is in MLflow's registry as it was."""
    rows = diagnostics.remembered(site.backend.database, site.backend.model)
    yield from rules.records(
        [Remembered(row.version, row.present, row.deleted, row.astray, row.run_hidden, row.run_id) for row in rows]
    )


def intents(site: Site) -> Iterator[Finding]:
    """No command died between saying what it would do and doing it."""
    backend = site.backend
    for dead in diagnostics.dead_intents(backend.database, backend.model):
        yield Finding(
            f"{dead.actor} was about to {dead.command} version {dead.version} at {dead.created_at:%F %T %Z}",
            hint="the command died; it counts no more and can be forgotten",
            repair=partial(_forget, backend, dead.id),
        )


def _forget(backend: Workspace, intent_id: int) -> str:
    withdraw_intent(backend.database, intent_id)
    return f"intent {intent_id} forgotten"


def runs(site: Site) -> Iterator[Finding]:
    """No registration died and left a run that is no version's."""
    backend = site.backend
    for dead in cleanup.of_registrations(backend):
        what = f"run {dead.run_id}" if dead.run_id else f"logged model {dead.model_id}"
        yield Finding(
            f"{what} is of a registration that did not come to its end",
            hint="the next registration of the bundle begins anew; this can go",
            repair=partial(_clear_dead, backend, dead, what),
        )


def _clear_dead(backend: Workspace, dead: Belongings, what: str) -> str:
    cleanup.clear_dead(backend, dead)
    return f"{what} deleted with its files"


def remains(site: Site) -> Iterator[Finding]:
    """No gc was killed before it had taken away the run and the files of a version that it deleted."""
    for left in gc.remains(site.backend):
        yield Finding(
            f"version {left} was deleted by gc, and its run or files are still there",
            hint="finish it with: lockgate gc",
            repair=partial(_finish, site.backend, left),
        )


def _finish(backend: Workspace, version: int) -> str:
    gc.finish(backend, version)
    return f"the run and the files of version {version} deleted"


def aliases_mirror_the_stages(site: Site) -> Iterator[Finding]:
    """The aliases `production` and `staging` point where the stages say."""
    backend = site.backend
    for says in invariants.CHECKERS["aliases mirror the stages"](site.facts):
        yield Finding(says, hint="the alias follows the stage", repair=partial(_mirror, backend))


def _mirror(backend: Workspace) -> str:
    diagnostics.mirror_aliases(backend.database, backend.model)
    return "the aliases point where the stages say"
