"""Schema lockgate is made, or brought from an earlier state to that of this code."""

from sqlalchemy import Connection, text

from lockgate.database import definitions, missing_parts, schema_check, sql_files
from lockgate.database.connection import Database
from lockgate.errors import StateConflict

OLDEST = 8  # the first schema that any database outside this project may have
ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('lockgate.migrate', 0))"
RECORD = "INSERT INTO lockgate.migrations VALUES (:number, :name, now())"


def migrate(database: Database) -> list[str]:
    """Bring schema lockgate to this code's state, in one transaction; what was done, nothing if it was there already.

    MLflow must have made its tables in the same database before. Raises StateConflict for a schema that is newer than
    this code, or older than every released one, and for lost records of the gate.
    """
    with database.unchecked_transaction() as connection:
        database.check_time_limit(connection)
        connection.execute(text(ALONE))
        number = schema_check.number(connection)
        schema_check.refuse_newer(number, database.address)
        done = _make(connection, database.address) if number is None else _upgrade(connection, number, database.address)
        done += missing_parts.make(connection, missing_parts.missing(connection), database.address)
        if done or schema_check.definitions_in_force(connection) != sql_files.digest():
            definitions.apply(connection)
            done.append("definitions")
    return done


def _make(connection: Connection, address: str) -> list[str]:
    if not connection.scalar(text("SELECT to_regclass('public.model_versions') IS NOT NULL")):
        raise StateConflict("the database has no tables of MLflow", where=address, hint="start its MLflow server first")
    definitions.run(connection, sql_files.tables())
    connection.execute(text(RECORD), {"number": schema_check.NUMBER, "name": "tables"})
    return ["tables"]


def _upgrade(connection: Connection, number: int, address: str) -> list[str]:
    if number < OLDEST:
        raise StateConflict(
            f"schema lockgate is too old ({number}) for this code, which upgrades from {OLDEST}",
            where=address,
            hint="upgrade it with an earlier version of lockgate first",
        )
    pending = [upgrade for upgrade in sql_files.upgrades() if upgrade.number > number]
    for upgrade in pending:
        definitions.run(connection, upgrade.sql)
        connection.execute(text(RECORD), {"number": upgrade.number, "name": upgrade.name})
    return [upgrade.name for upgrade in pending]
