"""What strikes while the workers work. A new fault is a context manager and its line in FAULTS: on entry it begins,
after the block it is over. All of them are drawn, shuffled, before any comes again; the long ones in every third round.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any

import psutil
import psycopg2

from chaos.crew import Crew
from chaos.proxy import Mood, Proxy
from chaos.scene import Scene
from lockgate.stack import embedded_postgres, mlflow_server


@dataclass(frozen=True)
class Target:
    """Everything that can be hurt."""

    scene: Scene
    proxy: Proxy
    crew: Crew
    dice: Random

    def model(self) -> str:
        place = self.crew.place
        return place.params(self.dice.choice(place.problems)).model_name


Fault = Callable[[Target], AbstractContextManager[None]]


def proxy(mood: Mood) -> Fault:
    """A share of what passes between clients and the MLflow server suffers."""

    @contextmanager
    def fault(target: Target) -> Iterator[None]:
        target.proxy.mood = mood
        yield
        target.proxy.mood = Mood.HONEST

    return fault


@contextmanager
def mlflow_silent(target: Target) -> Iterator[None]:
    """The MLflow server is stopped in the middle of what it does, and goes on later."""
    with stopped(mlflow_server.running(target.scene.place.home)):
        yield


@contextmanager
def mlflow_killed(target: Target) -> Iterator[None]:
    """The MLflow server is gone, and is started again."""
    kill(mlflow_server.running(target.scene.place.home))
    yield
    target.scene.revive()


@contextmanager
def postgres_silent(target: Target) -> Iterator[None]:
    """Postgres is stopped, with all of its sessions, and goes on later."""
    with stopped(postgres(target.scene)):
        yield


@contextmanager
def postgres_killed(target: Target) -> Iterator[None]:
    """Postgres is gone without a word, and recovers from its log."""
    kill(postgres(target.scene))
    yield
    target.scene.revive()


@contextmanager
def session_killed(target: Target) -> Iterator[None]:
    """One session of Postgres is killed, so that its server throws out all others and starts over."""
    sessions = [each for each in postgres(target.scene) if _is_session(each)]
    kill(target.dice.sample(sessions, k=min(1, len(sessions))))
    yield


@contextmanager
def sessions_ended(target: Target) -> Iterator[None]:
    """All sessions of clients are ended, as an administrator does."""
    _ask(
        target,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
    )
    yield


@contextmanager
def read_only(target: Target) -> Iterator[None]:
    """The database takes no writes, as a standby."""
    _ask(target, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        _ask(target, "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")


@contextmanager
def lock_held(target: Target) -> Iterator[None]:
    """Somebody holds a model's lock and does nothing; if a command holds it all the time, that one does."""
    with _asking(target) as cursor:
        cursor.execute("SET lock_timeout = '3s'")
        with suppress(psycopg2.errors.LockNotAvailable):
            cursor.execute("SELECT pg_advisory_lock(hashtextextended('lockgate.model:' || %s, 0))", [target.model()])
        yield


@contextmanager
def worker_killed(target: Target) -> Iterator[None]:
    """A worker dies wherever it is."""
    target.crew.kill_one(target.dice)
    yield


FAULTS: dict[str, Fault] = {
    "replies lost": proxy(Mood.LOSES_REPLIES),
    "replies held back": proxy(Mood.SLOW),
    "requests swallowed": proxy(Mood.SILENT),
    "MLflow silent": mlflow_silent,
    "MLflow killed": mlflow_killed,
    "Postgres silent": postgres_silent,
    "Postgres killed": postgres_killed,
    "session killed": session_killed,
    "sessions ended": sessions_ended,
    "database read-only": read_only,
    "lock held": lock_held,
    "worker killed": worker_killed,
    "another worker killed": worker_killed,
}
# Whoever looked at something before one of these may act on it after it.
PAUSES = {"MLflow silent", "Postgres silent", "replies held back", "requests swallowed", "lock held"}
LONG = {"MLflow killed"}  # it takes many seconds to start again, in which nothing else can be seen
EVERY_NTH_IS_LONG = 3  # round of the deck
RECOVERY_SECONDS = 30.0


def deck(dice: Random, without: frozenset[str]) -> Iterator[str]:
    """The names of the faults, without end."""
    for number in count():
        skipped = without if number % EVERY_NTH_IS_LONG == 0 else without | LONG
        names = sorted(FAULTS.keys() - skipped)
        yield from dice.sample(names, k=len(names))


def postgres(scene: Scene) -> list[psutil.Process]:
    """The Postgres server and all its sessions."""
    server = embedded_postgres.running(scene.place.home)
    return [server, *server.children(recursive=True)] if server else []


@contextmanager
def stopped(processes: list[psutil.Process]) -> Iterator[None]:
    for process in processes:
        _send(process, signal.SIGSTOP)
    yield
    for process in processes:
        _send(process, signal.SIGCONT)


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        _send(process, signal.SIGKILL)


def _send(process: psutil.Process, number: int) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _is_session(process: psutil.Process) -> bool:
    """Whether it serves a client. The server itself names a folder that is called as the database is."""
    with suppress(psutil.NoSuchProcess):
        words = " ".join(process.cmdline())
        return words.startswith("postgres: ") and f" {embedded_postgres.DATABASE} " in words and "wal" not in words
    return False


def _ask(target: Target, *statements: str) -> None:
    """By an administrator whose own session may write."""
    with _asking(target) as cursor:
        cursor.execute("SET default_transaction_read_only = off")
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def _asking(target: Target) -> Iterator[Any]:
    """A session of ours; Postgres may still be recovering from the fault before."""
    until = time.monotonic() + RECOVERY_SECONDS
    connection = None
    while connection is None:
        try:
            connection = target.scene.place.sql()
        except psycopg2.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()
