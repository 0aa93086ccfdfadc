"""The connection to Postgres: time limits, transactions, and the repetition of interrupted transactions."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from time import monotonic, sleep
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, TextClause, bindparam, create_engine, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.pool import NullPool

from lockgate.database import schema_check
from lockgate.database.error_messages import PAST_THE_POOLER, is_absent, is_temporary, translated
from lockgate.errors import BadConfiguration, DatabaseInterrupted, Unavailable
from lockgate.system.service_urls import masked

GRACE_SECONDS = 1.0  # after the server's own time limit, the connection is cut
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between two tries of an interrupted transaction
TRY_AGAIN_SECONDS = 0.2  # between two tries to connect
KEPT_CONNECTIONS = 8
# MLflow's role may make functions in schema public: one with the name of a built-in function would run with our rights.
SEARCH_PATH = "pg_catalog,pg_temp"
OF_A_TRANSACTION = f"SET LOCAL statement_timeout = {{}}; SET LOCAL search_path = {SEARCH_PATH}"
MLFLOW_CREATED = "SELECT creation_time FROM public.experiments WHERE experiment_id = 0"
T = TypeVar("T")
P = ParamSpec("P")


class Database:
    """A Postgres whose answers are awaited for `timeout` seconds at most, and whose failures are LockgateErrors.

    `keep_connections` is for servers: a few connections stay open for later transactions. `pooled`: the address is that
    of a pooler that gives each transaction another session, so time limit and search path are set in each transaction.
    """

    def __init__(
        self, url: str, timeout: float = 10.0, *, keep_connections: bool = False, pooled: bool = False
    ) -> None:
        self.address = masked(url)
        self.timeout = timeout
        self._engine = _engine(url, timeout, keep_connections, pooled)
        self._pooled = pooled
        self._checked = False
        self._mlflow_created: int | None = None
        self._answered = False
        self._thread = _OfThread()

    def repeat(self, work: Callable[[], T]) -> T:
        """The result of the work, repeated after an interruption (ended session, deadlock, restart) within the timeout.

        The work must be one transaction. In a block of `one_moment`, the connection of that block is gone as well: the
        interruption is passed on to whoever repeats the block.
        """
        if self._thread.connection is not None or self._thread.until is not None:
            return work()
        self._thread.until = monotonic() + self.timeout
        try:
            return self._repeated(work, self._thread.until)
        finally:
            self._thread.until = None

    @contextmanager
    def transaction(self, seconds: float | None = None) -> Iterator[Connection]:
        """A connection in a transaction: committed at the end of the block, rolled back by an exception.

        `seconds` are for all its statements; the timeout by default. Each statement has the timeout at most.
        Raises StateConflict if schema lockgate is absent, older or newer than this code, BadConfiguration behind a
        pooler that drops our time limits, and DatabaseInterrupted if nothing was committed.
        """
        if (moment := self._thread.connection) is not None:
            with moment.begin_nested() as nested:
                yield moment
                nested.rollback()  # also the settings that the reader changed
            return
        number: str | None = None
        try:
            with self.unchecked_transaction(seconds) as connection:
                self._check_once(connection)
                yield connection
                number = connection.scalar(text("SELECT pg_current_xact_id_if_assigned()::text"))
        except DatabaseInterrupted:
            if number is None or not self._was_committed(number):
                raise

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Within the block, all transactions of this thread see the database as of one moment, and write nothing."""
        if self._thread.connection is not None:
            yield
            return
        with self.unchecked_transaction() as connection:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            self._check_once(connection)
            self._thread.connection = connection
            try:
                yield
            finally:
                self._thread.connection = None

    def read_one_moment(self, work: Callable[[], T]) -> T:
        """The result of reads that all see the database as of one moment, repeated after an interruption."""

        def read() -> T:
            with self.one_moment():
                return work()

        return self.repeat(read)

    def mlflow_created(self) -> int | None:
        """When MLflow made its first experiment in this database, in milliseconds: the mark of its server."""
        if not self._checked:
            with self.transaction():
                pass
        return self._mlflow_created

    @contextmanager
    def unchecked_transaction(self, seconds: float | None = None) -> Iterator[Connection]:
        """As `transaction`, without a look at schema lockgate: for roles without rights in it, and to make it.

        `seconds` are for all its statements; the timeout by default.
        """
        until = self._thread.until
        limit = self.timeout if until is None else max(0.0, until - monotonic())
        with (
            translated(self.address, self.timeout),
            self.connect() as connection,
            cut_off_after((seconds or limit) + GRACE_SECONDS, connection),
            connection.begin(),
        ):
            if self._pooled:
                connection.execute(text(OF_A_TRANSACTION.format(milliseconds(self.timeout))))
            yield connection

    def check_time_limit(self, connection: Connection) -> None:
        """Raises BadConfiguration without the server's own limit: a statement that we gave up would go on there."""
        in_force = connection.scalar(text("SELECT extract(epoch FROM current_setting('statement_timeout')::interval)"))
        if in_force * 1000 != milliseconds(self.timeout):
            raise BadConfiguration(
                "a pooler stands before Postgres and drops time limits", where=self.address, hint=PAST_THE_POOLER
            )

    def connect(self) -> Connection:
        """A connection; a server that has no room for it, or restarts, is asked again until the time is up."""
        until = self._thread.until or monotonic() + self.timeout
        while True:
            try:
                connection = self._engine.connect()
            except OperationalError as error:
                passes = is_temporary(error) or (self._answered and is_absent(error))
                if not passes or monotonic() + TRY_AGAIN_SECONDS > until:
                    raise
                sleep(TRY_AGAIN_SECONDS)
            else:
                self._answered = True
                return connection

    def _repeated(self, work: Callable[[], T], until: float) -> T:
        pause = FIRST_PAUSE
        while True:
            try:
                return work()
            except DatabaseInterrupted:
                if monotonic() + pause > until:
                    raise
                sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _was_committed(self, number: str) -> bool:
        """Whether the transaction of this number was committed before the connection broke: Postgres keeps record."""
        try:
            status = self._repeated(partial(self._outcome, number), self._thread.until or monotonic() + self.timeout)
        except DatabaseInterrupted as error:
            raise Unavailable(
                "the database does not answer whether the last change was made", where=self.address, hint="try again"
            ) from error
        return status == "committed"

    def _outcome(self, number: str) -> str | None:
        with self.unchecked_transaction() as connection:
            status: str | None = connection.scalar(text("SELECT pg_xact_status(CAST(:n AS xid8))"), {"n": number})
        if status == "in progress":
            raise DatabaseInterrupted("a transaction has not ended", where=self.address, hint="try again")
        return status

    def _check_once(self, connection: Connection) -> None:
        if not self._checked:
            self.check_time_limit(connection)
            schema_check.check(connection, self.address)
            self._mlflow_created = connection.scalar(text(MLFLOW_CREATED))
            self._checked = True


class _OfThread(threading.local):
    """The state of one thread: its connection in a block of `one_moment`, and the end of its time for repetitions."""

    connection: Connection | None = None
    until: float | None = None


def with_retries(function: Callable[Concatenate[Database, P], T]) -> Callable[Concatenate[Database, P], T]:
    """Repeat a function of one transaction when the database interrupted it, within the database's timeout."""

    @wraps(function)
    def repeated(database: Database, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return database.repeat(lambda: function(database, *args, **kwargs))

    return repeated


def with_json(statement: str, *names: str) -> TextClause:
    """A statement whose parameters with these names are JSON."""
    return text(statement).bindparams(*(bindparam(name, type_=JSONB) for name in names))


def _engine(url: str, timeout: float, keep_connections: bool, pooled: bool) -> Engine:
    options = {"options": f"-c statement_timeout={milliseconds(timeout)} -c search_path={SEARCH_PATH}"}
    arguments = {
        "connect_timeout": max(2, int(timeout)),
        **({} if pooled else options),
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


def milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


@contextmanager
def cut_off_after(seconds: float, connection: Connection) -> Iterator[None]:
    """Close the connection to a server that does not answer: its own time limits would never end the wait."""
    line = socket.socket(fileno=os.dup(connection.connection.fileno()))
    timer = threading.Timer(seconds, line.shutdown, [socket.SHUT_RDWR])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        line.close()
