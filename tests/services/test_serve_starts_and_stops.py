"""`lockgate serve` at its start and its end: one that cannot answer opens no port, and no request is lost."""

import json
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import served_versions
import serving_process
from failing_server import answering
from serving_process import Serving, body_of, serving
from sqlalchemy import text

from lockgate.database.connection import Database
from lockgate.errors import StateConflict
from lockgate.lifecycle.stages import Stage
from lockgate.operations.workspace import Workspace
from lockgate.serving.follow import Followed
from lockgate.serving.server import Settings, bound
from lockgate.system.service_urls import Addresses

SECRET = "s3cr3t-pass"
ROWS = 3


@pytest.fixture(scope="module")
def first(stack: Addresses) -> Workspace:
    """A model of this file; version 1, of seed 1, is in Production."""
    workspace = Workspace("stopped-ensemble", stack, Database(stack.database_url), "anna", 10.0)
    served_versions.put_in_production(workspace, 1)
    return workspace


@pytest.fixture(scope="module")
def folder(first: Workspace, trained_project: Callable[[int], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this file's model."""
    params = trained_project(1) / "params.yaml"
    return serving_process.folder_for(first, params, tmp_path_factory.mktemp("stopped") / "a project")


class Begun:
    """A request that the server has begun to read: it has said `100 Continue`, and waits for the body."""

    def __init__(self, server: Serving) -> None:
        self.body = json.dumps(body_of(served_versions.rows().head(ROWS))).encode()
        self.socket = socket.create_connection(("127.0.0.1", server.port), serving_process.SECONDS)
        head = f"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
        self.socket.sendall(f"{head}Content-Length: {len(self.body)}\r\nExpect: 100-continue\r\n\r\n".encode())
        assert self.socket.recv(1 << 10).startswith(b"HTTP/1.1 100")

    def finish(self) -> None:
        """Send the body."""
        self.socket.sendall(self.body)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body; the server closes the connection after them."""
        with closing(self.socket):
            head, _, body = b"".join(iter(lambda: self.socket.recv(1 << 16), b"")).partition(b"\r\n\r\n")
        status, *lines = head.decode().splitlines()
        return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


STOPS = [
    pytest.param(["--grace", "2"], [signal.SIGTERM], 143, id="SIGTERM"),
    pytest.param(["--grace", "2"], [signal.SIGHUP], -signal.SIGHUP, id="SIGHUP", marks=pytest.mark.long),
    pytest.param(["--grace", "600"], [signal.SIGINT] * 2, 130, id="Ctrl-C twice", marks=pytest.mark.long),
    pytest.param(["--grace", "2", "--workers", "2"], [signal.SIGTERM], 143, id="workers", marks=pytest.mark.long),
]


@pytest.mark.parametrize(("words", "signals", "code"), STOPS)
def test_a_stop_answers_and_logs_what_was_begun_and_cuts_what_takes_longer_than_the_grace(
    first: Workspace, folder: Path, words: list[str], signals: list[signal.Signals], code: int
) -> None:
    with serving(first, folder, *words) as server:
        if "--workers" in words:
            server.wait_for_line("2 workers")
        quick, slow = Begun(server), Begun(server)
        server.process.send_signal(signals[0])
        _wait_until_closed(server)
        quick.finish()
        status, headers, body = quick.answer()
        if len(signals) > 1:
            server.process.send_signal(signals[1])
        cut = slow.answer()
        assert server.process.wait(timeout=serving_process.SECONDS) == code
        with suppress(AssertionError):
            server.wait_for_line("none of the lines")
    assert (status, json.loads(body)["predictions"]) == (
        200,
        served_versions.expected(1, served_versions.rows().head(3)),
    )
    assert (cut[0], json.loads(cut[2])["message"]) == (
        503,
        "the server stops, and the forecast was not ready; ask again",
    )
    assert not [line for line in server.lines if "Traceback" in line or "ERROR" in line]
    query = "SELECT count(*) FROM lockgate.predictions WHERE request_id = CAST(:id AS uuid)"
    with first.database.transaction() as connection:
        assert connection.scalar(text(query), {"id": headers["x-lockgate-request-id"]}) == ROWS


def _wait_until_closed(server: Serving) -> None:
    """The stop has begun when the port takes no connection any more."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", server.port), 1).close()
        except OSError:
            return


@pytest.mark.long
def test_two_servers_in_one_folder_have_a_spool_each_and_log_each_answer_once(first: Workspace, folder: Path) -> None:
    body = body_of(served_versions.rows().head(ROWS))
    with serving(first, folder) as one, serving(first, folder) as two:
        ids = [server.ask(body).headers["x-lockgate-request-id"] for server in (one, two, one, two)]
        one.process.kill()
    spools = folder / ".lockgate" / "spool" / first.model
    assert sorted(path.name for path in spools.iterdir()) == ["serve-1", "serve-2"]
    assert serving_process.command(first, folder, "log", "drain").returncode == 0
    query = "SELECT count(*) FROM lockgate.predictions WHERE request_id = CAST(:id AS uuid)"
    with first.database.transaction() as connection:
        assert [connection.scalar(text(query), {"id": each}) for each in ids] == [ROWS] * 4


@pytest.fixture
def damaged(
    backend: Workspace, home: Path, trained_project: Callable[[int], Path], tmp_path: Path
) -> Iterator[tuple[Workspace, Path]]:
    """A model whose version in Production lost a byte on the server, and its folder."""
    folder = serving_process.folder_for(backend, trained_project(1) / "params.yaml", tmp_path / "a project")
    served_versions.damage(backend, home, served_versions.put_in_production(backend, 1))
    yield backend, folder


def test_a_version_that_is_not_the_registered_one_opens_no_port_and_all_workers_say_so_once(
    damaged: tuple[Workspace, Path],
) -> None:
    done = serving_process.command(*damaged, "serve", "--port", "0", "--workers", "2")
    assert (done.returncode, "answers" in done.stderr) == (7, False)
    assert done.stderr.count("sha256 mismatch") == 1


def test_a_refused_login_opens_no_port_asks_few_times_and_shows_no_password(
    first: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of the version is there, and does not answer."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "anna")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    with answering(401) as server:
        elsewhere = replace(first, addresses=Addresses(server.address, first.addresses.database_url))
        done = serving_process.command(elsewhere, folder, "serve", "--port", "0")
    assert (done.returncode, "answers" in done.stderr, SECRET in done.stderr) == (6, False, False)
    assert "refuses the login" in done.stderr and "DEGRADED" not in done.stderr
    assert server.asked <= 3


@pytest.mark.parametrize("host", ["192.0.2.1", "nothing.invalid", "127.0.0.1:80"])
def test_an_address_that_this_machine_has_not_is_named(host: str, tmp_path: Path) -> None:
    settings = Settings(host, 0, tmp_path, Followed(Stage.PRODUCTION))
    with pytest.raises(StateConflict, match=f"this machine has no address '{host}'") as refused, bound(settings):
        pass
    assert "--host" in refused.value.hint
