"""Interrupted transactions: ended sessions, deadlocks, lost answers and restarts are repeated or found out about."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import text

from lockgate.database import guard
from lockgate.database.connection import Database, with_retries
from lockgate.database.model_lock import model_lock
from lockgate.errors import DatabaseInterrupted, Unavailable
from lockgate.operations import status
from lockgate.operations.workspace import Workspace
from lockgate.stack import embedded_postgres
from lockgate.system.service_urls import Addresses

Psql = Callable[..., str]


def name_of(database_url: str) -> str:
    return database_url.split("@/")[1].split("?")[0]


@with_retries
def add(database: Database, row: str) -> None:
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO public.rows VALUES (:row)"), {"row": row})


def rows(psql: Psql, database_url: str) -> list[str]:
    return psql("SELECT row FROM public.rows", name_of(database_url)).split()


@pytest.fixture
def table(psql: Psql, database_url: str) -> None:
    psql("CREATE TABLE public.rows (row text)", name_of(database_url))


@pytest.mark.usefixtures("table")
def test_a_transaction_whose_session_is_ended_is_repeated(database: Database, psql: Psql, database_url: str) -> None:
    sessions = []

    @with_retries
    def add_and_lose_the_session_once(database: Database) -> str:
        with database.transaction() as connection:
            connection.execute(text("INSERT INTO public.rows VALUES ('a')"))
            sessions.append(connection.scalar(text("SELECT pg_backend_pid()")))
            if len(sessions) == 1:
                psql(f"SELECT pg_terminate_backend({sessions[0]}, 5000)")
            return str(connection.scalar(text("SELECT 'done'")))

    assert add_and_lose_the_session_once(database) == "done"
    assert len(set(sessions)) == 2
    assert rows(psql, database_url) == ["a"]


@pytest.mark.usefixtures("table")
def test_a_session_that_is_ended_in_its_commit_has_changed_nothing_and_is_repeated(
    database: Database, psql: Psql, database_url: str
) -> None:
    psql(
        """
        CREATE SEQUENCE public.commits;
        CREATE FUNCTION public.end_first() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('public.commits') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON public.rows DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION public.end_first();
        GRANT ALL ON SEQUENCE public.commits TO public;
        """,
        name_of(database_url),
    )
    add(database, "a")
    assert rows(psql, database_url) == ["a"]
    assert psql("SELECT last_value FROM public.commits", name_of(database_url)).strip() == "2"


@pytest.fixture
def losing_commits(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[bytes]]]:
    """A socket before Postgres that loses the answer to the first COMMIT; gives its folder and what it lost."""
    folder, lost = tmp_path_factory.mktemp("s"), []
    server = str(embedded_postgres.socket_folder(home) / ".s.PGSQL.5432")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / ".s.PGSQL.5432"))
    listening.listen()

    def relay(client: socket.socket) -> None:
        postgres = socket.socket(socket.AF_UNIX)
        postgres.connect(server)
        with client, postgres, suppress(OSError):
            threading.Thread(target=backwards, args=(postgres, client), daemon=True).start()
            while message := client.recv(65536):
                if b"COMMIT" in message and not lost:
                    lost.append(message)
                postgres.sendall(message)

    def backwards(postgres: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while message := postgres.recv(65536):
                if len(lost) == 1:
                    lost.append(message)
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(message)
            client.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=relay, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield folder, lost
    listening.close()


@pytest.mark.usefixtures("table")
def test_a_commit_whose_answer_is_lost_is_not_repeated(
    losing_commits: tuple[Path, list[bytes]], psql: Psql, database_url: str
) -> None:
    folder, lost = losing_commits
    add(Database(f"{database_url.partition('?')[0]}?host={folder}"), "a")
    assert len(lost) == 2
    assert rows(psql, database_url) == ["a"]


@pytest.mark.usefixtures("table")
def test_of_two_transactions_in_a_deadlock_both_end_well(database_url: str, psql: Psql) -> None:
    psql("INSERT INTO public.rows VALUES ('a'), ('b')", name_of(database_url))
    both_hold_one_row, tries = threading.Barrier(2), []

    @with_retries
    def update(database: Database, first: str, second: str) -> None:
        tries.append(first)
        with database.transaction() as connection:
            statement = text("UPDATE public.rows SET row = row WHERE row = :row")
            connection.execute(statement, {"row": first})
            if tries.count(first) == 1:
                both_hold_one_row.wait(60)
            connection.execute(statement, {"row": second})

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda pair: update(Database(database_url, 60), *pair), ["ab", "ba"]))
    assert len(tries) == 3


@pytest.mark.usefixtures("table")
def test_a_serialization_failure_is_repeated(database: Database, database_url: str, psql: Psql) -> None:
    psql("INSERT INTO public.rows VALUES ('1')", name_of(database_url))
    tries = []

    @with_retries
    def increase(database: Database) -> None:
        with database.transaction() as connection:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            number = int(connection.scalar(text("SELECT row FROM public.rows")) or 0)
            tries.append(number)
            if len(tries) == 1:
                psql("UPDATE public.rows SET row = '10'", name_of(database_url))
            connection.execute(text("UPDATE public.rows SET row = :row"), {"row": str(number + 1)})

    with database.transaction():
        pass  # the check of the schema, once for each Database, is a query: the isolation level comes before any
    increase(database)
    assert tries == [1, 10]
    assert rows(psql, database_url) == ["11"]


def test_interruptions_without_end_are_given_up_when_the_time_is_up(database_url: str) -> None:
    tries = []

    @with_retries
    def interrupted(database: Database) -> None:
        tries.append(database)
        with database.transaction() as connection:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(Unavailable) as refusal:
        interrupted(Database(database_url, timeout=1))
    assert len(tries) > 1
    assert refusal.value.exit_code == 6


def test_a_refusal_is_not_repeated(database: Database) -> None:
    tries = []

    @with_retries
    def refused(database: Database) -> None:
        tries.append(database)
        with database.transaction() as connection:
            connection.execute(text("SELECT 1 / 0"))

    with pytest.raises(Exception, match="division by zero"):
        refused(database)
    assert len(tries) == 1


def test_a_read_in_a_lost_moment_is_left_to_whoever_repeats_the_moment(database: Database, psql: Psql) -> None:
    @with_retries
    def one(database: Database) -> int:
        with database.transaction() as connection:
            return int(connection.scalar(text("SELECT pg_backend_pid()")) or 0)

    sessions = []

    def two_reads() -> None:
        with database.one_moment():
            sessions.append(one(database))
            if len(sessions) == 1:
                psql(f"SELECT pg_terminate_backend({sessions[0]}, 5000)")
            assert one(database) == sessions[-1]

    database.repeat(two_reads)
    assert len(set(sessions)) == 2
    with pytest.raises(DatabaseInterrupted), database.one_moment():
        psql(f"SELECT pg_terminate_backend({one(database)}, 5000)")
        one(database)


def test_a_status_is_read_again_when_its_session_was_ended(
    database: Database, database_url: str, psql: Psql, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = []
    look = guard.status

    def end_first(database: Database) -> guard.Guard:
        with database.transaction() as connection:
            sessions.append(connection.scalar(text("SELECT pg_backend_pid()")))
        if len(sessions) == 1:
            psql(f"SELECT pg_terminate_backend({sessions[0]}, 5000)")
        return look(database)

    monkeypatch.setattr(guard, "status", end_first)
    where = Workspace("m", Addresses("http://127.0.0.1:9", database_url), database, "anna", 5.0)
    assert status.status(where).broken == ()
    assert len(set(sessions)) == 2


def test_the_work_under_a_lock_stands_when_the_session_of_the_lock_was_ended(database: Database, psql: Psql) -> None:
    with model_lock(database, "m", wait=1) as holder:
        psql(f"SELECT pg_terminate_backend({holder}, 5000)")
    with model_lock(database, "m", wait=1) as next_holder:
        assert next_holder != holder


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[Path]:
    """The `.lockgate` of a Postgres that this test alone may stop."""
    home = tmp_path / ".lockgate"
    (home / "logs").mkdir(parents=True)
    embedded_postgres.start(home, time.monotonic() + 120)
    yield home
    embedded_postgres.stop(home, 60)


def test_a_restart_of_postgres_is_waited_for(own_postgres: Path) -> None:
    database = Database(embedded_postgres.url(own_postgres, embedded_postgres.OWNER, "postgres"), timeout=60)

    def server_started_at() -> str:
        with database.unchecked_transaction(60) as connection:
            return str(connection.scalar(text("SELECT pg_postmaster_start_time()")))

    before = database.repeat(server_started_at)
    assert embedded_postgres.stop(own_postgres, 60)
    restart = threading.Thread(target=embedded_postgres.start, args=(own_postgres, time.monotonic() + 120))
    restart.start()
    assert database.repeat(server_started_at) != before
    restart.join()
