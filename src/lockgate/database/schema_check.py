"""Whether schema lockgate is that of this code."""

from sqlalchemy import Connection, text

from lockgate.database import sql_files
from lockgate.errors import StateConflict

NUMBER = sql_files.upgrades()[-1].number
IN_FORCE = "SELECT digest FROM lockgate.definitions ORDER BY id DESC LIMIT 1"


def check(connection: Connection, address: str) -> None:
    """Raises StateConflict if schema lockgate is absent, older or newer than this code, or has other definitions."""
    found = number(connection)
    refuse_newer(found, address)
    if found is None:
        raise StateConflict("the database has no schema lockgate", where=address, hint="make it with: lockgate up")
    if found < NUMBER:
        raise StateConflict(
            "schema lockgate is older than this code", where=address, hint="migrate it with: lockgate up"
        )
    if definitions_in_force(connection) != sql_files.digest():
        raise StateConflict(
            "the functions of schema lockgate are those of another version of this code",
            where=address,
            hint="apply those of this version with: lockgate up",
        )


def number(connection: Connection) -> int | None:
    """The number of the tables; None where schema lockgate is absent."""
    present = connection.scalar(text("SELECT to_regclass('lockgate.migrations') IS NOT NULL"))
    return connection.scalar(text("SELECT max(number) FROM lockgate.migrations")) if present else None


def definitions_in_force(connection: Connection) -> str | None:
    """The digest of the definitions that were applied last."""
    digest: str | None = connection.scalar(text(IN_FORCE))
    return digest


def refuse_newer(found: int | None, address: str) -> None:
    """Raises StateConflict for a schema that a newer version of this code has made."""
    if found is not None and found > NUMBER:
        raise StateConflict(
            f"schema lockgate is newer ({found}) than this code ({NUMBER})", where=address, hint="update lockgate"
        )
