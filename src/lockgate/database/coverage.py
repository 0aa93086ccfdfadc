"""Which models are under the gate: covered by registration or by name, or all of them by the default."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from lockgate.database.connection import Database, with_retries
from lockgate.errors import StateConflict

SELECT_COVERED = """
    SELECT DISTINCT name
    FROM (
        SELECT name FROM public.registered_models
        UNION SELECT model FROM lockgate.guard_changes WHERE model IS NOT NULL
    ) AS known
    WHERE lockgate.covers(name)
    ORDER BY name
"""
SELECT_DEFAULT = "SELECT lockgate.default_is_closed()"
SELECT_COVERS = "SELECT lockgate.covers(:model)"
COVER = "SELECT lockgate.cover(:model, :actor)"
UNCOVER = "INSERT INTO lockgate.guard_changes (change, actor, model) VALUES ('uncovered', :actor, :model)"
FORGET_PRODUCTION = "DELETE FROM lockgate.in_production WHERE model = :model"
SET_DEFAULT = "INSERT INTO lockgate.guard_changes (change, actor) VALUES (:change, :actor)"
LOCK = "SELECT lockgate.lock_registry()"
VIOLATIONS = "SELECT sentence FROM lockgate.violations(NULL) AS sentence"
TAKE_OVER = "SELECT lockgate.take_over(NULL, :actor)"


@dataclass(frozen=True)
class Coverage:
    """The covered models that are known by name, and whether every other model is covered as well."""

    default: str
    models: tuple[str, ...]


@with_retries
def read(database: Database) -> Coverage:
    """What is covered now."""
    with database.transaction() as connection:
        return Coverage(_default(connection), tuple(connection.scalars(text(SELECT_COVERED))))


@with_retries
def covers(database: Database, model: str) -> bool:
    """Whether the model is under the gate."""
    with database.transaction() as connection:
        return bool(connection.scalar(text(SELECT_COVERS), {"model": model}))


@with_retries
def cover(database: Database, model: str, actor: str) -> bool:
    """Put a model under the gate, in every workspace; whether it was not there by name before.

    Raises StateConflict while its versions or aliases violate the rules.
    """
    with database.transaction() as connection:
        return bool(connection.scalar(text(COVER), {"model": model, "actor": actor}))


@with_retries
def uncover(database: Database, model: str, actor: str) -> bool:
    """Take a model from the gate: from now on it behaves as on a plain MLflow server. Whether it was covered."""
    values = {"model": model, "actor": actor}
    with database.transaction() as connection:
        lock_registry(connection)
        if not connection.scalar(text(SELECT_COVERS), values):
            return False
        connection.execute(text(UNCOVER), values)
        connection.execute(text(FORGET_PRODUCTION), values)
    return True


@with_retries
def set_default(database: Database, default: str, actor: str) -> bool:
    """Put every other model under the gate (`closed`) or leave them as on plain MLflow (`open`); whether that is new.

    Raises StateConflict if a model that would be covered violates the rules.
    """
    with database.transaction() as connection:
        before = _default(connection)
        if before == default:
            return False
        lock_registry(connection)
        change = {"closed": "closed", "open": "opened"}[default]
        connection.execute(text(SET_DEFAULT), {"change": change, "actor": actor})
        found = violations(connection)
        if found:
            raise StateConflict(
                f"the default of the guard stays {before}: " + "; ".join(found),
                where=database.address,
                hint="resolve them in MLflow, or take a model out with: lockgate guard uncover NAME",
            )
        take_over(connection, actor)
    return True


def lock_registry(connection: Connection) -> None:
    """Let nothing in MLflow's registry move until the end of the transaction."""
    connection.execute(text(LOCK))


def violations(connection: Connection) -> list[str]:
    """A sentence for each state of a covered model that the guard would not have allowed."""
    return [str(sentence) for sentence in connection.scalars(text(VIOLATIONS))]


def take_over(connection: Connection, actor: str) -> None:
    """Record the covered models as they are: `adopt` rows, aliases that mirror the stages, versions in Production."""
    connection.execute(text(TAKE_OVER), {"actor": actor})


def _default(connection: Connection) -> str:
    return "closed" if connection.scalar(text(SELECT_DEFAULT)) else "open"
