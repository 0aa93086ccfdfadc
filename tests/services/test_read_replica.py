"""Reports read a streaming replica of Postgres and say how far it is behind; gates and moves read the primary."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import serving_process
from raw_model import RawModel
from sqlalchemy import text

from lockgate.database import replica
from lockgate.database.connection import Database
from lockgate.operations.workspace import Workspace
from lockgate.stack import embedded_postgres, root_account
from lockgate.system.service_urls import Addresses

pytestmark = pytest.mark.long

SECONDS = 90
MODEL = "replicated-ensemble"


@pytest.fixture(scope="module")
def replica_home(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The `.lockgate` of a streaming replica of the stack's Postgres."""
    own = tmp_path_factory.mktemp("replica") / ".lockgate"
    socket, data = embedded_postgres.socket_folder(own), embedded_postgres.data_folder(own)
    socket.mkdir(parents=True)
    source = ["--host", str(embedded_postgres.socket_folder(home)), "--username", embedded_postgres.OWNER]
    backup = [embedded_postgres.binary("pg_basebackup"), "--pgdata", str(data), "--checkpoint=fast"]
    subprocess.run([*backup, "--write-recovery-conf", *source], check=True, timeout=SECONDS)
    for path in (own, socket, data, *data.rglob("*")):
        os.chown(path, root_account.user_id(), -1)
    options = f"-c listen_addresses='' -c unix_socket_directories='\"{socket}\"'"
    control = [embedded_postgres.binary("pg_ctl"), "--pgdata", str(data)]
    log = ["--log", str(data / "log"), "--options", options]
    subprocess.run(root_account.command([*control, *log, "--wait", "start"]), check=True, timeout=SECONDS)
    yield own
    subprocess.run(root_account.command([*control, "--mode=fast", "stop"]), check=False, timeout=SECONDS)
    shutil.rmtree(own)


@pytest.fixture(scope="module")
def primary(stack: Addresses) -> Workspace:
    """A model with a version in Production."""
    database = Database(stack.database_url)
    RawModel(stack, database, name=MODEL).serving()
    return Workspace(MODEL, stack, database, "anna", 10.0)


def caught_up(primary: Workspace, reading: Database) -> None:
    """Wait until the replica has what the primary has now."""
    with primary.database.transaction() as connection:
        wanted = connection.scalar(text("SELECT pg_current_wal_lsn()::text"))
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with reading.transaction() as connection:
            if connection.scalar(text("SELECT pg_last_wal_replay_lsn() >= CAST(:l AS pg_lsn)"), {"l": wanted}):
                return
        time.sleep(0.05)
    raise AssertionError(f"the replica does not reach {wanted}")


def test_reports_read_the_replica_and_say_so_and_moves_do_not(
    primary: Workspace, replica_home: Path, tmp_path: Path
) -> None:
    url = embedded_postgres.url(replica_home, embedded_postgres.OWNER)
    reading = replace(primary, addresses=replace(primary.addresses, read_url=url))
    database = reading.of_replica().database
    caught_up(primary, database)
    assert reading.of_replica().state() == primary.state()
    found = replica.standing(database)
    assert (found.is_replica, found.receives, found.caught_up) == (True, True, True)
    assert "no replica" in str(replica.standing(primary.database))
    folder = serving_process.folder_for(primary, Path(__file__).parents[2] / "params.yaml", tmp_path / "a project")
    for words in (("history",), ("list",), ("show", "1")):
        done = serving_process.command(reading, folder, *words)
        assert (done.returncode, done.stderr.count(f"read at {database.address}, which receives")) == (0, 1), (
            done.stderr
        )
    for words in (("verdict",), ("canary", "Staging=5", "--reason", "a change goes to the primary")):
        done = serving_process.command(reading, folder, *words)
        assert (done.returncode, "read at" in done.stderr) == (0, False), done.stderr


def test_a_replica_that_lost_its_primary_is_named(primary: Workspace, replica_home: Path) -> None:
    database = Database(embedded_postgres.url(replica_home, embedded_postgres.OWNER))
    with database.unchecked_transaction() as connection:
        connection.execute(text("SELECT 1"))
    embedded_postgres.psql(
        replica_home,
        "ALTER SYSTEM SET primary_conninfo = 'host=/nowhere'; SELECT pg_reload_conf();",
        embedded_postgres.DATABASE,
        time.monotonic() + SECONDS,
    )
    deadline = time.monotonic() + SECONDS
    while replica.standing(database).receives and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "NO connection to its primary" in str(replica.standing(database))
