"""The guard: puts the triggers on MLflow's tables, takes them off, and compares all rules with those of this code.

What the triggers refuse is in sql/functions. Without them, stage changes and approvals are still recorded.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from lockgate.database import coverage, definitions, sql_files
from lockgate.database.connection import Database, with_retries
from lockgate.errors import StateConflict
from lockgate.lifecycle.stages import LEGAL_MOVES

RESOLVE = "resolve them in MLflow, then: lockgate guard install"
LAST_CHANGE = """
    SELECT change, actor, at FROM lockgate.guard_changes
    WHERE change IN ('installed', 'removed') ORDER BY id DESC LIMIT 1
"""
NOTE_CHANGE = "INSERT INTO lockgate.guard_changes (change, actor) VALUES (:change, :actor)"
FORGET_PRODUCTION = "DELETE FROM lockgate.in_production"
UNHELD = """
    SELECT EXISTS (
        (SELECT name, version FROM public.model_versions
         WHERE (workspace, current_stage) = ('default', 'Production') AND lockgate.covers(name)
         EXCEPT SELECT model, version FROM lockgate.in_production)
        UNION ALL
        (SELECT model, version FROM lockgate.in_production WHERE lockgate.covers(model)
         EXCEPT SELECT name, version FROM public.model_versions
         WHERE (workspace, current_stage) = ('default', 'Production'))
    )
"""


@dataclass(frozen=True)
class Guard:
    """Whether the guard is on, what is wrong with it, and who put it on or took it off last."""

    installed: bool
    faults: tuple[str, ...]
    last_change: str | None
    last_actor: str | None
    last_at: datetime | None


@with_retries
def status(database: Database) -> Guard:
    """Compare every trigger, function, constraint and grant. Not installed means: no trigger of the guard is there."""
    with database.transaction() as connection:
        last = connection.execute(text(LAST_CHANGE)).one_or_none()
        missing = definitions.piece_faults(connection, sql_files.guarding_triggers())
        installed = not _is_off(missing.values())
        faults = [
            *missing.values(),
            *_other_faults(connection),
            *(_faults_of_production(connection) if installed else []),
        ]
    return Guard(installed, tuple(faults), *(last or (None, None, None)))


@with_retries
def install(database: Database, actor: str) -> bool:
    """Put on what is missing or changed, in one transaction; whether anything had to be done.

    Raises StateConflict with every violation in the registry, before anything is changed.
    """
    if status(database).faults == ():
        return False
    with database.transaction() as connection:
        coverage.lock_registry(connection)
        for trigger in sql_files.guarding_triggers():
            definitions.run(connection, trigger.removal)
        definitions.apply(connection)
        _refuse_violations(connection, database.address)
        _renew_legal_moves(connection)
        connection.execute(text(FORGET_PRODUCTION))
        coverage.take_over(connection, actor)
        definitions.replace(connection, sql_files.guarding_triggers())
        connection.execute(text(NOTE_CHANGE), {"change": "installed", "actor": actor})
    return True


@with_retries
def remove(database: Database, actor: str) -> bool:
    """Take the guard off; whether it was on. Stage changes of covered models are still recorded."""
    with database.transaction() as connection:
        if _is_off(definitions.piece_faults(connection, sql_files.guarding_triggers()).values()):
            return False
        for trigger in sql_files.guarding_triggers():
            definitions.run(connection, trigger.removal)
        connection.execute(text(NOTE_CHANGE), {"change": "removed", "actor": actor})
    return True


@with_retries
def violations(database: Database) -> list[str]:
    """What the guard would not have allowed in the registry; it is not installed before that is resolved."""
    with database.transaction() as connection:
        return coverage.violations(connection)


def _is_off(faults: Collection[str]) -> bool:
    return len(faults) == len(sql_files.guarding_triggers()) and all(fault.endswith("is missing") for fault in faults)


def _refuse_violations(connection: Connection, address: str) -> None:
    found = coverage.violations(connection)
    if found:
        raise StateConflict("the guard is not installed: " + "; ".join(found), where=address, hint=RESOLVE)


def _other_faults(connection: Connection) -> list[str]:
    rows = connection.execute(text("SELECT from_stage, to_stage, command FROM lockgate.legal_moves"))
    same = {tuple(row) for row in rows} == set(_legal_moves())
    moves = [] if same else ["the table of legal moves is not that of this code"]
    return [*definitions.faults(connection), *moves]


def _faults_of_production(connection: Connection) -> list[str]:
    differs = connection.scalar(text(UNHELD))
    return ["the table lockgate.in_production differs from the versions in Production"] if differs else []


def _renew_legal_moves(connection: Connection) -> None:
    connection.execute(text("DELETE FROM lockgate.legal_moves"))
    rows = [{"from_stage": start, "to_stage": end, "command": command} for start, end, command in _legal_moves()]
    connection.execute(text("INSERT INTO lockgate.legal_moves VALUES (:from_stage, :to_stage, :command)"), rows)


def _legal_moves() -> list[tuple[str, str, str]]:
    return [
        (str(start), str(end), str(command)) for (start, end), commands in LEGAL_MOVES.items() for command in commands
    ]
