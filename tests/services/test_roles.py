"""The four group roles on a database whose owner is no superuser: what each may do, and what each may not."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import served_versions
import serving_process
from free_port import free_port
from sqlalchemy import text

from lockgate.database import group_roles, guard, ledger, predictions, roles, sql_files
from lockgate.database.connection import Database
from lockgate.errors import AccessRefused, LockgateError, StateConflict
from lockgate.operations import backup, review, rollback, status
from lockgate.operations.workspace import Workspace
from lockgate.stack import embedded_postgres, mlflow_server
from lockgate.system.service_urls import ARTIFACTS_IN_DATABASE, Addresses

NAME = "managed"
OWNER = "managed_owner"
LOGINS = {"anna": "app", "serving": "scorer", "grafana": "reader", "mlflow_login": "server"}
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "prediction-log.md"
PRODUCTION = "UPDATE public.model_versions SET current_stage = 'Production' WHERE version = 2"

LACKS = "permission denied|must be owner|must be able to SET ROLE"
OF_ALL = {
    "UPDATE lockgate.ledger SET actor = 'eve'": LACKS,
    "DELETE FROM lockgate.ledger": LACKS,
    "INSERT INTO lockgate.ledger SELECT * FROM lockgate.ledger": LACKS,
    "UPDATE lockgate.ledger_heads SET seq = 0": LACKS,
    "TRUNCATE lockgate.verdicts": LACKS,
    "UPDATE lockgate.verdicts SET outcome = 'passed'": LACKS,
    "DELETE FROM lockgate.approvals": LACKS,
    "DELETE FROM lockgate.predictions": LACKS,
    "INSERT INTO lockgate.guard_changes (change, actor) VALUES ('opened', 'eve')": LACKS,
    "UPDATE lockgate.legal_moves SET command = 'promote'": LACKS,
    "DELETE FROM lockgate.in_production": LACKS,
    "DROP TABLE lockgate.ledger": LACKS,
    "DROP SCHEMA lockgate CASCADE": LACKS,
    "CREATE TABLE lockgate.mine (a integer)": LACKS,
    "CREATE TABLE public.mine (a integer)": LACKS,
    "DROP TABLE public.model_versions": LACKS,
    "TRUNCATE public.model_versions": LACKS,
    'ALTER TABLE public.model_versions DISABLE TRIGGER "Lockgate_guard_versions"': LACKS,
    'DROP TRIGGER "Lockgate_single_production" ON public.model_versions': LACKS,
    "CREATE TRIGGER mine BEFORE INSERT ON lockgate.ledger EXECUTE FUNCTION lockgate.refuse_change()": LACKS,
    "ALTER FUNCTION lockgate.guard_moves() SECURITY INVOKER": LACKS,
    "CREATE OR REPLACE FUNCTION lockgate.covers(of_model text) RETURNS boolean LANGUAGE sql AS 'SELECT false'": LACKS,
    "SET session_replication_role = replica": LACKS,
    f"SET ROLE {OWNER}": LACKS,
    "GRANT lockgate_app TO grafana": LACKS,
    "SELECT lockgate_artifacts.let_go()": LACKS,
    "DELETE FROM lockgate_artifacts.files": LACKS,
}
FORGED_VERDICT = """
    INSERT INTO lockgate.verdicts
        (model, version, bundle_digest, holdout_digest, policy_digest, outcome, checks, metrics, code_commit, actor)
    SELECT model, version, bundle_digest, 'h', 'p', 'passed', '[{}]', '{}', 'c', 'eve' FROM lockgate.versions
"""
READS_PASSWORDS = "SELECT password_hash FROM public.users"
FORBIDDEN = {
    "anna": OF_ALL | {READS_PASSWORDS: LACKS, PRODUCTION: LACKS, "SELECT lockgate.lock_registry()": LACKS},
    "serving": OF_ALL
    | {
        READS_PASSWORDS: LACKS,
        PRODUCTION: LACKS,
        FORGED_VERDICT: LACKS,
        "SELECT FROM lockgate.predictions": LACKS,
        "SELECT FROM lockgate.truth": LACKS,
        "INSERT INTO lockgate.intents (model, version, from_stage, to_stage, actor, reason, command)"
        " VALUES ('m', 1, 'None', 'Staging', 'eve', 'r', 'promote')": LACKS,
        "SELECT lockgate.cover('m', 'eve')": LACKS,
        "SELECT value FROM public.params": LACKS,
    },
    "grafana": OF_ALL
    | {
        READS_PASSWORDS: LACKS,
        PRODUCTION: LACKS,
        FORGED_VERDICT: LACKS,
        "INSERT INTO lockgate.predictions SELECT * FROM lockgate.predictions": LACKS,
        "SELECT lockgate.cover('m', 'eve')": LACKS,
        "SELECT lockgate.make_month_of_predictions('2031-01-01')": LACKS,
        "UPDATE public.registered_models SET description = 'mine'": LACKS,
        "SELECT FROM lockgate_artifacts.files": LACKS,
    },
    "mlflow_login": OF_ALL
    | {
        FORGED_VERDICT: LACKS,
        PRODUCTION: "stays in|may not go to Production",
        "UPDATE public.model_versions SET source = 'elsewhere' WHERE version = 1": "may not be renamed or pointed",
        "SELECT FROM lockgate.verdicts": LACKS,
    },
}


class Managed(NamedTuple):
    """A database of a deployment, with its MLflow server; `home` is the embedded Postgres that holds it."""

    home: Path
    tracking_uri: str

    def addresses(self, login: str) -> Addresses:
        return Addresses(self.tracking_uri, embedded_postgres.url(self.home, login, NAME))

    def database(self, login: str) -> Database:
        return Database(self.addresses(login).database_url)

    def workspace(self, login: str) -> Workspace:
        return Workspace("managed-ensemble", self.addresses(login), self.database(login), login, 20.0)


@pytest.fixture(scope="module")
def empty(home: Path) -> Iterator[str]:
    """The address of an empty database; its owner has no right beyond it. The group roles are missing."""

    def run(script: str) -> str:
        return embedded_postgres.psql(home, script, "postgres", time.monotonic() + 60)

    for role in group_roles.NAMES:
        run(f"DROP ROLE IF EXISTS {role}")
    run(f"CREATE ROLE {OWNER} LOGIN; CREATE DATABASE {NAME} OWNER {OWNER}")
    yield embedded_postgres.url(home, OWNER, NAME)
    run(f"DROP DATABASE {NAME} WITH (FORCE)")
    for role in (OWNER, *LOGINS, *group_roles.NAMES):
        run(f"DROP ROLE IF EXISTS {role}")


@pytest.fixture(scope="module")
def prepared(empty: str, home: Path) -> str:
    """The same after `lockgate migrate`, with the roles that an administrator of the server had to make."""
    migrated = migrate(empty)
    assert "this login may make none" in migrated.stderr, migrated.stderr
    owner = Database(empty)
    with pytest.raises(AccessRefused, match="this login may make none") as refusal:
        roles.install(owner)
    made = f"{refusal.value.hint.partition('run: ')[2]}; "
    made += "; ".join(f"CREATE ROLE {login} LOGIN IN ROLE lockgate_{group}" for login, group in LOGINS.items())
    embedded_postgres.psql(home, made, "postgres", time.monotonic() + 60)
    assert [roles.install(owner) for _ in range(2)] == [["rights given"], []]
    return empty


@pytest.fixture(scope="module")
def managed(prepared: str, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Managed]:
    """With an MLflow server, whose login is no owner; version 1 is in Production, version 2 is registered."""
    server_home = tmp_path_factory.mktemp("server")
    (server_home / "logs").mkdir()
    port = free_port()
    url = embedded_postgres.url(home, "mlflow_login", NAME)
    try:
        assert mlflow_server.start(server_home, url, ARTIFACTS_IN_DATABASE, port, time.monotonic() + 120)
        found = Managed(home, mlflow_server.uri(port))
        served_versions.put_in_production(found.workspace("anna"), 1)
        served_versions.registered(found.workspace("anna"), 2)
        yield found
    finally:
        mlflow_server.stop(server_home, 20)


def migrate(url: str) -> "subprocess.CompletedProcess[str]":
    """`lockgate migrate` as the owner of the database."""
    named = {"LOCKGATE_DATABASE_URL": url, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    call = [sys.executable, "-m", "lockgate", "migrate"]
    return subprocess.run(call, env=os.environ | named, capture_output=True, text=True, timeout=120, check=False)


def refusal_of(database: Database, statement: str) -> str:
    """What the database says to a statement; the transaction is rolled back in any case."""
    try:
        with database.unchecked_transaction() as connection:
            connection.execution_options(no_parameters=True).exec_driver_sql(statement)
            connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
            connection.get_transaction().rollback()  # type: ignore[union-attr]
    except LockgateError as refusal:
        return str(refusal)
    return "nothing: it was done"


@pytest.mark.parametrize("login", FORBIDDEN)
def test_what_is_not_the_business_of_a_role_is_refused(managed: Managed, login: str) -> None:
    database = managed.database(login)
    found = {statement: refusal_of(database, statement) for statement in FORBIDDEN[login]}
    assert {each: said for each, said in found.items() if not re.search(FORBIDDEN[login][each], said)} == {}


def test_each_role_has_the_rights_of_the_file_and_no_others(managed: Managed) -> None:
    found = roles.read(managed.database(OWNER))
    assert (found.unused, found.faults) == ((), ())
    assert found.members == {login: (f"lockgate_{group}",) for login, group in sorted(LOGINS.items())}
    assert guard.status(managed.database(OWNER)).faults == ()


def test_the_commands_run_as_app_from_registration_to_rollback(managed: Managed) -> None:
    app = managed.workspace("anna")
    version = served_versions.put_in_staging(app, 2)
    review.approve(app, version, "looks right", "rita")
    served_versions.promote_staged(app, version)
    rollback.rollback(app, served_versions.YES, None)
    assert status.status(app).broken == ()
    rows = ledger.read(app.database, app.model)
    assert [(row.command, row.db_user) for row in rows[-2:]] == [("rollback", "mlflow_login")] * 2
    assert list(ledger.breaks(rows)) == []


@pytest.mark.long
def test_a_server_serves_and_logs_as_scorer_and_a_dashboard_reads_as_reader(
    managed: Managed, trained_project: Callable[[int], Path], tmp_path: Path
) -> None:
    scorer = managed.workspace("serving")
    folder = serving_process.folder_for(scorer, trained_project(1) / "params.yaml", tmp_path / "a project")
    asked = served_versions.rows().head(3)
    with serving_process.serving(scorer, folder, "--canary", "Staging=0") as server:
        answer = server.ask(serving_process.body_of(asked))
        assert (answer.status, answer.json["predictions"]) == (200, served_versions.expected(1, asked))
    asked.to_csv(folder / "in.csv", index=False)
    done = serving_process.command(scorer, folder, "predict", "--input", "in.csv", "--output", "out.csv")
    assert done.returncode == 0, done.stderr
    assert serving_process.command(scorer, folder, "log", "drain").returncode == 0
    reader = managed.workspace("grafana")
    logged = predictions.last(reader.database, reader.model, {}, ["Store"], 10)
    assert sorted(str(row.scorer.role) for row in logged) == ["batch"] * 3 + ["served"] * 3
    assert [status.status(reader).serving.version, status.status(reader).broken] == [1, ()]  # type: ignore[union-attr]
    watched = serving_process.command(reader, folder, "monitor", "--json")
    assert watched.returncode in (0, 4), watched.stderr
    for query in re.findall(r"```sql\n((?:SELECT|WITH).*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        with reader.database.transaction() as connection:
            connection.execute(text(query)).all()


@pytest.mark.long
def test_a_command_of_another_role_says_which_role_it_has(
    managed: Managed, trained_project: Callable[[int], Path], tmp_path: Path
) -> None:
    for login, refused in {"mlflow_login": "for schema lockgate", "serving": "for table"}.items():
        where = managed.workspace(login)
        folder = serving_process.folder_for(where, trained_project(1) / "params.yaml", tmp_path / "a project")
        done = serving_process.command(where, folder, "gc", "--dry-run")
        assert done.returncode == 6
        assert re.search(f"the database role {login} lacks a right: permission denied {refused}", done.stderr)
        assert "lockgate roles status" in done.stderr
    told = serving_process.command(managed.workspace("grafana"), tmp_path / "a project", "doctor")
    assert "this login is grafana, member of lockgate_reader" in " ".join(told.stdout.split())


def test_other_rights_than_those_of_the_file_are_named_and_taken_back(managed: Managed) -> None:
    owner = managed.database(OWNER)
    with owner.transaction() as connection:
        connection.execute(text("GRANT UPDATE ON lockgate.verdicts TO lockgate_app"))
        connection.execute(text("REVOKE SELECT ON lockgate.ledger FROM lockgate_reader"))
    assert set(guard.status(owner).faults) == {
        "the role lockgate_app may UPDATE lockgate.verdicts",
        "the role lockgate_reader may not SELECT lockgate.ledger",
    }
    assert roles.install(owner) == ["rights given"]
    assert guard.status(owner).faults == ()


def test_only_the_owner_gives_rights(managed: Managed) -> None:
    with managed.database(OWNER).transaction() as connection:
        connection.execute(text("REVOKE SELECT ON lockgate.ledger FROM lockgate_reader"))
    with pytest.raises(AccessRefused, match="the database role anna lacks a right"):
        roles.install(managed.database("anna"))
    roles.install(managed.database(OWNER))


def test_a_database_where_the_roles_are_not_in_use_has_no_fault(managed: Managed, database: Database) -> None:
    assert roles.read(database).in_use == ()
    assert guard.status(database).faults == ()


def test_a_table_that_is_missing_among_the_rights_is_noticed(managed: Managed) -> None:
    """Every table of schema lockgate is readable by the reader, or a month of the log."""
    with managed.database(OWNER).transaction() as connection:
        tables = set(
            connection.scalars(
                text("SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = 'lockgate'")
            )
        )
    readable = {right.name for right in sql_files.rights() if right.role == "lockgate_reader"}
    assert {name for name in tables - readable if not re.fullmatch(r"lockgate\.predictions_\d{4}_\d\d", name)} == set()


def test_a_move_without_a_verdict_is_refused_to_the_server_too(managed: Managed) -> None:
    where = managed.workspace("anna")
    version = served_versions.registered(where, 3)
    with pytest.raises(StateConflict, match=r"stays in None"):
        where.registry().move(version, "Staging")


@pytest.mark.long
def test_the_owner_makes_a_backup_and_restores_it_with_all_rights(managed: Managed, tmp_path: Path) -> None:
    """Into another database of the same owner, who is no superuser."""
    source = backup.Source(managed.addresses(OWNER).database_url, 60.0, None)
    made = backup.take(source, tmp_path / "backup", lambda name, done, total: None)
    assert made.artifacts == "database"
    embedded_postgres.psql(managed.home, f"CREATE DATABASE again OWNER {OWNER}", "postgres", time.monotonic() + 60)
    try:
        url = embedded_postgres.url(managed.home, OWNER, "again")
        named = {"LOCKGATE_DATABASE_URL": url, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
        call = [sys.executable, "-m", "lockgate", "restore", str(tmp_path / "backup"), "--yes"]
        done = subprocess.run(call, env=os.environ | named, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stderr
        found = roles.read(Database(url))
        assert (found.unused, found.faults) == ((), ())
        assert guard.status(Database(url)).faults == ()
        model = managed.workspace(OWNER).model
        assert ledger.read(Database(url), model) == ledger.read(managed.database(OWNER), model)
    finally:
        embedded_postgres.psql(managed.home, "DROP DATABASE again WITH (FORCE)", "postgres", time.monotonic() + 60)
