"""The state of a database at one moment, for a backup: a snapshot that pg_dump uses too, and what it should hold."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, text

from lockgate.database import schema_check
from lockgate.database.connection import Database
from lockgate.database.error_messages import translated
from lockgate.errors import StateConflict

SCHEMAS = "('public', 'lockgate', 'lockgate_artifacts')"
BEGIN = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "SET LOCAL idle_in_transaction_session_timeout = 0",  # the transaction waits as long as pg_dump runs
)
EXPORT = "SELECT pg_export_snapshot()"
SELECT_SERVER = "SELECT current_setting('server_version_num')::integer / 10000"
SELECT_HEADS = "SELECT model, seq, hash FROM lockgate.ledger_heads ORDER BY model"
SELECT_VERSIONS = """
    SELECT registry.name, registry.version, registry.storage_location
    FROM public.model_versions AS registry
    JOIN lockgate.versions AS ours ON (ours.model, ours.version) = (registry.name, registry.version)
    WHERE registry.workspace = 'default' AND registry.current_stage <> 'Deleted_Internal'
      AND registry.storage_location LIKE 'mlflow-artifacts:%'
    ORDER BY 1, 2
"""
SELECT_ROLES = f"""
    WITH named AS (
        SELECT relowner AS oid FROM pg_class JOIN pg_namespace AS space ON space.oid = relnamespace
        WHERE nspname IN {SCHEMAS}
        UNION
        SELECT acl.grantee FROM pg_class JOIN pg_namespace AS space ON space.oid = relnamespace,
            aclexplode(relacl) AS acl
        WHERE nspname IN {SCHEMAS}
        UNION SELECT nspowner FROM pg_namespace WHERE nspname IN {SCHEMAS}
        UNION SELECT acl.grantee FROM pg_namespace, aclexplode(nspacl) AS acl WHERE nspname IN {SCHEMAS}
        UNION
        SELECT acl.grantee FROM pg_proc JOIN pg_namespace AS space ON space.oid = pronamespace,
            aclexplode(proacl) AS acl
        WHERE nspname IN {SCHEMAS}
    )
    SELECT rolname FROM named JOIN pg_roles AS role USING (oid) WHERE NOT starts_with(rolname, 'pg_') ORDER BY 1
"""  # noqa: S608 - our own names only
HAS_FILES = "SELECT EXISTS (SELECT FROM lockgate_artifacts.files)"
TABLES_WITH_DATA = (
    "public.model_versions", "public.runs", "lockgate.versions", "lockgate.ledger", "lockgate.predictions",
    "lockgate.truth", "lockgate_artifacts.files",
)  # fmt: skip
IS_THERE = "SELECT to_regclass(:table) IS NOT NULL"
OTHER_TABLES = """
    SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND to_regclass('public.alembic_version') IS NULL
"""
MISSING_ROLES = """
    SELECT wanted FROM unnest(CAST(:roles AS text[])) AS wanted
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted)
"""


@dataclass(frozen=True)
class Head:
    """Number and hash of the last ledger row of a model."""

    model: str
    seq: int
    hash: str


@dataclass(frozen=True)
class KeptVersion:
    """A registered version, and the folder of its files below the place of the artifacts."""

    model: str
    version: int
    folder: str


@dataclass(frozen=True)
class Contents:
    """What a database holds at the moment of a snapshot."""

    postgres: int
    schema: int
    heads: tuple[Head, ...]
    versions: tuple[KeptVersion, ...]
    roles: tuple[str, ...]
    has_artifacts: bool


@contextmanager
def exported(database: Database) -> Iterator[tuple[str, Contents]]:
    """The name of a snapshot, which other sessions may use within the block, and what it holds."""
    with translated(database.address, database.timeout), database.connect() as connection, connection.begin():
        for statement in BEGIN:
            connection.execute(text(statement))
        schema_check.check(connection, database.address)
        name = str(connection.scalar(text(EXPORT)))
        yield name, _contents(connection)


def major(database: Database) -> int:
    """The major version of the server."""
    with database.unchecked_transaction() as connection:
        return int(connection.scalar(text(SELECT_SERVER)) or 0)


def tables_with_data(database: Database) -> list[str]:
    """The tables that make a database one that a restore must not overwrite.

    Raises StateConflict for a database whose schema public holds tables of another application.
    """
    with database.unchecked_transaction() as connection:
        if connection.scalar(text(OTHER_TABLES)):
            raise StateConflict(
                "schema public holds tables that are not MLflow's", where=database.address, hint="use another database"
            )
        return [table for table in TABLES_WITH_DATA if _has_rows(connection, table)]


def has_table(database: Database, name: str) -> bool:
    """Whether the database has the table."""
    with database.unchecked_transaction() as connection:
        return bool(connection.scalar(text(IS_THERE), {"table": name}))


def missing_roles(database: Database, roles: tuple[str, ...]) -> list[str]:
    """Those of the roles that the server lacks."""
    with database.unchecked_transaction() as connection:
        return list(connection.scalars(text(MISSING_ROLES), {"roles": list(roles)}))


def _has_rows(connection: Connection, table: str) -> bool:
    if not connection.scalar(text(IS_THERE), {"table": table}):
        return False
    return bool(connection.scalar(text(f"SELECT EXISTS (SELECT FROM {table})")))  # noqa: S608 - our own names only


def _contents(connection: Connection) -> Contents:
    return Contents(
        int(connection.scalar(text(SELECT_SERVER)) or 0),
        schema_check.number(connection) or 0,
        tuple(Head(*row) for row in connection.execute(text(SELECT_HEADS))),
        tuple(
            KeptVersion(model, version, _folder(location))
            for model, version, location in connection.execute(text(SELECT_VERSIONS))
        ),
        tuple(connection.scalars(text(SELECT_ROLES))),
        bool(connection.scalar(text(HAS_FILES))),
    )


def _folder(location: str) -> str:
    """The path of an address such as mlflow-artifacts:/1/models/m-0/artifacts below the place of the artifacts."""
    path = location.removeprefix("mlflow-artifacts:")
    return (path.removeprefix("//").partition("/")[2] if path.startswith("//") else path).strip("/")
