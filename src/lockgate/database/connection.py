"""The connection to Postgres: time limits, failures in our words, migrations of schema lockgate, a lock per model."""

import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from time import monotonic, sleep
from typing import NamedTuple

from sqlalchemy import Connection, Engine, TextClause, bindparam, create_engine, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from lockgate.database.error_messages import PAST_THE_POOLER, is_crowded, translated
from lockgate.errors import BadConfiguration, StateConflict
from lockgate.system.service_urls import masked

GRACE_SECONDS = 1.0  # the server's own time limit speaks first; then the line is cut
TRY_AGAIN_SECONDS = 0.2  # while the server has no room for one more connection
KEPT_CONNECTIONS = 8
MIGRATION_NAME = re.compile(r"(\d{4})_(\w+)\.sql")


class Migration(NamedTuple):
    """One numbered file of SQL."""

    number: int
    name: str
    sql: str


class Database:
    """A Postgres that is not waited for longer than `timeout` seconds, and whose failures are LockgateErrors.

    `keep_connections` is for servers: a few connections stay open for later transactions.
    """

    def __init__(self, url: str, timeout: float = 10.0, *, keep_connections: bool = False) -> None:
        self.address = masked(url)
        self._timeout = timeout
        self._engine = _engine(url, timeout, keep_connections)
        self._checked = False
        self._moments = threading.local()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection in a transaction: committed at the end of the block, rolled back by an exception.

        Raises StateConflict if schema lockgate is absent, older or newer than this code, and BadConfiguration behind a
        pooler that drops our time limits.
        """
        if (moment := getattr(self._moments, "connection", None)) is not None:
            with moment.begin_nested() as nested:
                yield moment
                nested.rollback()  # also what a reader has set for itself
            return
        with self._connected() as connection:
            self._check_once(connection)
            yield connection

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Within the block, all transactions of this thread see the database as of one moment, and write nothing."""
        if getattr(self._moments, "connection", None) is not None:
            yield
            return
        with self._connected() as connection:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            self._check_once(connection)
            self._moments.connection = connection
            try:
                yield
            finally:
                self._moments.connection = None

    @contextmanager
    def transfer(self, seconds: float) -> Iterator[Connection]:
        """As `transaction`, for a role without rights in schema lockgate, and with `seconds` for all its statements."""
        with self._connected(seconds) as connection:
            yield connection

    def migrate(self) -> list[str]:
        """Bring schema lockgate to this code's state, in one transaction; the names of the migrations that were run.

        MLflow must have made its tables in the same database before.
        """
        with self._connected() as connection:
            self._check_time_limit(connection)
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('lockgate.migrate', 0))"))
            done = _schema_number(connection)
            _refuse_newer(done, self.address)
            if done is None:
                _prepare(connection, self.address)
            pending = [migration for migration in migrations() if migration.number > (done or 0)]
            for migration in pending:
                _run(connection, migration)
        return [migration.name for migration in pending]

    @contextmanager
    def lock(self, model: str, wait: float) -> Iterator[int]:
        """One command at a time for a model; gives the process id of the database session that holds it.

        Raises StateConflict, naming who has it, after `wait` seconds. The lock belongs to an open transaction, so that
        it also holds behind a pooler that shares sessions.
        """
        with translated(self.address, self._timeout), self._connect() as connection, connection.begin():
            if not _locked(connection, model, wait):
                raise StateConflict(
                    f"{model} is locked by {self._holder(model)}", where=self.address, hint="wait for it to end"
                )
            yield int(connection.scalar(text("SELECT pg_backend_pid()")) or 0)

    def _check_once(self, connection: Connection) -> None:
        if not self._checked:
            self._check_time_limit(connection)
            _check_schema(connection, self.address)
            self._checked = True

    def _check_time_limit(self, connection: Connection) -> None:
        """Without the server's own limit, a statement that we have given up goes on and may still be committed."""
        in_force = connection.scalar(text("SELECT extract(epoch FROM current_setting('statement_timeout')::interval)"))
        if in_force * 1000 != _milliseconds(self._timeout):
            raise BadConfiguration(
                "a pooler stands before Postgres and drops time limits", where=self.address, hint=PAST_THE_POOLER
            )

    @contextmanager
    def _connected(self, seconds: float | None = None) -> Iterator[Connection]:
        with (
            translated(self.address, self._timeout),
            self._connect() as connection,
            _cut_off_after((seconds or self._timeout) + GRACE_SECONDS, connection),
            connection.begin(),
        ):
            yield connection

    def _connect(self) -> Connection:
        """A connection; a server that has no room for it is asked again until the time is up."""
        until = monotonic() + self._timeout
        while True:
            try:
                return self._engine.connect()
            except OperationalError as error:
                if not is_crowded(error) or monotonic() + TRY_AGAIN_SECONDS > until:
                    raise
                sleep(TRY_AGAIN_SECONDS)

    def _holder(self, model: str) -> str:
        with self._connected() as connection:
            row = connection.execute(text(HOLDER_OF_LOCK), {"model": model}).one_or_none()
        return f"{row.name}, for {row.seconds:.0f} s" if row else "a command that has just ended"


LOCK_KEY = "hashtextextended('lockgate.model:' || :model, 0)"

HOLDER_OF_LOCK = f"""
    SELECT coalesce(nullif(activity.application_name, ''), 'a session of ' || activity.usename, 'somebody') AS name,
           extract(epoch FROM clock_timestamp()
                   - coalesce(activity.xact_start, activity.backend_start, clock_timestamp())) AS seconds
    FROM pg_locks AS held
    JOIN pg_stat_activity AS activity USING (pid)
    WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 1
      AND (held.classid::bigint << 32 | held.objid::bigint) = {LOCK_KEY}
"""  # noqa: S608 - no value is put into the text


def with_json(statement: str, *names: str) -> TextClause:
    """A statement whose parameters with these names are JSON."""
    return text(statement).bindparams(*(bindparam(name, type_=JSONB) for name in names))


def migrations() -> list[Migration]:
    """The numbered SQL files of this code, in their order."""
    files = [file for file in resources.files("lockgate.database.migrations").iterdir() if file.name.endswith(".sql")]
    found = [(MIGRATION_NAME.fullmatch(file.name), file.read_text(encoding="utf-8")) for file in files]
    return sorted(Migration(int(match[1]), match[2], sql) for match, sql in found if match)


def _engine(url: str, timeout: float, keep_connections: bool) -> Engine:
    arguments = {
        "connect_timeout": max(2, int(timeout)),
        "options": f"-c statement_timeout={_milliseconds(timeout)}",
        "application_name": f"lockgate pid {os.getpid()} on {socket.gethostname()}"[:63],
    }
    try:
        if keep_connections:
            return create_engine(
                url, pool_size=KEPT_CONNECTIONS, max_overflow=-1, pool_pre_ping=True, connect_args=arguments
            )
        return create_engine(url, poolclass=NullPool, connect_args=arguments)
    except (ArgumentError, ValueError) as error:
        raise BadConfiguration("the database URL cannot be read", where=masked(url)) from error


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


@contextmanager
def _cut_off_after(seconds: float, connection: Connection) -> Iterator[None]:
    """Hang up on a server that has fallen silent: its own time limits would never speak."""
    line = socket.socket(fileno=os.dup(connection.connection.fileno()))
    timer = threading.Timer(seconds, line.shutdown, [socket.SHUT_RDWR])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        line.close()


def _schema_number(connection: Connection) -> int | None:
    """The number of the last migration that was run; None where schema lockgate is absent."""
    present = connection.scalar(text("SELECT to_regclass('lockgate.migrations') IS NOT NULL"))
    return connection.scalar(text("SELECT max(number) FROM lockgate.migrations")) if present else None


def _check_schema(connection: Connection, address: str) -> None:
    number = _schema_number(connection)
    _refuse_newer(number, address)
    if number is None:
        raise StateConflict("the database has no schema lockgate", where=address, hint="make it with: lockgate up")
    if number < migrations()[-1].number:
        raise StateConflict(
            "schema lockgate is older than this code", where=address, hint="migrate it with: lockgate up"
        )


def _refuse_newer(number: int | None, address: str) -> None:
    newest = migrations()[-1].number
    if number is not None and number > newest:
        raise StateConflict(
            f"schema lockgate is newer ({number}) than this code ({newest})", where=address, hint="update lockgate"
        )


def _prepare(connection: Connection, address: str) -> None:
    if not connection.scalar(text("SELECT to_regclass('public.model_versions') IS NOT NULL")):
        raise StateConflict("the database has no tables of MLflow", where=address, hint="start its MLflow server first")
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS lockgate"))
    columns = "number integer PRIMARY KEY, name text NOT NULL, run_at timestamptz NOT NULL"
    connection.execute(text(f"CREATE TABLE lockgate.migrations ({columns})"))


def _run(connection: Connection, migration: Migration) -> None:
    connection.execution_options(no_parameters=True).exec_driver_sql(migration.sql)
    statement = text("INSERT INTO lockgate.migrations VALUES (:number, :name, now())")
    connection.execute(statement, {"number": migration.number, "name": migration.name})


def _locked(connection: Connection, model: str, wait: float) -> bool:
    milliseconds = _milliseconds(wait)
    with _cut_off_after(wait + 2 * GRACE_SECONDS, connection):
        connection.execute(text(f"SET LOCAL lock_timeout = {milliseconds}"))
        connection.execute(text(f"SET LOCAL statement_timeout = {milliseconds + 1000}"))
        try:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK_KEY})"), {"model": model})
        except DBAPIError as error:
            if getattr(error.orig, "pgcode", None) == "55P03":  # lock_not_available
                return False
            raise
    return True
