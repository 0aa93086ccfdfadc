"""Functions, triggers, constraints and grants in the database are compared with those of this code, and put back."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from lockgate.database import guard, sql_files
from lockgate.database.connection import Database
from lockgate.database.migrate import migrate
from lockgate.errors import StateConflict
from lockgate.operations import status as operations_status
from lockgate.operations.workspace import Workspace
from lockgate.stack import embedded_postgres
from lockgate.system.service_urls import Addresses

SQL = Path(sql_files.__file__).parent / "sql"
ALWAYS_TRUE = "RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog AS 'SELECT true'"

DAMAGE = {
    # functions
    f"CREATE OR REPLACE FUNCTION lockgate.may_return(of_model text, of_version integer) {ALWAYS_TRUE}": (
        "the function lockgate.may_return was changed"
    ),
    "DROP FUNCTION lockgate.guard_moves() CASCADE": "the function lockgate.guard_moves is missing",
    "ALTER FUNCTION lockgate.guard_versions() SECURITY INVOKER": "the function lockgate.guard_versions was changed",
    "ALTER FUNCTION lockgate.covers(text) RESET search_path": "the function lockgate.covers was changed",
    "ALTER FUNCTION lockgate.guard_moves() SET search_path = pg_catalog": (
        "the function lockgate.guard_moves was changed"
    ),
    "ALTER FUNCTION lockgate.because(text, text) VOLATILE": "the function lockgate.because was changed",
    "ALTER FUNCTION lockgate.guard_runs() OWNER TO mlflow": (
        "the function lockgate.guard_runs belongs to another role than its schema"
    ),
    f"CREATE FUNCTION lockgate.covers(varchar) {ALWAYS_TRUE}": (
        "the function lockgate.covers(character varying) is not of this version"
    ),
    "CREATE OR REPLACE FUNCTION lockgate_artifacts.holder(place text) RETURNS text"
    " LANGUAGE sql STABLE SET search_path = pg_catalog AS 'SELECT NULL'": (
        "the function lockgate_artifacts.holder was changed"
    ),
    # triggers of our own tables
    "DROP TRIGGER append_only ON lockgate.verdicts": "the trigger append_only on lockgate.verdicts is missing",
    "ALTER TABLE lockgate.ledger DISABLE TRIGGER chain_ledger_row": (
        "the trigger chain_ledger_row on lockgate.ledger is switched off"
    ),
    "DROP TRIGGER append_only ON lockgate.approvals; CREATE TRIGGER append_only BEFORE DELETE ON lockgate.approvals"
    " FOR EACH STATEMENT EXECUTE FUNCTION lockgate.refuse_change()": (
        "the trigger append_only on lockgate.approvals was changed"
    ),
    "CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
    "CREATE TRIGGER a_swallow BEFORE INSERT ON lockgate.ledger FOR EACH ROW EXECUTE FUNCTION public.swallow()": (
        "the trigger a_swallow on lockgate.ledger is not of this version"
    ),
    "CREATE RULE swallow AS ON INSERT TO lockgate.verdicts DO INSTEAD NOTHING": (
        "the rule swallow on lockgate.verdicts is not of this version"
    ),
    # constraints
    "ALTER TABLE lockgate.verdicts DROP CONSTRAINT verdicts_check": (
        "the constraint verdicts_check on lockgate.verdicts is missing"
    ),
    "ALTER TABLE lockgate.in_production DROP CONSTRAINT in_production_pkey": (
        "the constraint in_production_pkey on lockgate.in_production is missing"
    ),
    "ALTER TABLE lockgate.verdicts DROP CONSTRAINT verdicts_outcome_check;"
    "ALTER TABLE lockgate.verdicts ADD CONSTRAINT verdicts_outcome_check CHECK (outcome <> '')": (
        "the constraint verdicts_outcome_check on lockgate.verdicts was changed"
    ),
    # grants
    "GRANT INSERT ON lockgate.verdicts TO mlflow": "the role mlflow may INSERT lockgate.verdicts",
    "GRANT ALL ON lockgate.ledger TO mlflow": (
        "the role mlflow may DELETE, INSERT, REFERENCES, TRIGGER, TRUNCATE, UPDATE lockgate.ledger"
    ),
    "GRANT UPDATE (outcome) ON lockgate.verdicts TO PUBLIC": "every role may UPDATE lockgate.verdicts",
    "GRANT CREATE ON SCHEMA lockgate TO mlflow": "the role mlflow may CREATE schema lockgate",
    "GRANT DELETE ON lockgate_artifacts.chunks TO mlflow": "the role mlflow may DELETE lockgate_artifacts.chunks",
    "GRANT EXECUTE ON FUNCTION lockgate_artifacts.let_go TO mlflow": (
        "the role mlflow may EXECUTE lockgate_artifacts.let_go()"
    ),
    "REVOKE EXECUTE ON FUNCTION lockgate_artifacts.keep FROM mlflow": "the role mlflow may not use lockgate_artifacts",
    "REVOKE ALL ON FUNCTION lockgate_artifacts.holder FROM mlflow": "the role mlflow may not use lockgate_artifacts",
    "ALTER TABLE lockgate.approvals OWNER TO mlflow": "lockgate.approvals belongs to another role than its schema",
    # the prediction log, whose table is partitioned
    "GRANT INSERT ON lockgate.predictions TO mlflow": "the role mlflow may INSERT lockgate.predictions",
    "ALTER TABLE lockgate.predictions OWNER TO mlflow": "lockgate.predictions belongs to another role than its schema",
    "DROP TRIGGER append_only ON lockgate.truth": "the trigger append_only on lockgate.truth is missing",
    "ALTER TABLE lockgate.predictions DROP CONSTRAINT predictions_pkey": (
        "the constraint predictions_pkey on lockgate.predictions is missing"
    ),
    # data of the rules
    "INSERT INTO lockgate.in_production SELECT 'm', 1; INSERT INTO lockgate.guard_changes (change, actor, model)"
    " VALUES ('covered', 'eve', 'm')": "the table lockgate.in_production differs from the versions in Production",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_each_change_is_named_by_status_and_taken_back_by_install(
    database: Database, psql: Callable[..., str], database_url: str, damage: str
) -> None:
    psql(damage, database_url.split("@/")[1].split("?")[0])
    assert DAMAGE[damage] in guard.status(database).faults
    nowhere = Workspace("m", Addresses("http://127.0.0.1:9", database_url), database, "anna", 5.0)
    assert f"guard is whole: {DAMAGE[damage]}" in operations_status.status(nowhere).broken
    assert guard.install(database, "anna") is True
    assert guard.status(database).faults == ()


def test_a_role_may_be_allowed_to_read(database: Database, psql: Callable[..., str], database_url: str) -> None:
    name = database_url.split("@/")[1].split("?")[0]
    psql("GRANT USAGE ON SCHEMA lockgate TO mlflow; GRANT SELECT ON lockgate.verdicts TO mlflow", name)
    assert guard.status(database).faults == ()


def test_a_swap_past_the_triggers_is_a_gap_between_registry_and_ledger(database: Database, database_url: str) -> None:
    """What a superuser can do: `session_replication_role` switches the triggers off for one session."""
    with database.transaction() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("INSERT INTO public.registered_models (name) VALUES ('m')"))
        rows = "('m', 1, 'Production'), ('m', 2, 'None')"
        connection.execute(text(f"INSERT INTO public.model_versions (name, version, current_stage) VALUES {rows}"))
    guard.remove(database, "anna")
    with database.transaction() as connection:
        connection.execute(
            text("INSERT INTO lockgate.guard_changes (change, actor, model) VALUES ('covered', 'a', 'm')")
        )
    guard.install(database, "anna")
    where = Workspace("m", Addresses("http://127.0.0.1:9", database_url), database, "anna", 5.0)
    assert operations_status.status(where).broken == ()
    with database.transaction() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        swap = (
            "UPDATE public.model_versions SET current_stage = CASE version WHEN 2 THEN 'Production' ELSE 'Archived' END"
        )
        connection.execute(text(swap))
    assert operations_status.status(where).broken == (
        "ledger tells every stage: version 1 is in Archived, the ledger says Production",
        "ledger tells every stage: version 2 is in Production, the ledger says None",
        "aliases mirror the stages: alias production points to version 1, not to version 2",
        "guard is whole: the table lockgate.in_production differs from the versions in Production",
    )


def test_the_digest_of_the_definitions_is_on_record(database: Database) -> None:
    with database.transaction() as connection:
        rows = connection.execute(text("SELECT digest, db_user FROM lockgate.definitions"))
        assert [tuple(row) for row in rows] == [(sql_files.digest(), embedded_postgres.OWNER)]


def test_other_definitions_on_record_are_replaced_by_a_migration(database: Database, database_url: str) -> None:
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO lockgate.definitions (digest) VALUES ('of an earlier version')"))
        connection.execute(text("DROP FUNCTION lockgate.may_return CASCADE"))
    with pytest.raises(StateConflict, match="of another version"), Database(database_url).transaction():
        pass
    assert migrate(database) == ["definitions"]
    assert guard.status(database).faults == ()


def test_every_statement_of_the_files_is_read() -> None:
    """A function that is not read would be dropped as unknown."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in [*SQL.glob("*.sql"), *SQL.glob("functions/*.sql")]}
    assert len(sql_files.functions()) == sum(each.count("CREATE OR REPLACE FUNCTION") for each in texts.values())
    assert len(sql_files.constraints()) == texts["constraints.sql"].count("ADD CONSTRAINT")
    assert len(sql_files.recording_triggers()) == texts["triggers_recording.sql"].count("EXECUTE FUNCTION")
    assert len(sql_files.guarding_triggers()) == texts["triggers_guarding.sql"].count("EXECUTE FUNCTION")
