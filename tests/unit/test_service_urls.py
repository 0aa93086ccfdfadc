"""Where the services are, and what is refused before anything is dialled."""

import json
import re
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from lockgate.errors import BadConfiguration, Unavailable
from lockgate.system import service_urls
from lockgate.system.service_urls import Addresses

MLFLOW = "http://127.0.0.1:5000"
POSTGRES = "postgresql+psycopg2://ann:s3cret@db:5433/lockgate"


def environment(tracking_uri: str = MLFLOW, database_url: str = POSTGRES) -> dict[str, str]:
    return {"MLFLOW_TRACKING_URI": tracking_uri, "LOCKGATE_DATABASE_URL": database_url}


def write_state(folder: Path, **changes: object) -> None:
    state = {"tracking_uri": MLFLOW, "database_url": POSTGRES, "running": True} | changes
    (folder / ".lockgate").mkdir()
    (folder / ".lockgate" / "stack.json").write_text(json.dumps(state))


def test_the_environment_names_both_services(tmp_path: Path) -> None:
    assert service_urls.find(tmp_path, environment()) == Addresses(MLFLOW, POSTGRES)


@pytest.mark.parametrize("name", ["LOCKGATE_LOG_DATABASE_URL", "LOCKGATE_READ_DATABASE_URL"])
def test_a_pooler_and_a_replica_are_named_beside_the_database_and_checked_like_it(tmp_path: Path, name: str) -> None:
    write_state(tmp_path)
    other = POSTGRES.replace("lockgate", "elsewhere")
    for given in ({}, environment()):
        found = service_urls.find(tmp_path, given | {name: other})
        assert (found.tracking_uri, found.database_url) == (MLFLOW, POSTGRES)
        assert (found.log_url, found.read_url) == ((other, "") if "LOG" in name else ("", other))
        assert service_urls.env(found)[name] == other
    with pytest.raises(BadConfiguration, match=f"{name} has the scheme sqlite"):
        service_urls.find(tmp_path, {name: "sqlite:///x"})


@pytest.mark.parametrize("missing", ["MLFLOW_TRACKING_URI", "LOCKGATE_DATABASE_URL"])
def test_one_address_alone_is_refused_even_beside_a_stack(tmp_path: Path, missing: str) -> None:
    """Half a configuration would mix the registry of one stack with the ledger of another."""
    write_state(tmp_path)
    with pytest.raises(BadConfiguration, match=f"{missing} is not set") as refusal:
        service_urls.find(tmp_path, environment() | {missing: " "})
    assert refusal.value.hint == "set both or neither"


def test_a_stack_is_found_from_the_folders_below_it(tmp_path: Path) -> None:
    write_state(tmp_path)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert service_urls.find(below, {}) == Addresses(MLFLOW, POSTGRES)


def test_the_folder_of_the_stack_is_the_nearest_one_upward_else_the_folder_itself(tmp_path: Path) -> None:
    below = tmp_path / "examples" / "churn"
    below.mkdir(parents=True)
    assert service_urls.stack_folder(below) == below
    write_state(tmp_path)
    assert service_urls.stack_folder(below) == tmp_path
    write_state(below)
    assert service_urls.stack_folder(below) == below


def test_the_environment_wins_over_a_stack(tmp_path: Path) -> None:
    write_state(tmp_path, tracking_uri="http://127.0.0.1:5001")
    assert service_urls.find(tmp_path, environment()).tracking_uri == MLFLOW


def test_without_any_address_the_hint_is_lockgate_up(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match="no addresses") as refusal:
        service_urls.find(tmp_path, {})
    assert "lockgate up" in refusal.value.hint


def test_a_stopped_stack_is_unavailable_so_that_nobody_dials_a_port_that_is_another_ones_now(tmp_path: Path) -> None:
    write_state(tmp_path, running=False)
    with pytest.raises(Unavailable, match="the stack is stopped") as refusal:
        service_urls.find(tmp_path, {})
    assert "lockgate up" in refusal.value.hint


def test_a_command_with_a_fallback_gets_the_addresses_of_a_stopped_stack_too(tmp_path: Path) -> None:
    write_state(tmp_path, running=False)
    assert service_urls.find(tmp_path, {}, even_stopped=True).tracking_uri == MLFLOW


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"tracking_uri": "http://x"}'])
def test_a_broken_state_file_is_refused(tmp_path: Path, text: str) -> None:
    write_state(tmp_path)
    (tmp_path / ".lockgate" / "stack.json").write_text(text)
    with pytest.raises(BadConfiguration, match="state cannot be read"):
        service_urls.find(tmp_path, {})


@pytest.mark.parametrize(
    "uri",
    ["mlruns", "./mlruns", "file:///tmp/mlruns", "sqlite:///mlflow.db", "databricks", "http://", "postgres://db/x"],
)
def test_a_tracking_uri_that_is_no_server_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(BadConfiguration, match="not the address of an MLflow server"):
        service_urls.find(tmp_path, environment(tracking_uri=uri))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_another_driver_of_postgres_is_refused_with_the_right_scheme(tmp_path: Path, scheme: str) -> None:
    with pytest.raises(BadConfiguration, match=f"scheme {scheme.replace('+', '.')}") as refusal:
        service_urls.find(tmp_path, environment(database_url=f"{scheme}://ann:s3cret@db/lockgate"))
    assert refusal.value.hint == "use postgresql+psycopg2://"
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize("url", ["sqlite:///x.db", "mysql://db/x", "db", "postgresql+psycopg2://db", "http://[::1"])
def test_a_database_url_that_is_no_postgres_or_names_no_database_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadConfiguration, match="LOCKGATE_DATABASE_URL"):
        service_urls.find(tmp_path, environment(database_url=url))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (POSTGRES, "postgresql+psycopg2://ann:***@db:5433/lockgate"),
        ("http://ann:p%40ss@host:5000", "http://ann:***@host:5000"),
        ("postgresql+psycopg2://ann:p@ss:w@db/x", "postgresql+psycopg2://ann:***@db/x"),
        ("postgresql+psycopg2://ann@/x?host=/s&password=pw", "postgresql+psycopg2://ann@/x?host=/s&password=***"),
        (MLFLOW, MLFLOW),
        ("postgresql+psycopg2://ann:s3/cr#e?t@db/x", "postgresql+psycopg2://ann:***@db/x"),
        ("postgresql+psycopg2://ann:1234/s3cret@db/x", "postgresql+psycopg2://ann:***@db/x"),
        ("postgresql+psycopg2://ann:s3cret[@db/x", "postgresql+psycopg2://ann:***@db/x"),
        ("postgresql+psycopg2://db/x?sslpassword=pw&user=a", "postgresql+psycopg2://db/x?sslpassword=***&user=a"),
        ("ann:s3cret@db/x", "ann:***@db/x"),
    ],
)
def test_a_password_is_masked_wherever_a_url_can_carry_it(address: str, shown: str) -> None:
    assert service_urls.masked(address) == shown


@pytest.mark.parametrize("password", ["s3/cret", "s3#cret", "s3?cret", "s3[cret", "s3:cret/x", "7/s3cret", "s3@cret/x"])
@pytest.mark.parametrize("field", ["tracking_uri", "database_url"])
def test_a_password_that_was_not_percent_encoded_is_in_no_message(tmp_path: Path, password: str, field: str) -> None:
    address = {"tracking_uri": "http", "database_url": "postgresql+psycopg2"}[field] + f"://ann:{password}@db/x"
    try:
        service_urls.find(tmp_path, environment(**{field: address}))
    except BadConfiguration as refusal:
        text = "".join(traceback.format_exception(refusal))
        assert not [part for part in re.split("[^a-z0-9]", password) if len(part) > 1 and part in text]
    else:
        assert service_urls.masked(address).endswith("://ann:***@db/x")


def test_printing_addresses_shows_no_password() -> None:
    assert "s3cret" not in f"{Addresses(MLFLOW, POSTGRES)} {Addresses(MLFLOW, POSTGRES)!r}"


def test_env_lets_psql_reach_a_socket_whose_path_has_a_space() -> None:
    url = "postgresql+psycopg2://lockgate@/lockgate?host=/home/ann/a%20clone/.lockgate/socket&port=5432"
    assert service_urls.env(Addresses(MLFLOW, url)) == {
        "MLFLOW_TRACKING_URI": MLFLOW,
        "LOCKGATE_DATABASE_URL": url,
        "PGHOST": "/home/ann/a clone/.lockgate/socket",
        "PGPORT": "5432",
        "PGUSER": "lockgate",
        "PGDATABASE": "lockgate",
    }


def test_env_of_a_server_elsewhere_gives_psql_host_and_port_but_no_password_of_its_own() -> None:
    variables = service_urls.env(Addresses(MLFLOW, POSTGRES))
    assert {name: variables[name] for name in variables if name.startswith("PG")} == {
        "PGHOST": "db",
        "PGPORT": "5433",
        "PGUSER": "ann",
        "PGDATABASE": "lockgate",
    }


def test_env_leaves_to_libpqs_variables_what_the_url_leaves_to_them() -> None:
    variables = service_urls.env(Addresses(MLFLOW, "postgresql+psycopg2:///lockgate"))
    assert {name for name in variables if name.startswith("PG")} == {"PGDATABASE"}


def test_finding_addresses_imports_nothing_heavy() -> None:
    """`lockgate --help` and every refusal for a missing stack must stay fast."""
    heavy = "[m for m in ('mlflow', 'sqlalchemy', 'pandas') if m in sys.modules]"
    code = f"import sys, lockgate.system.service_urls; print({heavy})"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown == "[]\n"
