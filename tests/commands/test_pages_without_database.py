"""The pages while their database is away or not named: each says so, with the next step, and without a password."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import requests
import uvicorn
from starlette.applications import Starlette

from lockgate.pages import routes
from lockgate.pages.site import Site
from lockgate.system.service_urls import DATABASE_VARIABLE

SECRET = "s3cret-word"
PATHS = ("", "/versions/1", "/history", "/monitoring", "/rollback", "/versions/1/promote")


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Serves the pages alone, with this database and prefix; gives their address."""
    monkeypatch.setenv("LOCKGATE_TIMEOUT", "2")
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(database: str, prefix: str = "") -> str:
        monkeypatch.setenv(DATABASE_VARIABLE, database)
        own = socket.create_server(("127.0.0.1", 0))
        app = Starlette(routes=routes.of(Site(None, False, prefix)))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [own]})
        thread.start()
        servers.append((server, thread))
        while not server.started:
            time.sleep(0.01)
        return f"http://127.0.0.1:{own.getsockname()[1]}{prefix}/lockgate"

    yield start
    for server, thread in servers:
        server.should_exit = True
        thread.join()


def test_a_database_that_is_away_is_said_on_every_page(serve: Callable[..., str]) -> None:
    address = serve(f"postgresql+psycopg2://lockgate:{SECRET}@127.0.0.1:9/lockgate")
    for path in PATHS:
        reply = requests.get(address + path, timeout=20)
        assert (path, reply.status_code) == (path, 503)
        assert "no database listens there" in reply.text
        assert SECRET not in reply.text


def test_without_the_address_of_the_database_the_pages_name_the_variable(serve: Callable[..., str]) -> None:
    reply = requests.get(serve(""), timeout=20)
    assert reply.status_code == 503
    assert "LOCKGATE_DATABASE_URL is not set for the MLflow server" in reply.text


def test_a_bug_is_a_page_with_a_reference_that_is_in_the_log_of_the_server(
    serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> object:
        raise ZeroDivisionError("in the code of the page")

    monkeypatch.setattr(routes, "_overview", broken)
    reply = requests.get(serve(""), timeout=20)
    assert reply.status_code == 500
    assert "ZeroDivisionError" not in reply.text and "Traceback" not in reply.text
    found = re.search("this page has a bug; its reference is ([0-9a-f]{8})", reply.text)
    assert found
    logged = capsys.readouterr().err
    assert f"reference {found[1]}\nTraceback" in logged
    assert "ZeroDivisionError: in the code of the page" in logged


def test_below_a_prefix_every_address_has_the_prefix(serve: Callable[..., str]) -> None:
    address = serve("", prefix="/mlflow")
    page = requests.get(address, timeout=20)
    assert 'href="/mlflow/lockgate/style.css"' in page.text
    assert 'href="/lockgate' not in page.text
    assert "Path=/mlflow/lockgate" in page.headers["Set-Cookie"]
    assert requests.get(f"{address}/style.css", timeout=20).headers["Content-Type"].startswith("text/css")
