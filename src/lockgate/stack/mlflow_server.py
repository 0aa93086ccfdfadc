"""The local MLflow server: started detached with safe settings, found again by a variable in its environment."""

import os
import signal
import socket
import sys
import urllib.request
from pathlib import Path
from urllib.error import URLError

import psutil

from lockgate.errors import StateConflict, Unavailable
from lockgate.stack import embedded_postgres, processes
from lockgate.system.project import PROJECTS_VARIABLE
from lockgate.system.service_urls import DATABASE_VARIABLE

HOST = "127.0.0.1"
PREFERRED_PORT = 5000
PORTS_TRIED = 50
PORT_TAKEN = "address already in use"  # the other process may have ended since
READ_SECONDS = 5.0
APP = "lockgate"  # MLflow's application with the pages of Lockgate: an entry point in pyproject.toml
MARK = "_LOCKGATE_SERVER_OF"  # finds the processes of a .lockgate folder; a pid in a file may be reused
REGISTRY_READ = "/api/2.0/mlflow/registered-models/search?max_results=1"

# Jobs are off: they run code on the server and take 2 GiB. A version's source must be an artifact of this server.
SAFE_SETTINGS = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # MLflow writes dummy-source for its prompts
    "MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX": r"^(mlflow-artifacts:/|models:/|runs:/|dummy-source$)",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


def uri(port: int) -> str:
    """The tracking URI of a server on this port."""
    return f"http://{HOST}:{port}"


def log_file(home: Path) -> Path:
    """Where the server writes its log."""
    return home / "logs" / "mlflow.log"


def running(home: Path) -> list[psutil.Process]:
    """The living processes, workers included, of the server that was started for this `.lockgate` folder."""
    return processes.with_variable(MARK, str(home))


def answers(home: Path, port: int) -> bool:
    """Whether the server of this folder listens on the port and reads its registry; `/health` needs no database."""
    return _reads_registry(port) and _listens(running(home), port)  # the search for the processes takes longer


def stores_at(home: Path, artifacts: str) -> bool:
    """Whether the server of this folder was started with its artifacts at this URI."""
    return any(_has_argument(process, artifacts) for process in running(home))


def has_pages(home: Path) -> bool:
    """Whether the server of this folder was started with the pages of Lockgate."""
    return any(_has_argument(process, APP) for process in running(home))


def start(home: Path, database_url: str, artifacts: str, port: int, deadline: float) -> bool:
    """Start a server with its artifacts at this URI, and wait for its first registry read.

    Returns False if another process took the port meanwhile. Raises Unavailable with the end of the log if the server
    ends, or does not answer before the deadline (of time.monotonic).
    """
    process = processes.launch(_command(database_url, artifacts, port), log_file(home), _environment(home))
    try:
        processes.wait_until(lambda: answers(home, port) or not processes.is_alive(process), deadline)
        if answers(home, port):
            return True
    except BaseException:
        stop(home, patience=5)
        raise
    ended = not processes.is_alive(process)
    stop(home, patience=5)
    if ended and (not is_free(port) or PORT_TAKEN in processes.last_lines(log_file(home)).lower()):
        return False
    raise Unavailable(
        f"the MLflow server {'ended' if ended else 'does not answer in time'}:\n{processes.last_lines(log_file(home))}",
        where=str(log_file(home)),
        hint="read the log, then run lockgate up again",
    )


def stop(home: Path, patience: float) -> bool:
    """Stop the server of this folder with its workers. Returns whether a server ran."""
    found = running(home)
    processes.end(found, signal.SIGTERM, patience)
    return bool(found)


def choose_port(named: int | None) -> int:
    """The named port, or the first free one from 5000 up. Raises StateConflict if the named one is taken."""
    if named is not None:
        if not is_free(named):
            raise StateConflict(f"port {named} is taken", where=HOST, hint="give another port, or leave out --port")
        return named
    for port in range(PREFERRED_PORT, PREFERRED_PORT + PORTS_TRIED):
        if is_free(port):
            return port
    last = PREFERRED_PORT + PORTS_TRIED - 1
    raise StateConflict(
        f"ports {PREFERRED_PORT} to {last} are taken", where=HOST, hint="give a port: lockgate up --port N"
    )


def is_free(port: int) -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _listens(candidates: list[psutil.Process], port: int) -> bool:
    for process in candidates:
        try:
            sockets = process.net_connections("tcp")
        except processes.Gone:
            continue
        if any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in sockets):
            return True
    return False


def _has_argument(process: psutil.Process, value: str) -> bool:
    try:
        return value in process.cmdline()
    except processes.Gone:
        return False


def _reads_registry(port: int) -> bool:
    direct = urllib.request.build_opener(
        urllib.request.ProxyHandler({})
    )  # a proxy cannot reach this machine's loopback
    try:
        with direct.open(uri(port) + REGISTRY_READ, timeout=READ_SECONDS) as reply:
            return bool(reply.status == 200)
    except (URLError, OSError, ValueError):
        return False


def _command(database_url: str, artifacts: str, port: int) -> list[str]:
    options = {
        "--backend-store-uri": database_url,
        "--artifacts-destination": artifacts,
        "--host": HOST,
        "--port": str(port),
        "--app-name": APP,
        "--workers": "1",
        "--uvicorn-opts": "--log-level warning",
    }
    words = [word for option in options.items() for word in option]
    return [sys.executable, "-m", "mlflow", "server", "--serve-artifacts", *words]


def _environment(home: Path) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "_MLFLOW_", "PG"))
    }
    of_pages = embedded_postgres.url(home, embedded_postgres.OWNER)
    own = {MARK: str(home), DATABASE_VARIABLE: of_pages, PROJECTS_VARIABLE: str(home.parent)}
    return inherited | SAFE_SETTINGS | own
