"""The server at the tracking address is checked: it is MLflow, of this major version, and keeps this database."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from lockgate.database.connection import Database
from lockgate.errors import BadConfiguration, Unavailable
from lockgate.operations.workspace import Workspace
from lockgate.registry.environment import LOOPBACK, reach_loopback_directly
from lockgate.registry.error_messages import translated
from lockgate.registry.files import stored
from lockgate.system.service_urls import Addresses

PROJECT = Path(__file__).parents[2]
ANSWERS = {
    "other JSON": (200, "application/json", b'{"status": "up"}'),
    "a JSON list": (200, "application/json", b"[1, 2]"),
    "HTML": (200, "text/html", b"<html><body>It works!</body></html>"),
    "an empty body": (200, "text/plain", b""),
    "not found": (404, "text/html", b"<h1>Not Found</h1>"),
    "no answer": None,
}


@pytest.fixture
def program() -> Iterator[Callable[[str], str]]:
    """Starts another program that gives one answer to all requests; gives its address."""
    started = []

    def start(name: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = ANSWERS[name]
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(answer[0])
                self.send_header("Content-Type", answer[1])
                self.send_header("Content-Length", str(len(answer[2])))
                self.end_headers()
                self.wfile.write(answer[2])

            def log_message(self, *_: object) -> None:
                """Quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("name", ANSWERS)
def test_another_program_on_the_port_is_named_and_no_rollback_is_advised(backend: Workspace, program, name) -> None:
    address = program(name)
    elsewhere = replace(backend, addresses=Addresses(address, backend.addresses.database_url))
    with pytest.raises(Unavailable) as refusal:
        elsewhere.registry()
    assert refusal.value.message == f"the server at {address} is not an MLflow server"
    assert (refusal.value.exit_code, "rollback" in refusal.value.hint) == (6, False)
    assert "MLFLOW_TRACKING_URI" in refusal.value.hint


def test_the_server_of_another_database_is_refused(backend: Workspace, database_url: str, psql) -> None:
    name = database_url.split("@/")[1].split("?")[0]
    psql("UPDATE public.experiments SET creation_time = creation_time - 1 WHERE experiment_id = 0", name)
    elsewhere = replace(backend, database=Database(database_url))
    with pytest.raises(BadConfiguration, match="another database than LOCKGATE_DATABASE_URL") as refusal:
        elsewhere.registry()
    assert "lockgate env" in refusal.value.hint


def test_doctor_names_another_program_on_the_port(backend: Workspace, program, tmp_path: Path) -> None:
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    params["problem"]["name"] = backend.model.removesuffix("-ensemble")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    address = program("other JSON")
    services = {"MLFLOW_TRACKING_URI": address, "LOCKGATE_DATABASE_URL": backend.addresses.database_url}
    done = subprocess.run(
        [sys.executable, "-m", "lockgate", "doctor"], cwd=tmp_path, env=os.environ | services, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert f"the server at {address} is not an MLflow server" in done.stdout + done.stderr
    assert done.returncode == 6


def test_loopback_is_reached_without_the_proxy_of_the_environment(backend: Workspace, monkeypatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    backend.registry().read()


def test_a_proxy_at_fault_is_named_with_its_variable(backend: Workspace, monkeypatch) -> None:
    for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    far = replace(backend, addresses=Addresses("http://mlflow.example:5000", backend.addresses.database_url))
    with pytest.raises(Unavailable, match="the proxy of HTTP_PROXY does not let requests through") as refusal:
        far.registry()
    assert "NO_PROXY" in refusal.value.hint


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, LOOPBACK),
        ({"NO_PROXY": ".corp.example"}, f".corp.example,{LOOPBACK}"),
        ({"no_proxy": "a", "NO_PROXY": "b"}, f"a,{LOOPBACK}"),
    ],
)
def test_the_hosts_that_the_user_excludes_from_the_proxy_stay_excluded(before, after) -> None:
    environment = dict(before)
    reach_loopback_directly(environment)
    reach_loopback_directly(environment)
    assert environment == {"no_proxy": after, "NO_PROXY": after}


def test_a_proxy_for_nothing_stays_so() -> None:
    environment = {"NO_PROXY": "*"}
    reach_loopback_directly(environment)
    assert environment == {"NO_PROXY": "*"}


def test_an_error_of_mlflows_own_client_is_no_broken_artifact(monkeypatch, backend: Workspace) -> None:
    """MLflow's client checks this variable before it asks the server."""
    registry = backend.registry()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "99")
    refused = pytest.raises(BadConfiguration, match="MLflow's client refuses before it calls the server")
    with refused as refusal, translated(), stored(1):
        registry.read()
    assert "MLFLOW_" in refusal.value.hint
