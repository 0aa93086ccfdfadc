"""The pages where MLflow has logins: who may read, who may act, and whose name the ledger gets."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from page_scene import serving_and_staged
from page_visitor import Visitor, alert, goes_to

from lockgate.database import approvals, ledger
from lockgate.operations.workspace import Workspace
from lockgate.pages.forms import COOKIE, token
from lockgate.stack import artifact_location, embedded_postgres, mlflow_server
from lockgate.stack.up_down import Place
from lockgate.system.service_urls import DATABASE_VARIABLE, Addresses

PASSWORD = "a long password"
ADMIN, RITA, EDDY, NORA = ((name, PASSWORD) for name in ("admin", "rita", "eddy", "nora"))
START_SECONDS = 120
CONFIG = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{folder}/users.db
auth_cache_ttl_seconds = 60
"""


@pytest.fixture(scope="module")
def address(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A second MLflow server on the registry of the session, with logins."""
    folder = tmp_path_factory.mktemp("logins")
    (folder / "auth.ini").write_text(CONFIG.format(folder=folder))
    port = mlflow_server.choose_port(None)
    options = {
        "--app-name": "lockgate-basic-auth",
        "--backend-store-uri": embedded_postgres.url(home, embedded_postgres.MLFLOW_ROLE),
        "--artifacts-destination": artifact_location.destination(home, Place.FOLDER),
        "--port": str(port),
        "--workers": "1",
        "--uvicorn-opts": "--log-level warning",
    }
    environment = os.environ | mlflow_server.SAFE_SETTINGS | {
        DATABASE_VARIABLE: embedded_postgres.url(home, embedded_postgres.OWNER),
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(),
    }  # fmt: skip
    words = [word for option in options.items() for word in option]
    command = [sys.executable, "-m", "mlflow", "server", "--serve-artifacts", *words]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as run:
        try:
            wait_for(f"http://127.0.0.1:{port}", run)
            create_users(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            children = psutil.Process(run.pid).children(recursive=True)
            for each in [*children, run]:
                each.terminate()
            psutil.wait_procs(children, 20)


def wait_for(address: str, run: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and run.poll() is None:
        try:
            if requests.get(f"{address}/lockgate", auth=ADMIN, timeout=30).status_code == 200:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    pytest.fail("the MLflow server with logins does not start")


def create_users(address: str) -> None:
    for name, password in (RITA, EDDY, NORA):
        sent = {"username": name, "password": password}
        requests.post(f"{address}/api/2.0/mlflow/users/create", json=sent, auth=ADMIN, timeout=30).raise_for_status()


@pytest.fixture(scope="module")
def model(stack: Addresses, address: str) -> Workspace:
    """Version 1 is in Production, version 2 in Staging; rita may read the model, eddy may edit it."""
    found = serving_and_staged(stack)
    for (name, _), permission in ((RITA, "READ"), (EDDY, "EDIT")):
        grant = {"username": name, "resource_type": "registered_model", "resource_id": found.model}
        where = f"{address}/api/3.0/mlflow/users/permissions/grant"
        requests.post(where, json=grant | {"permission": permission}, auth=ADMIN, timeout=30).raise_for_status()
    return found


def test_without_a_login_nothing_is_shown_and_the_browser_asks_for_one(address: str) -> None:
    for login in (None, ("rita", "wrong"), ("nobody", PASSWORD)):
        reply = Visitor(address, login).get("")
        assert (reply.status_code, reply.headers["WWW-Authenticate"]) == (401, 'Basic realm="mlflow"')
        assert "Lockgate" not in reply.text
        assert Visitor(address, login).send("/versions/1/promote", reason="x").status_code == 401


def test_who_may_read_sees_the_pages_and_no_form(model: Workspace, address: str) -> None:
    rita = Visitor(address, RITA)
    assert model.model in rita.get("").text
    page = rita.get("/versions/2", model=model.model).text
    assert "<form" not in page
    assert "you need the permission EDIT" in page
    assert rita.get("/versions/2/promote", model=model.model).status_code == 403


def test_who_may_not_edit_cannot_act_even_with_a_form(model: Workspace, address: str) -> None:
    rita = Visitor(address, RITA)
    rita.get("/versions/2", model=model.model)
    rita.fields = {"csrf": token(rita.session.cookies[COOKIE], "rita"), "model": model.model, "current": "1"}
    for path in ("/versions/2/decision", "/versions/2/promote", "/rollback"):
        reply = rita.send(path, reason="mine", decision="approve", to="1")
        assert (reply.status_code, alert(reply)[0]) == (
            403,
            f"rita may read {model.model}, and not decide on its versions",
        )
    assert approvals.of_model(model.database, model.model) == []
    assert len(ledger.read(model.database, model.model)) == 3


def test_a_model_that_one_may_not_read_does_not_exist(model: Workspace, address: str) -> None:
    nora = Visitor(address, NORA)
    assert model.model not in nora.get("").text
    assert nora.get("/versions/2", model=model.model).status_code == 404
    assert nora.get("/history", model=model.model).status_code == 404


def test_a_form_of_one_user_is_refused_from_another(model: Workspace, address: str) -> None:
    eddy, admin = Visitor(address, EDDY), Visitor(address, ADMIN)
    eddy.get("/versions/2", model=model.model)
    admin.session.cookies.update(eddy.session.cookies)
    admin.fields = eddy.fields
    reply = admin.send("/versions/2/decision", reason="x", decision="approve")
    assert (reply.status_code, alert(reply)[0]) == (403, "the form is of another session")


def test_the_user_who_is_logged_in_is_the_actor(model: Workspace, address: str) -> None:
    eddy = Visitor(address, EDDY)
    eddy.get("/versions/2", model=model.model)
    goes_to(eddy.send("/versions/2/decision", reason="holidays checked", decision="approve"))
    [given] = approvals.of_model(model.database, model.model)
    assert (given.decided_by, given.recorded_by) == ("eddy", "eddy")
    eddy.get("/versions/2/promote", model=model.model)
    goes_to(eddy.send("/versions/2/promote", reason="better"))
    eddy.get("/rollback", model=model.model)
    goes_to(eddy.send("/rollback", reason="too high"))
    rows = ledger.read(model.database, model.model)[3:]
    assert {row.actor for row in rows} == {"eddy"}
    assert [row.version for row in rows if row.to_stage == "Production"] == [2, 1]
