"""PgBouncer in transaction pooling before Postgres: what works through it, and what does not."""

import io
import os
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import free_port
import logged
import psycopg2
import pytest
from sqlalchemy import make_url, text

from lockgate.database import predictions
from lockgate.database.connection import Database
from lockgate.errors import BadConfiguration, LockgateError
from lockgate.operations import drain_log
from lockgate.prediction_log.spool import Spool
from lockgate.stack import embedded_postgres, root_account

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="PgBouncer is not installed"),
]
SETTINGS = """
[databases]
* = host='{socket}' port=5432 user=lockgate
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
ignore_startup_parameters = options,extra_float_digits
logfile = {log}
"""


@pytest.fixture
def pooler(home: Path, database_url: str, tmp_path: Path) -> Iterator[int]:
    """The port of a PgBouncer before the stack's Postgres."""
    port = free_port.free_port()
    settings, log = tmp_path / "pgbouncer.ini", tmp_path / "pgbouncer.log"
    settings.write_text(SETTINGS.format(socket=embedded_postgres.socket_folder(home), port=port, log=log))
    os.chown(tmp_path, root_account.user_id(), -1)  # PgBouncer refuses to run as root, as Postgres does
    words = root_account.command([shutil.which("pgbouncer") or "", str(settings)])
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process, log)
            yield port
        finally:
            process.terminate()


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


@pytest.fixture
def url(pooler: int, database_url: str) -> str:
    """The address of the test's database through the pooler."""
    return f"postgresql+psycopg2://{embedded_postgres.OWNER}@127.0.0.1:{pooler}/{make_url(database_url).database}"


@pytest.fixture
def connect(url: str) -> Iterator[Callable[[], Any]]:
    """Makes sessions through the pooler, each statement in a transaction of its own."""
    opened = []

    def connected() -> Any:
        session = psycopg2.connect(url.replace("+psycopg2", ""))
        session.autocommit = True
        opened.append(session)
        return session

    yield connected
    for each in opened:
        each.close()


def rows(session: Any, statement: str) -> Any:
    with closing(session.cursor()) as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else None


def test_the_log_is_drained_through_a_pooler_once_and_within_our_time_limits(
    url: str, database: Database, tmp_path: Path
) -> None:
    through = Database(url, timeout=5, pooled=True)
    spool = Spool(tmp_path / "spool")
    requests = [logged.request(minutes=each) for each in range(3)]
    spool.append(requests)
    assert drain_log.drain(spool, through) == drain_log.Drained(3, 3)
    assert predictions.insert(through, requests) == 0
    with database.transaction() as connection:
        assert connection.scalar(text("SELECT count(*) FROM lockgate.predictions")) == 3
    brief = Database(url, timeout=0.5, pooled=True)
    with pytest.raises(LockgateError), brief.transaction() as connection:
        assert connection.scalar(text("SHOW search_path")) == "pg_catalog, pg_temp"
        connection.execute(text("SELECT pg_sleep(30)"))
    with through.one_moment(), through.transaction() as connection:
        assert connection.scalar(text("SHOW transaction_isolation")) == "repeatable read"


def test_the_address_of_the_database_itself_may_be_no_pooler(url: str) -> None:
    with pytest.raises(BadConfiguration, match="drops time limits"), Database(url, timeout=5).transaction():
        pass


def test_what_a_transaction_pooler_keeps_and_what_it_does_not(connect: Callable[[], Any]) -> None:
    """The rows of the table in docs/how-to/deploy.md."""
    first, second = connect(), connect()
    rows(first, "LISTEN lockgate_stages")
    rows(second, "NOTIFY lockgate_stages")
    assert not select.select([first], [], [], 1)[0] or not (first.poll() or first.notifies)
    rows(first, "SET statement_timeout = 777")
    assert rows(second, "SHOW statement_timeout") == [("777ms",)]
    rows(second, "RESET statement_timeout")
    assert [rows(each, "SELECT pg_try_advisory_lock(42)") for each in (first, second)] == [[(True,)]] * 2
    rows(first, "SELECT pg_advisory_unlock_all()")
    rows(first, "PREPARE p AS SELECT 1")
    with closing(connect()) as holder:
        holder.autocommit = False
        rows(holder, "SELECT 1")  # takes the session that prepared
        with pytest.raises(psycopg2.errors.InvalidSqlStatementName):
            rows(first, "EXECUTE p")
    with closing(connect()) as whole:
        whole.autocommit = False
        rows(whole, "SELECT pg_advisory_xact_lock(43)")
        assert rows(second, "SELECT pg_try_advisory_xact_lock(43)") == [(False,)]
        rows(whole, "CREATE TEMP TABLE sent (a integer) ON COMMIT DROP")
        with closing(whole.cursor()) as cursor:
            cursor.copy_expert("COPY pg_temp.sent FROM STDIN", io.StringIO("1\n2\n"))
            assert cursor.rowcount == 2
        whole.commit()
