"""docker-compose.yml holds to the Compose Specification and to our own rules on secrets, ports, health and rights."""

import json
import re
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError

from lockgate.bundle import signing
from lockgate.cli import lockgate
from lockgate.stack import mlflow_server

ROOT = Path(__file__).parents[2]
COMMANDS = lockgate.commands
GROUPS = ("lockgate_app", "lockgate_scorer", "lockgate_reader", "lockgate_server")
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
SCHEMA = json.loads((ROOT / "tests" / "data" / "compose-spec.json").read_text(encoding="utf-8"))
SECRET_NAME = re.compile("PASSWORD|SECRET|TOKEN|KEY")
REQUIRED = re.compile(r"\$\{(\w+):\?[^{}]+\}")
LONG_RUNNING = {"postgres", "mlflow", "scoring"}


def test_the_file_is_valid_by_the_compose_schema() -> None:
    Draft202012Validator(SCHEMA).validate(COMPOSE)


@pytest.mark.parametrize("mistake", [{"port": []}, {"restart": 3}, {"healthcheck": {"tests": ["NONE"]}}])
def test_the_schema_notices_mistakes(mistake: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Draft202012Validator(SCHEMA).validate({"services": {"postgres": {**SERVICES["postgres"], **mistake}}})


def test_every_secret_is_a_required_variable_of_its_own() -> None:
    secrets = {
        (service, name): value
        for service, described in SERVICES.items()
        for name, value in described["environment"].items()
        if SECRET_NAME.search(name) and name != signing.TRUSTED_VARIABLE  # public keys
    }
    assert len(secrets) >= 8
    assert {place: value for place, value in secrets.items() if not REQUIRED.fullmatch(value)} == {}
    assert set(REQUIRED.findall(TEXT)) == {
        "POSTGRES_PASSWORD",
        "LOCKGATE_POSTGRES_PASSWORD",
        "MLFLOW_POSTGRES_PASSWORD",
        "SCORING_POSTGRES_PASSWORD",
        "MLFLOW_ADMIN_PASSWORD",
        "MLFLOW_SECRET_KEY",
        "SCORING_PASSWORD",
    }


def test_no_address_holds_a_user_or_a_password() -> None:
    logins = ConfigParser()
    logins.read_string((ROOT / "docker" / "basic_auth.ini").read_text(encoding="utf-8"))
    assert dict(logins["mlflow"]) == {"default_permission": "READ", "database_uri": "postgresql+psycopg2:///lockgate"}
    assert set(re.findall(r"postgres\w*(?:\+\w+)?://\S*", TEXT)) == {"postgresql+psycopg2:///lockgate"}
    assert "@" not in "".join(re.findall(r"https?://\S*", TEXT))


def test_no_server_holds_a_password_that_it_does_not_need() -> None:
    held = {
        name: set(REQUIRED.findall(str(SERVICES[name]["environment"]))) for name in ("migrate", "mlflow", "scoring")
    }
    assert held == {
        "migrate": {"LOCKGATE_POSTGRES_PASSWORD"},
        "mlflow": {"MLFLOW_POSTGRES_PASSWORD", "MLFLOW_ADMIN_PASSWORD", "MLFLOW_SECRET_KEY"},
        "scoring": {"SCORING_PASSWORD", "SCORING_POSTGRES_PASSWORD"},
    }


def test_ports_are_open_to_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 3
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_each_long_running_service_has_a_health_check_that_reads() -> None:
    assert {name for name, service in SERVICES.items() if service["restart"] != "no"} == LONG_RUNNING
    for name in LONG_RUNNING:
        check = SERVICES[name]["healthcheck"]
        assert check.keys() == {"test", "interval", "timeout", "retries", "start_period"}
        assert not re.search("/health\\b|/ping|pg_isready|curl", " ".join(check["test"]))


def test_no_service_has_more_rights_than_it_needs() -> None:
    for service in SERVICES.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service
    assert SERVICES["postgres"]["user"] == "postgres"
    assert re.findall(r"^USER (\w+)$", DOCKERFILE, re.MULTILINE) == ["lockgate"]


def test_database_and_artifacts_are_on_named_volumes() -> None:
    assert set(COMPOSE["volumes"]) == {"database", "artifacts", "scoring"}
    assert "database:/var/lib/postgresql" in SERVICES["postgres"]["volumes"]
    assert SERVICES["mlflow"]["volumes"] == ["artifacts:/var/lib/mlflow/artifacts", "/var/lib/mlflow/passing"]
    destination = "--artifacts-destination=${MLFLOW_ARTIFACTS:-lockgate-folder:///var/lib/mlflow/artifacts}"
    assert destination in SERVICES["mlflow"]["command"]


def test_what_passes_through_the_server_is_on_a_disk_that_its_user_may_write_to() -> None:
    passing = SERVICES["mlflow"]["environment"]["TMPDIR"]
    assert passing in SERVICES["mlflow"]["volumes"]
    assert re.findall(r"install -d -o lockgate -g lockgate -m 0700 (.*)$", DOCKERFILE, re.MULTILINE) == [
        f"/var/lib/mlflow/artifacts {passing} \\"
    ]
    assert "scoring:/srv/lockgate/.lockgate" in SERVICES["scoring"]["volumes"]
    assert re.search(r"install -d [^&]* /srv/lockgate/\.lockgate$", DOCKERFILE, re.MULTILINE | re.DOTALL)


def test_the_server_has_the_safe_settings_of_the_embedded_one() -> None:
    settings = {name: value.replace("$$", "$") for name, value in SERVICES["mlflow"]["environment"].items()}
    assert mlflow_server.SAFE_SETTINGS.items() <= settings.items()
    assert "--app-name=lockgate-basic-auth" in SERVICES["mlflow"]["command"]


def test_the_server_answers_to_each_name_that_it_is_called_by() -> None:
    named = SERVICES["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    called = {service["environment"].get("MLFLOW_TRACKING_URI", "http://mlflow:5000") for service in SERVICES.values()}
    called |= {SERVICES["mlflow"]["healthcheck"]["test"][-1]}
    assert {address.removeprefix("http://") for address in called} <= set(named)
    assert SERVICES["mlflow"]["ports"][0].rpartition(":")[0] in named
    assert "*" not in "".join(named)


def test_the_commands_of_lockgate_are_those_of_its_command_line() -> None:
    for name, words in {"migrate": ["migrate"], "scoring": ["serve"]}.items():
        program, *given = SERVICES[name]["command"]
        assert program == "lockgate"
        command = COMMANDS[words[0]]
        assert given[: len(words)] == words
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word.partition("=")[0] for word in given[len(words) :]} <= options
    assert f"--port={SERVICES['scoring']['ports'][0].rpartition(':')[2]}" in SERVICES["scoring"]["command"]


def test_the_scoring_server_can_be_given_the_keys_that_it_trusts() -> None:
    assert SERVICES["scoring"]["environment"][signing.TRUSTED_VARIABLE] == "${LOCKGATE_TRUSTED_KEYS:-}"
    assert signing.trusted_by({signing.TRUSTED_VARIABLE: ""}) == []


def test_what_the_services_start_is_in_the_image() -> None:
    named = set(re.findall(r"/opt/lockgate/(docker/[\w.]+)", TEXT))
    assert named == {
        f"docker/{name}" for name in ("basic_auth.ini", "registry_health.py", "scoring_account.py", "scoring_health.py")
    }
    assert [path for path in named if not (ROOT / path).is_file()] == []
    assert "COPY docker/*.py docker/basic_auth.ini /opt/lockgate/docker/" in DOCKERFILE


def test_the_image_is_built_from_the_lock_file() -> None:
    assert "pip install --require-hashes --no-deps -r requirements.lock" in DOCKERFILE
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"python:3.11-slim-bookworm"}


def test_the_example_of_the_environment_explains_every_variable_and_holds_no_secret() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    named = {found[2]: found for line in lines if (found := re.fullmatch(r"(#?)([A-Z_]+)=(.*)", line))}
    defaults = dict(re.findall(r"\$\{(\w+):-([^{}]*)\}", TEXT))
    assert set(named) == set(REQUIRED.findall(TEXT)) | set(defaults)
    assert {name: found[3] for name, found in named.items() if not found[1]} == dict.fromkeys(
        REQUIRED.findall(TEXT), ""
    )
    assert {name: found[3] for name, found in named.items() if found[1]} == defaults
    for place, line in enumerate(lines):
        if re.match("#?[A-Z_]+=", line):
            above = next(each for each in reversed(lines[:place]) if not re.match("#?[A-Z_]+=", each))
            assert above.startswith("# "), line
    assert ".env" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_the_logins_of_the_servers_are_members_of_their_roles() -> None:
    script = (ROOT / "docker" / "roles.sql").read_text(encoding="utf-8")
    logins = {service["environment"]["PGUSER"] for service in SERVICES.values() if "PGUSER" in service["environment"]}
    assert logins == {"lockgate", "mlflow", "scoring"}
    assert dict(re.findall(r"^GRANT (lockgate_[\w, ]+) TO (\w+);$", script, re.MULTILINE)) == {
        "lockgate_server, lockgate_app": "mlflow",
        "lockgate_scorer": "scoring",
    }
    assert {name for name in GROUPS if f"('{name}', 'NOLOGIN')" not in script} == set()
    assert "SUPERUSER" not in script
