"""Checks the database: invariants, records, stale intents, unfinished runs, leftovers of gc, the clock."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial

from lockgate.database import diagnostics, guard, missing_parts, roles
from lockgate.database.connection import Database
from lockgate.database.intents import withdraw_intent
from lockgate.database.migrate import migrate
from lockgate.database.storage_use import Belongings
from lockgate.doctor import rules
from lockgate.doctor.context import Site
from lockgate.doctor.report import Finding, Weight
from lockgate.doctor.rules import Remembered
from lockgate.errors import LockgateError
from lockgate.lifecycle import invariants
from lockgate.lifecycle.invariants import Checker
from lockgate.operations import cleanup, gc
from lockgate.operations.workspace import Workspace

SEE_HISTORY = "see what happened with: lockgate history"


def schema(site: Site) -> Iterator[Finding]:
    """Check that schema lockgate exists, fits this code (otherwise the first connection is refused) and is whole."""
    database = site.workspace.database
    with database.transaction() as connection:
        parts = missing_parts.missing(connection)
    for part in parts:
        yield Finding(f"{part} is missing", hint="make it with: lockgate up", repair=partial(_complete, database))


def _complete(database: Database) -> str:
    migrate(database)
    return "schema lockgate is complete; a table that was missing is empty"


def role(site: Site) -> Iterator[Finding]:
    """Name the login of this connection, if it may not run every command."""
    if isinstance(site.services, LockgateError):
        raise site.services
    mine = roles.mine(site.services.database)
    if not mine.may_run_commands:
        yield Finding(
            f"this login is {mine}: it may not register, judge or move versions",
            hint="for these commands, use a login that is a member of lockgate_app: lockgate roles status",
            weight=Weight.WARNING,
        )


def clock(site: Site) -> Iterator[Finding]:
    """Compare the clock of the database with that of this host."""
    before = datetime.now(UTC)
    there = diagnostics.clock(site.workspace.database)
    after = datetime.now(UTC)
    yield from rules.clock(there - before - (after - before) / 2)


def invariant(check: Checker) -> Callable[[Site], Iterator[Finding]]:
    """The check of one invariant. A violation cannot be repaired."""

    def look(site: Site) -> Iterator[Finding]:
        for message in check(site.facts):
            yield Finding(message, hint=SEE_HISTORY)

    return look


def guard_is_whole(site: Site) -> Iterator[Finding]:
    """Check every part of the guard."""
    for message in site.facts.guard_faults:
        yield Finding(
            message, hint="install it again: lockgate guard install", repair=partial(_install_guard, site.workspace)
        )


def _install_guard(workspace: Workspace) -> str:
    guard.install(workspace.database, workspace.actor)
    return "the guard is installed and complete"


def ledger_is_whole(site: Site) -> Iterator[Finding]:
    """Check the chain of hashes. A broken chain cannot be repaired."""
    for message in site.facts.ledger_breaks:
        yield Finding(message, hint="compare with a backup or an earlier export", weight=Weight.INTEGRITY)


def records(site: Site) -> Iterator[Finding]:
    """Compare the records of schema lockgate with MLflow's registry."""
    rows = diagnostics.remembered(site.workspace.database, site.workspace.model)
    yield from rules.records(
        [Remembered(row.version, row.present, row.deleted, row.astray, row.run_hidden, row.run_id) for row in rows]
    )


def intents(site: Site) -> Iterator[Finding]:
    """Find intents of commands that ended before their move."""
    workspace = site.workspace
    for dead in diagnostics.dead_intents(workspace.database, workspace.model):
        yield Finding(
            f"{dead.actor} was about to {dead.command} version {dead.version} at {dead.created_at:%F %T %Z}",
            hint="the command ended before the move; the intent no longer counts and can be deleted",
            repair=partial(_delete_intent, workspace, dead.id),
        )


def _delete_intent(workspace: Workspace, intent_id: int) -> str:
    withdraw_intent(workspace.database, intent_id)
    return f"intent {intent_id} deleted"


def runs(site: Site) -> Iterator[Finding]:
    """Find runs and models of registrations that ended without a version."""
    workspace = site.workspace
    for dead in cleanup.of_registrations(workspace):
        what = f"run {dead.run_id}" if dead.run_id else f"logged model {dead.model_id}"
        yield Finding(
            f"{what} belongs to a registration that did not finish",
            hint="it can be deleted; the next registration of the bundle makes a new run",
            repair=partial(_clear_dead, workspace, dead, what),
        )


def _clear_dead(workspace: Workspace, dead: Belongings, what: str) -> str:
    cleanup.clear_dead(workspace, dead)
    return f"{what} deleted with its files"


def remains(site: Site) -> Iterator[Finding]:
    """Find deleted versions whose run or files a killed gc did not delete."""
    for left in gc.remains(site.workspace):
        yield Finding(
            f"version {left} was deleted by gc, but its run or files still exist",
            hint="finish it with: lockgate gc",
            repair=partial(_finish, site.workspace, left),
        )


def _finish(workspace: Workspace, version: int) -> str:
    gc.finish(workspace, version)
    return f"the run and the files of version {version} deleted"


def aliases_mirror_the_stages(site: Site) -> Iterator[Finding]:
    """Check that the aliases `production` and `staging` point to the versions in these stages."""
    workspace = site.workspace
    for message in invariants.CHECKERS["aliases mirror the stages"](site.facts):
        yield Finding(message, hint="set the alias to the version in the stage", repair=partial(_mirror, workspace))


def _mirror(workspace: Workspace) -> str:
    diagnostics.mirror_aliases(workspace.database, workspace.model)
    return "the aliases point to the versions in the stages"
