"""What the role of the MLflow server cannot gain by SQL: it owns MLflow's tables and may make functions in public."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from raw_model import RawModel
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError

from lockgate.database import approvals, guard, ledger, sql_files, versions
from lockgate.database.connection import Database
from lockgate.database.migrate import migrate
from lockgate.stack import embedded_postgres
from lockgate.system.service_urls import Addresses

# A function that says in a table of MLflow with whose rights it runs.
SPY = """
    CREATE TABLE IF NOT EXISTS public.seen (who name);
    GRANT INSERT ON public.seen TO PUBLIC;
    CREATE OR REPLACE FUNCTION public.{name}({argument}) RETURNS {returns} LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.seen VALUES (current_user);
        RETURN {value};
    END $$
"""


@contextmanager
def sql(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def run(connection: Connection, statement: str, **values: Any) -> None:
    if values:
        connection.execute(text(statement), values)
    else:
        connection.exec_driver_sql(statement)


@pytest.fixture
def planted(stack: Addresses) -> Iterator[Connection]:
    """A session of MLflow's role on the database of the stack, in which `spy` is a function."""
    with sql(stack.database_url.replace(f"{embedded_postgres.OWNER}@", f"{embedded_postgres.MLFLOW_ROLE}@")) as own:
        run(own, SPY.format(name="spy", argument="given pg_catalog.text", returns="boolean", value="true"))
        own.commit()
        yield own
        own.rollback()
        run(own, "DROP FUNCTION public.spy(pg_catalog.text) CASCADE; DROP TABLE public.seen")
        own.commit()


def who(connection: Connection) -> set[str]:
    return set(connection.scalars(text("SELECT who FROM public.seen")))


def test_a_type_of_the_session_is_not_taken_for_a_built_in_one_by_functions_with_the_owners_rights(
    planted: Connection, stack: Addresses
) -> None:
    """The functions of the guard use the type text; the session has a domain of that name that calls `spy`."""
    model = RawModel(stack, Database(stack.database_url))
    version = model.register()
    model.judge(version)
    named = {"name": model.name, "version": version}
    run(planted, "CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (public.spy(VALUE))")
    for statement in (
        "INSERT INTO public.model_version_tags (workspace, name, version, key, value)"
        " VALUES ('default', :name, :version, 'approved_by', 'a'),"
        " ('default', :name, :version, 'approval', 'approved')",
        "UPDATE public.model_versions SET current_stage = 'Staging' WHERE (name, version) = (:name, :version)",
        "DELETE FROM public.model_version_tags WHERE (name, version, key) = (:name, :version, 'approval')",
    ):
        run(planted, statement, **named)
        planted.commit()
    assert [row.to_stage for row in ledger.read(model.database, model.name)] == ["Staging"]
    assert [each.decision for each in approvals.of_model(model.database, model.name)] == ["approved", "withdrawn"]
    assert who(planted) == set()


def test_every_function_looks_for_names_in_the_catalog_first_and_in_the_session_last() -> None:
    """`truth_in_force` is a view with an argument: it has the rights of its caller, and no other function calls it."""
    others = {each.name: each.settings for each in sql_files.functions() if each.name != "lockgate.truth_in_force"}
    assert others == {name: ["search_path=pg_catalog, pg_temp"] for name in others}


@pytest.mark.parametrize(
    ("name", "argument", "returns", "value"),
    [
        ("to_timestamp", "given numeric", "timestamptz", "pg_catalog.to_timestamp(given::double precision)"),
        ("lower", "given character varying", "text", "given::text"),
    ],
)
def test_a_function_of_another_role_with_the_name_of_a_built_in_one_is_not_called_by_our_commands(
    database: Database, database_url: str, name: str, argument: str, returns: str, value: str
) -> None:
    """The guard and the commands compare columns of MLflow, which have the type character varying."""
    with sql(database_url.replace(f"{embedded_postgres.OWNER}@", f"{embedded_postgres.MLFLOW_ROLE}@")) as own:
        run(own, SPY.format(name=name, argument=argument, returns=returns, value=value))
        run(own, "INSERT INTO public.registered_models (workspace, name) VALUES ('default', 'm')")
        run(
            own,
            "INSERT INTO public.model_versions (workspace, name, version, creation_time, current_stage)"
            " VALUES ('default', 'm', 1, 1000, 'None')",
        )
        own.commit()
        assert [row.version for row in versions.stages(database, "m")] == [1]
        assert versions.aliases(database, "m") == {}
        assert guard.status(database).faults == ()
        assert who(own) == set()


def test_a_trigger_of_mlflows_role_on_its_own_table_is_named_by_status_and_taken_off(
    database: Database, database_url: str
) -> None:
    """It would run with the rights of Lockgate's owner when a command of ours writes to that table."""
    strange = 'a" ON public.tags; DROP TABLE lockgate.ledger; --'
    with sql(database_url.replace(f"{embedded_postgres.OWNER}@", f"{embedded_postgres.MLFLOW_ROLE}@")) as own:
        run(own, "CREATE FUNCTION public.spy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
        quoted = '"' + strange.replace('"', '""') + '"'
        for name, table in (("planted", "model_version_tags"), (quoted, "registered_model_aliases")):
            run(
                own, f"CREATE TRIGGER {name} BEFORE INSERT ON public.{table} FOR EACH ROW EXECUTE FUNCTION public.spy()"
            )
        own.commit()
    assert set(guard.status(database).faults) == {
        "the trigger planted on public.model_version_tags is not of this version",
        f"the trigger {strange} on public.registered_model_aliases is not of this version",
    }
    guard.install(database, "anna")
    assert guard.status(database).faults == ()
    assert migrate(database) == []


@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE lockgate",
        "SET SESSION AUTHORIZATION lockgate",
        "INSERT INTO lockgate.approvals DEFAULT VALUES",
        "CREATE TABLE lockgate.mine (a int)",
        "SELECT * FROM lockgate.ledger",
        "CREATE OR REPLACE FUNCTION lockgate.covers(of_model text) RETURNS boolean LANGUAGE sql AS 'SELECT false'",
        "ALTER FUNCTION lockgate.guard_moves() OWNER TO mlflow",
        "ALTER SCHEMA lockgate RENAME TO other",
        "COPY public.tags TO PROGRAM 'id'",
        "SELECT pg_read_file('/etc/passwd')",
        "CREATE EXTENSION plperlu",
    ],
)
def test_mlflows_role_does_not_get_at_what_is_not_its_own(stack: Addresses, statement: str) -> None:
    with sql(stack.database_url.replace(f"{embedded_postgres.OWNER}@", f"{embedded_postgres.MLFLOW_ROLE}@")) as own:
        with pytest.raises(DBAPIError) as refusal:
            run(own, statement)
        assert refusal.value.orig.pgcode in ("42501", "0A000", "58P01")


@pytest.mark.parametrize(
    "payload", ["", "no JSON", '{"model": "other-ensemble"}', "x" * 7999, "\x1b[31m; DROP TABLE x"]
)
def test_a_notification_of_another_role_is_only_a_reason_to_look(stack: Addresses, payload: str) -> None:
    """Postgres lets every role notify on every channel; a server then reads the stages, and believes only those."""
    from lockgate.database.notifications import STAGES, listening

    database = Database(stack.database_url)
    mlflow_url = stack.database_url.replace(f"{embedded_postgres.OWNER}@", f"{embedded_postgres.MLFLOW_ROLE}@")
    with listening(database, [STAGES]) as listener, sql(mlflow_url) as own:
        run(own, "SELECT pg_notify(:channel, :payload)", channel=STAGES, payload=payload)
        own.commit()
        assert listener.wait(60.0) is True
        assert listener.wait(0.0) is False
