"""A `lockgate serve` process of its own, and a client for it."""

import http.client
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import signals
import yaml

from lockgate.operations.workspace import Workspace
from lockgate.system import service_urls

SECONDS = 90
JSON = "application/json"


@dataclass
class Answer:
    """An answer of the server."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def version(self) -> int:
        """The version that gave the answer."""
        return int(self.headers["x-lockgate-version"])


@dataclass
class Serving:
    """A server process: its address, and the lines on its standard error so far."""

    process: "subprocess.Popen[str]"
    folder: Path
    port: int = 0
    lines: list[str] = field(default_factory=list)
    more: "queue.Queue[str | None]" = field(default_factory=queue.Queue)

    def wait_for_line(self, text: str) -> str:
        """The first line with this text, among those so far or to come."""
        for line in self.lines:
            if text in line:
                return line
        deadline = time.monotonic() + SECONDS
        while (line := self.more.get(timeout=max(0.1, deadline - time.monotonic()))) is not None:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"the server ended ({self.process.wait()}): {self.lines}")

    def connect(self) -> http.client.HTTPConnection:
        """A connection that stays open."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)

    def ask(self, body: Any, path: str = "/invocations", **headers: str) -> Answer:
        """The answer to a POST, over a connection of its own."""
        connection = self.connect()
        try:
            return ask(connection, body, path, **headers)
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        """The answer to a GET."""
        connection = self.connect()
        try:
            connection.request("GET", path)
            return answer_of(connection)
        finally:
            connection.close()

    def health_with(self, **expected: Any) -> dict[str, Any]:
        """What /health says as soon as it has these values."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.get("/health").json
            if {name: found.get(name) for name in expected} == expected:
                return found
            time.sleep(0.05)
        raise AssertionError(f"/health does not say {expected}: {found}; {self.lines}")


def ask(connection: http.client.HTTPConnection, body: Any, path: str = "/invocations", **headers: str) -> Answer:
    """The answer to a POST over this connection."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", path, content, {"Content-Type": JSON} | given)
    return answer_of(connection)


def answer_of(connection: http.client.HTTPConnection) -> Answer:
    """The answer to the last request."""
    with connection.getresponse() as reply:
        return Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())


def body_of(rows: pd.DataFrame, **more: Any) -> dict[str, Any]:
    """Rows in the form dataframe_split, with dates as texts."""
    written = rows.assign(**{name: rows[name].dt.strftime("%Y-%m-%d") for name in rows.select_dtypes("datetime")})
    split = json.loads(written.to_json(orient="split", index=False, double_precision=15))
    return {"dataframe_split": split, **more}


def folder_for(backend: Workspace, params: Path, folder: Path) -> Path:
    """A folder in which commands of Lockgate mean the model of a test."""
    described = yaml.safe_load(params.read_text())
    described["problem"]["name"] = backend.model.removesuffix("-ensemble")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(described, sort_keys=False))
    return folder


def environment(backend: Workspace) -> dict[str, str]:
    """The variables with which commands reach the test's servers."""
    return {**os.environ, **service_urls.env(backend.addresses), "LOCKGATE_ACTOR": backend.actor}


def command(backend: Workspace, folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command of Lockgate that ended."""
    call = [sys.executable, "-m", "lockgate", *words]
    return subprocess.run(
        call, cwd=folder, env=environment(backend), capture_output=True, text=True, timeout=SECONDS, check=False
    )


@contextmanager
def serving(backend: Workspace, folder: Path, *words: str) -> Iterator[Serving]:
    """A server in this folder, which answers when the block begins."""
    call = [sys.executable, "-m", "lockgate", "serve", "--port", "0", *words]
    process = subprocess.Popen(
        call, cwd=folder, env=environment(backend), stderr=subprocess.PIPE, text=True, preexec_fn=signals.heeded
    )
    found = Serving(process, folder)
    reader = threading.Thread(target=_read, args=(process, found.more), daemon=True)
    reader.start()
    try:
        found.port = int(found.wait_for_line("answers at").rsplit(":", 1)[1])
        yield found
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()
        assert process.stderr
        process.stderr.close()


def _read(process: "subprocess.Popen[str]", lines: "queue.Queue[str | None]") -> None:
    assert process.stderr
    for line in process.stderr:
        lines.put(line.rstrip("\n"))
    lines.put(None)


def wait_for_port(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until a server process accepts connections at the port; AssertionError with its log if it ends."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        else:
            return
