"""The database adapter on a real Postgres: migrations, time limits, one lock a model, and a text for each failure."""

import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import dask_processes
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from lockgate.database.connection import Database
from lockgate.database.migrate import migrate
from lockgate.database.model_lock import model_lock
from lockgate.errors import BadConfiguration, LockgateError, StateConflict, Unavailable
from lockgate.stack import embedded_postgres

Psql = Callable[..., str]


def name_of(database_url: str) -> str:
    return database_url.split("@/")[1].split("?")[0]


def refusal_of(database: Database, statement: str = "SELECT 1") -> LockgateError:
    with pytest.raises(LockgateError) as refusal, database.transaction() as connection:
        connection.execute(text(statement))
    return refusal.value


def refused(action: Callable[[], object]) -> LockgateError:
    with pytest.raises(LockgateError) as refusal:
        action()
    return refusal.value


# --- migrations ------------------------------------------------------------------------------------------------------


def test_migrating_again_does_nothing(database: Database) -> None:
    assert migrate(database) == []


def test_migrations_that_race_run_once(database: Database, psql: Psql, database_url: str) -> None:
    psql("DROP SCHEMA lockgate CASCADE", name_of(database_url))
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: migrate(Database(database_url)), range(4)))
    assert sorted(done) == [[], [], [], ["tables", "definitions"]]


def test_a_migration_that_fails_leaves_nothing_behind(database: Database, psql: Psql, database_url: str) -> None:
    damage = "DROP SCHEMA lockgate CASCADE; ALTER TABLE public.model_version_tags RENAME TO elsewhere"
    psql(damage, name_of(database_url))
    with pytest.raises(LockgateError):
        migrate(database)
    assert psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'lockgate'", name_of(database_url)).strip() == "0"


def test_a_newer_schema_is_refused_by_this_code(database: Database, psql: Psql, database_url: str) -> None:
    psql("INSERT INTO lockgate.migrations VALUES (9000, 'from_the_future', now())", name_of(database_url))
    for refusal in (refusal_of(database), refused(lambda: migrate(database))):
        assert (refusal.exit_code, refusal.hint) == (5, "update lockgate")
        assert "newer (9000)" in str(refusal)


@pytest.mark.parametrize(
    "script",
    [
        "DROP SCHEMA lockgate CASCADE",
        "UPDATE lockgate.migrations SET number = 11",
        "INSERT INTO lockgate.definitions (digest) VALUES ('of another version')",
    ],
)
def test_an_absent_older_or_other_schema_is_made_with_lockgate_up(
    database: Database, psql: Psql, database_url: str, script: str
) -> None:
    psql(script, name_of(database_url))
    refusal = refusal_of(database)
    assert isinstance(refusal, StateConflict)
    assert "lockgate up" in refusal.hint


def test_a_database_without_mlflow_is_not_migrated(home: Path) -> None:
    with pytest.raises(StateConflict, match="no tables of MLflow"):
        migrate(Database(embedded_postgres.url(home, "lockgate", "postgres")))


# --- failures --------------------------------------------------------------------------------------------------------


def test_a_database_that_is_down_is_unavailable_with_its_address_but_no_password() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    refusal = refusal_of(Database(f"postgresql+psycopg2://ann:s3cret@127.0.0.1:{port}/lockgate"))
    assert str(refusal) == f"no database listens there (postgresql+psycopg2://ann:***@127.0.0.1:{port}/lockgate)"
    assert (refusal.exit_code, refusal.hint) == (6, "start it: lockgate up")


def test_a_socket_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    assert "no database listens there" in str(refusal_of(Database(embedded_postgres.url(tmp_path, "lockgate"))))


def test_a_server_that_accepts_and_never_answers_is_given_up_in_time() -> None:
    """Without a limit, this test would not end."""
    with closing(socket.create_server(("127.0.0.1", 0))) as black_hole:
        refusal = refusal_of(
            Database(f"postgresql+psycopg2://ann@127.0.0.1:{black_hole.getsockname()[1]}/x", timeout=2)
        )
    assert isinstance(refusal, Unavailable)
    assert "did not answer within 2 s" in str(refusal)


def lets_in(url: str) -> bool:
    try:
        create_engine(url, poolclass=NullPool).connect().close()
    except OperationalError:
        return False
    return True


@pytest.fixture
def locked_out(home: Path, psql: Psql) -> Iterator[str]:
    """A user who needs a password, in a cluster that trusts all the others."""
    access = embedded_postgres.data_folder(home) / "pg_hba.conf"
    before = access.read_text()
    access.write_text("local all locked_out scram-sha-256\n" + before)
    psql("CREATE ROLE locked_out LOGIN PASSWORD 'right'; SELECT pg_reload_conf()")
    dask_processes.wait_for(lambda: not lets_in(embedded_postgres.url(home, "locked_out")))  # it has read the file
    yield "locked_out"
    access.write_text(before)
    psql("DROP ROLE locked_out; SELECT pg_reload_conf()")


def test_a_wrong_or_missing_password_has_its_own_text(home: Path, locked_out: str) -> None:
    url = embedded_postgres.url(home, f"{locked_out}:wr0ng")
    refusal = refusal_of(Database(url))
    assert "refuses the user or the password" in str(refusal)
    assert "wr0ng" not in str(refusal)
    assert "asks for a password" in str(refusal_of(Database(embedded_postgres.url(home, locked_out))))


def test_a_missing_database_and_a_missing_user_have_their_own_texts(home: Path) -> None:
    assert "the server has no such database" in str(refusal_of(Database(embedded_postgres.url(home, "lockgate", "no"))))
    assert "the database has no such user" in str(refusal_of(Database(embedded_postgres.url(home, "nobody_here"))))


def test_a_read_only_database_is_recognised(database: Database, psql: Psql, database_url: str) -> None:
    psql(f"ALTER DATABASE {name_of(database_url)} SET default_transaction_read_only = on")
    refusal = refusal_of(database, "DELETE FROM lockgate.intents")
    assert (refusal.exit_code, refusal.message) == (6, "the database is read-only")


@pytest.fixture
def crowded(home: Path, psql: Psql, database_url: str) -> Iterator[str]:
    """The URL of a user who may have one connection at a time."""
    psql("CREATE ROLE crowded LOGIN CONNECTION LIMIT 1")
    yield embedded_postgres.url(home, "crowded", name_of(database_url))
    psql("DROP ROLE crowded")


def transfer(database: Database) -> None:
    with database.unchecked_transaction(5) as connection:
        connection.execute(text("SELECT 1"))


def hold_the_lock(database: Database) -> None:
    with model_lock(database, "m", wait=1):
        pass


@pytest.mark.parametrize("work", [transfer, hold_the_lock])
def test_a_connection_that_there_is_no_room_for_is_asked_for_until_the_time_is_up(
    crowded: str, work: Callable[[Database], None]
) -> None:
    with create_engine(crowded, poolclass=NullPool).connect():
        refusal = refused(lambda: work(Database(crowded, timeout=1.5)))
    assert (refusal.exit_code, refusal.message) == (6, "the database has had too many connections for 1.5 s")
    assert refusal.hint == "try again, or raise its max_connections"


@pytest.mark.parametrize("work", [transfer, hold_the_lock])
def test_a_connection_that_there_is_room_for_in_time_is_taken(crowded: str, work: Callable[[Database], None]) -> None:
    taken = create_engine(crowded, poolclass=NullPool).connect()
    threading.Timer(1, taken.close).start()
    work(Database(crowded, timeout=20))
    assert taken.closed


def test_a_database_that_refuses_for_another_reason_is_not_asked_again(home: Path) -> None:
    """If it were, this test would not end in an hour."""
    refused(lambda: transfer(Database(embedded_postgres.url(home, "nobody_here"), timeout=3600)))


@pytest.mark.parametrize(
    ("code", "message", "exit_code"),
    [
        ("53100", "the database's disk is full", 6),
        ("53300", "the database has too many connections", 6),
        ("57P03", "the database is starting or shutting down", 6),
        ("40P01", "the database broke a deadlock; nothing was changed", 6),
        ("40001", "another transaction was faster; nothing was changed", 6),
        ("3F000", "the database has no schema lockgate", 5),
    ],
)
def test_what_postgres_says_by_code_is_said_in_words(
    database: Database, code: str, message: str, exit_code: int
) -> None:
    """No disk is filled for this: a statement says what Postgres would."""
    refusal = refusal_of(
        database, f"DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '{code}'; END $$"
    )
    assert (refusal.message, refusal.exit_code) == (message, exit_code)
    assert refusal.hint


def test_mlflows_own_user_may_not_touch_our_schema(home: Path, database: Database, database_url: str) -> None:
    refusal = refusal_of(Database(embedded_postgres.url(home, "mlflow", name_of(database_url))))
    assert "the database role mlflow lacks a right" in str(refusal)


def test_a_slow_statement_is_given_up_in_time(database_url: str) -> None:
    refusal = refusal_of(Database(database_url, timeout=0.5), "SELECT pg_sleep(30)")
    assert (refusal.exit_code, refusal.message) == (6, "the database did not answer within 0.5 s")


def test_a_server_that_falls_silent_is_hung_up_on(database_url: str) -> None:
    """A stopped backend never reaches its own time limit."""
    stopped: list[int] = []
    try:
        with pytest.raises(Unavailable), Database(database_url, timeout=0.5).transaction() as connection:
            stopped.append(connection.scalar(text("SELECT pg_backend_pid()")) or 0)
            os.kill(stopped[0], signal.SIGSTOP)
            connection.execute(text("SELECT 1"))
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def test_a_backend_that_is_killed_is_unavailable(database: Database, psql: Psql) -> None:
    with pytest.raises(Unavailable) as refusal, database.transaction() as connection:
        psql(f"SELECT pg_terminate_backend({connection.scalar(text('SELECT pg_backend_pid()'))}, 5000)")
        connection.execute(text("SELECT 1"))
    assert refusal.value.exit_code == 6


def test_a_url_that_cannot_be_read_is_bad_configuration() -> None:
    with pytest.raises(BadConfiguration):
        Database("postgresql+nosuchdriver://db/x")


def test_an_exception_in_the_block_rolls_back(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction() as connection:
        connection.execute(text("CREATE TABLE lockgate.half (n int)"))
        _ = 1 / 0
    with database.transaction() as connection:
        assert connection.scalar(text("SELECT to_regclass('lockgate.half')")) is None


# --- behind a pooler -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "says",
    ["unsupported startup parameter: options", "unsupported startup parameter in options: statement_timeout"],
)
def test_a_pooler_that_refuses_our_time_limits_is_bad_configuration(says: str) -> None:
    """What pgbouncer answers to the first message of a session."""
    fields = b"".join(field.encode() + b"\0" for field in ("SFATAL", "C08P01", f"M{says}", ""))
    with closing(socket.create_server(("127.0.0.1", 0))) as pooler:
        threading.Thread(target=answer_once, args=(pooler, b"E" + struct.pack("!i", len(fields) + 4) + fields)).start()
        address = f"postgresql+psycopg2://ann@127.0.0.1:{pooler.getsockname()[1]}/x?sslmode=disable&gssencmode=disable"
        refusal = refusal_of(Database(address, timeout=5))
    assert (refusal.exit_code, refusal.hint) == (8, "let LOCKGATE_DATABASE_URL name Postgres itself")
    assert "refuses time limits" in refusal.message


def answer_once(pooler: socket.socket, answer: bytes) -> None:
    with pooler.accept()[0] as line:
        line.recv(1000)
        line.sendall(answer)


@pytest.fixture
def without_time_limits(database_url: str, psql: Psql) -> None:
    """Sessions lose the limit that they came with, as behind a pooler that ignores it."""
    psql(
        """
        CREATE FUNCTION forget() RETURNS event_trigger LANGUAGE plpgsql
            AS $$ BEGIN PERFORM set_config('statement_timeout', '0', false); END $$;
        CREATE EVENT TRIGGER forget ON login EXECUTE FUNCTION forget();
        """,
        name_of(database_url),
    )


def read_as_of_one_moment(database: Database) -> None:
    with database.one_moment():
        pass


def write(database: Database) -> None:
    with database.transaction():
        pass


@pytest.mark.usefixtures("without_time_limits")
@pytest.mark.parametrize("work", [write, read_as_of_one_moment, migrate])
def test_a_pooler_that_drops_our_time_limits_is_bad_configuration(
    database: Database, work: Callable[[Database], object]
) -> None:
    with pytest.raises(BadConfiguration, match="drops time limits") as refusal:
        work(database)
    assert refusal.value.hint == "let LOCKGATE_DATABASE_URL name Postgres itself"


@pytest.mark.parametrize("seconds", [0.5, 2.345, 10.0, 90.0, 3600.0])
def test_time_limits_of_any_length_are_found_in_force(database_url: str, seconds: float) -> None:
    with Database(database_url, timeout=seconds).transaction():
        pass


def test_the_lock_is_held_by_an_open_transaction_which_no_pooler_gives_to_others(
    database: Database, psql: Psql
) -> None:
    with model_lock(database, "m", wait=1) as holder:
        state = psql(f"SELECT state FROM pg_stat_activity WHERE pid = {holder}")
        kept = psql(f"SELECT count(*) FROM pg_locks WHERE pid = {holder} AND locktype = 'advisory' AND granted")
    assert (state.strip(), kept.strip()) == ("idle in transaction", "1")


# --- the lock of a model ---------------------------------------------------------------------------------------------


def test_the_waiter_learns_who_holds_the_lock_and_for_how_long(database: Database, database_url: str) -> None:
    with model_lock(database, "m", wait=1):
        with pytest.raises(StateConflict) as refusal, model_lock(Database(database_url), "m", wait=0.2):
            raise AssertionError("two holders")
        assert f"m is locked by lockgate pid {os.getpid()} on {socket.gethostname()}"[:60] in str(refusal.value)
        assert ", for 0 s" in str(refusal.value)


def test_a_lock_that_somebody_holds_by_hand_is_told_as_well(database_url: str) -> None:
    """From psql, outside of any transaction: Postgres knows no beginning of it."""
    with create_engine(database_url, isolation_level="AUTOCOMMIT").connect() as by_hand:
        by_hand.execute(text("SELECT pg_advisory_lock(hashtextextended('lockgate.model:m', 0))"))
        waiting = model_lock(Database(database_url), "m", wait=0.2)
        with pytest.raises(StateConflict, match=r"m is locked by a session of lockgate, for \d+ s"), waiting:
            pass


def test_locks_of_two_models_do_not_meet(database: Database, database_url: str) -> None:
    with model_lock(database, "m", wait=1), model_lock(Database(database_url), "n", wait=1):
        pass


def test_a_lock_is_free_again_after_its_block_and_after_a_failure_in_it(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), model_lock(database, "m", wait=1):
        _ = 1 / 0
    with model_lock(database, "m", wait=0.2):
        pass


def test_a_lock_may_be_held_longer_than_any_time_limit(database_url: str) -> None:
    with model_lock(Database(database_url, timeout=0.5), "m", wait=0.5):
        time.sleep(2)


def test_the_lock_lets_one_in_at_a_time(database_url: str) -> None:
    inside, most = 0, 0
    guard = threading.Lock()

    def enter(_: int) -> None:
        nonlocal inside, most
        with model_lock(Database(database_url), "m", wait=10):
            with guard:
                inside += 1
                most = max(most, inside)
            time.sleep(0.02)
            with guard:
                inside -= 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(enter, range(6)))
    assert most == 1
