"""Real services for every test that asks for them: one stack a session, one fresh database a test."""

import itertools
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from free_port import free_port

from lockgate.errors import StateConflict
from lockgate.stack import embedded_postgres
from lockgate.stack import up_down as lockgate_stack
from lockgate.system import service_urls
from lockgate.system.service_urls import Addresses

if TYPE_CHECKING:
    from lockgate.database.connection import Database

TEMPLATE = "migrated"
SECONDS = 300
STACK_SECONDS = 600  # until a start is given up; on a busy machine it takes minutes
SERVERS = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")  # variables that MLflow's client sets by itself
LONGEST = ("test_training_faults.py", "test_transcripts.py", "test_prediction_faults.py")
counter = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest begin first: at the end, no other worker waits for one of them."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(autouse=True)
def no_server_of_an_earlier_test() -> None:
    """A test begins in an environment that names no server."""
    for name in SERVERS:
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The `.lockgate` of a stack that runs until the session ends, in a folder with a space in its path."""
    folder = tmp_path_factory.mktemp("a clone")
    try:
        # A port of its own: workers that begin together would all try the same one, and start a server for each trial.
        try:
            lockgate_stack.up(folder, port=free_port(), timeout=STACK_SECONDS, tell=lambda _: None)
        except StateConflict:  # another process has taken the port meanwhile
            lockgate_stack.up(folder, timeout=STACK_SECONDS, tell=lambda _: None)
        be_quick(folder / ".lockgate")
        make_template(folder / ".lockgate")
        yield folder / ".lockgate"
    finally:
        lockgate_stack.down(folder, tell=lambda _: None)


@pytest.fixture(scope="session")
def stack(home: Path) -> Addresses:
    """A real MLflow server and its database, shared by the session: a test takes model names that no other test has."""
    return service_urls.read_state(home / "stack.json")


@pytest.fixture(scope="session")
def dask_address() -> Iterator[str]:
    """The scheduler of a Dask cluster of two processes with one thread each, shared by the session."""
    import dask
    from distributed import LocalCluster

    dask.config.set({"distributed.comm.timeouts.connect": "300s"})  # a busy machine starts processes slowly
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1") as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def database_url(home: Path) -> Iterator[str]:
    """A database of this test alone, with MLflow's tables and schema lockgate, without a server on it."""
    name = f"test_{next(counter)}"
    run_psql(home, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield embedded_postgres.url(home, embedded_postgres.OWNER, name)
    run_psql(home, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url: str) -> "Database":
    """The adapter on this test's own database."""
    from lockgate.database.connection import Database

    return Database(database_url)


@pytest.fixture
def psql(home: Path) -> Callable[..., str]:
    """Runs SQL as the owner, in database `postgres` or the one that is named, and gives what it prints."""
    return lambda script, name="postgres": run_psql(home, script, name)


def run_psql(home: Path, script: str, name: str = "postgres") -> str:
    return embedded_postgres.psql(home, script, name, time.monotonic() + SECONDS)


def be_quick(home: Path) -> None:
    """Let Postgres wait for no disk: no test of the session's stack pulls the plug."""
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        run_psql(home, f"ALTER SYSTEM SET {setting} = off")
    run_psql(home, "SELECT pg_reload_conf()")


def make_template(home: Path) -> None:
    """Copy the stack's database while nothing but migrations is in it; Postgres itself copies only unused databases."""
    run_psql(home, f"CREATE DATABASE {TEMPLATE}")
    words = ["--host", str(embedded_postgres.socket_folder(home)), "--username", embedded_postgres.OWNER]
    command = [embedded_postgres.binary("pg_dump"), *words, embedded_postgres.DATABASE]
    run_psql(
        home, subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True).stdout, TEMPLATE
    )
