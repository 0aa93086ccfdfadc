"""A database of an earlier schema comes to the same tables, constraints, triggers and functions as a new one."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from lockgate.database import coverage, guard, ledger
from lockgate.database.connection import Database
from lockgate.database.migrate import migrate
from lockgate.errors import StateConflict
from lockgate.stack import embedded_postgres

DUMP_OF_8 = Path(__file__).parents[1] / "data" / "registered_before" / "lockgate.dump"
OURS = "('lockgate', 'lockgate_artifacts')"
CATALOGS = {
    "columns": f"""
        SELECT table_schema, table_name, column_name, data_type, is_nullable, column_default, collation_name
        FROM information_schema.columns WHERE table_schema IN {OURS} ORDER BY 1, 2, ordinal_position
    """,
    "constraints": f"""
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(pg_constraint.oid)
        FROM pg_constraint JOIN pg_namespace ON pg_namespace.oid = connamespace
        WHERE nspname IN {OURS} ORDER BY 1, 2
    """,
    "indexes": f"SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname IN {OURS} ORDER BY 2",
    "options": f"""
        SELECT relname, reloptions, attname, attstorage FROM pg_class
        JOIN pg_namespace ON pg_namespace.oid = relnamespace JOIN pg_attribute ON attrelid = pg_class.oid
        WHERE nspname IN {OURS} AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped ORDER BY relname, attnum
    """,
    "triggers": """
        SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), tgenabled FROM pg_trigger
        WHERE NOT tgisinternal ORDER BY 1, 2
    """,
    "functions": f"""
        SELECT pg_get_functiondef(pg_proc.oid), proacl FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
        WHERE nspname IN {OURS} ORDER BY 1
    """,
    "grants": f"""
        SELECT relname, acl.grantee::regrole::text, acl.privilege_type
        FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace, aclexplode(relacl) AS acl
        WHERE nspname IN {OURS} AND acl.grantee <> relowner ORDER BY 1, 2, 3
    """,
    "constraints of MLflow's table": """
        SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid = 'public.model_versions'::regclass ORDER BY 1
    """,
}  # fmt: skip


@pytest.fixture
def of_8(home: Path, psql: Callable[..., str]) -> Iterator[Database]:
    """A database of schema 8, with three versions; restored as docs/how-to/backup.md says."""
    name = "schema_8"
    psql(f"CREATE DATABASE {name}")
    words = ["--host", str(embedded_postgres.socket_folder(home)), "--username", embedded_postgres.OWNER, "-d", name]
    subprocess.run([embedded_postgres.binary("pg_restore"), *words, str(DUMP_OF_8)], check=True, timeout=120)
    yield Database(embedded_postgres.url(home, embedded_postgres.OWNER, name))
    psql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def of_11(database: Database) -> Database:
    """A database of schema 11: without what upgrades/0012 and upgrades/0013 make."""
    with database.transaction() as connection:
        for statement in (
            "DROP TABLE lockgate.predictions, lockgate.truth, lockgate.serving_shares, lockgate.request_counts CASCADE",
            "DROP TABLE lockgate.definitions, lockgate.registry_locks, lockgate.in_production",
            "ALTER TABLE lockgate.guard_changes DROP COLUMN model CASCADE",
            "ALTER TABLE lockgate.guard_changes DROP CONSTRAINT IF EXISTS guard_changes_change_check",
            "ALTER TABLE lockgate.guard_changes ADD CONSTRAINT guard_changes_change_check"
            " CHECK (change IN ('installed', 'removed'))",
            "ALTER TABLE lockgate.intents RENAME COLUMN reported_at TO told_at",
            "ALTER TYPE lockgate.objection RENAME ATTRIBUTE reason TO says",
            "UPDATE lockgate.migrations SET number = 11",
        ):
            connection.execute(text(statement))
    return database


def catalogs(database: Database) -> dict[str, list[object]]:
    with database.transaction() as connection:
        connection.execute(text("SET LOCAL search_path = pg_catalog"))
        return {name: [tuple(row) for row in connection.execute(text(query))] for name, query in CATALOGS.items()}


def test_a_database_of_schema_8_becomes_as_a_new_one(of_8: Database, database: Database) -> None:
    assert migrate(of_8) == ["one_baseline", "predictions", "definitions"]
    guard.install(of_8, "anna")
    assert catalogs(of_8) == catalogs(database)
    assert guard.status(of_8).faults == ()
    assert migrate(of_8) == []


def test_what_was_on_record_stays(of_8: Database) -> None:
    migrate(of_8)
    guard.install(of_8, "anna")
    (model,) = coverage.read(of_8).models
    rows = ledger.read(of_8, model)
    assert (len(rows), list(ledger.breaks(rows)), ledger.missing_tail(of_8, model)) == (6, [], [])
    with of_8.transaction() as connection:
        held = connection.execute(text("SELECT model, version FROM lockgate.in_production")).one()
    assert tuple(held) == (model, 2)


def test_a_database_of_schema_11_becomes_as_a_new_one(of_11: Database, database_url: str) -> None:
    expected = catalogs(Database(database_url.replace(database_url.split("@/")[1].split("?")[0], "migrated")))
    assert migrate(of_11) == ["one_baseline", "predictions", "definitions"]
    guard.install(of_11, "anna")
    assert catalogs(of_11) == expected


EARLIER_13 = (
    "DROP TABLE lockgate.serving_shares, lockgate.request_counts CASCADE",
    "ALTER TABLE lockgate.truth DROP COLUMN corrects CASCADE",
    "DROP INDEX lockgate.predictions_of_period, lockgate.predictions_of_request",
)


def run(database: Database, *statements: str) -> None:
    with database.transaction() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_a_schema_of_the_same_number_that_lacks_parts_is_completed(database: Database) -> None:
    whole = {name: sorted(map(str, rows)) for name, rows in catalogs(database).items()}
    run(database, *EARLIER_13)
    assert [each for each in migrate(database) if "truth" in each] == [
        "the column corrects of lockgate.truth was missing and is there again",
        "the index lockgate.truth_corrections of lockgate.truth was missing and is there again",
    ]
    found = {name: sorted(map(str, rows)) for name, rows in catalogs(database).items()}
    assert {name for name in whole if whole[name] != found[name]} <= {"options"}  # it has the dropped column's place
    assert migrate(database) == []


LOST = {
    "DROP TABLE lockgate.verdicts CASCADE": "the table lockgate.verdicts is missing, and nothing but a backup",
    "ALTER TABLE lockgate.ledger DROP COLUMN reason CASCADE": "the column reason of lockgate.ledger is missing",
}


@pytest.mark.parametrize("loss", LOST)
def test_lost_records_of_the_gate_are_not_made_anew(database: Database, loss: str) -> None:
    run(database, loss)
    with pytest.raises(StateConflict, match=LOST[loss]):
        migrate(database)


def test_a_schema_older_than_every_release_is_refused(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("UPDATE lockgate.migrations SET number = 7"))
    with pytest.raises(StateConflict, match=r"too old \(7\)"):
        migrate(database)
