"""The scene of a run: a stack of its own in a temporary folder, models on it, bundles for them, and the witness."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg2
import yaml

from chaos import bundles
from chaos.witness import Witness
from lockgate.database.connection import Database
from lockgate.operations.stage_files import Build
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import Params
from lockgate.stack import embedded_postgres, mlflow_server, up_down
from lockgate.system import service_urls
from lockgate.system.service_urls import Addresses

START_SECONDS = 120.0
FOREIGN = 3  # models that were trained elsewhere
WORK_SECONDS = 6.0  # what an operation may wait for a dead server


@dataclass(frozen=True)
class Place:
    """What an actor needs to know: plain values, handed to other processes. `where` is what clients are told."""

    folder: Path
    where: Addresses
    problems: tuple[str, ...]
    builds: tuple[Build, ...]
    foreign: tuple[Path, ...]

    @property
    def home(self) -> Path:
        """The stack's own folder."""
        return self.folder / service_urls.STATE_FILE.parent

    @property
    def journals(self) -> Path:
        """One file for each process that acts or sees."""
        return self.folder / "journals"

    def params(self, problem: str) -> Params:
        """What params.yaml says for the problem."""
        return bundles.params(problem)

    def backend(self, problem: str, actor: str, timeout: float = WORK_SECONDS) -> Workspace:
        """As `Workspace.here`, for this problem and actor."""
        database = Database(self.where.database_url, timeout)
        return Workspace(self.params(problem).model_name, self.where, database, actor, timeout)

    def sql(self, role: str = embedded_postgres.OWNER) -> Any:
        """A connection straight to Postgres, past all of Lockgate; each statement is a transaction."""
        socket = str(embedded_postgres.socket_folder(self.home))
        connection = psycopg2.connect(
            host=socket, port=embedded_postgres.PORT, user=role, dbname=embedded_postgres.DATABASE,
            options="-c statement_timeout=20000",
        )  # fmt: skip
        connection.autocommit = True
        return connection


@dataclass
class Scene:
    """A running stack with a witness."""

    place: Place
    port: int
    witness: Witness = field(default_factory=Witness)

    def at(self, where: Addresses, *problems: str) -> Place:
        """The same place for other problems, reached by another way (through the proxy, for one)."""
        for problem in problems:
            write_params(self.place.folder / problem, self.place.params(problem))
        return replace(self.place, where=where, problems=problems)

    def for_problem(self, problem: str) -> Place:
        """The place with one problem that nobody else has, reached without a proxy."""
        return self.at(self.place.where, problem)

    def revive(self) -> None:
        """Bring back what a fault has killed, on the same port."""
        up_down.up(self.place.folder, port=self.port, timeout=START_SECONDS, tell=lambda _: None)

    def hear(self) -> None:
        """Let the witness say what it has seen since the last time."""
        with self.asking() as connection:
            self.witness.hear(connection)

    @contextmanager
    def asking(self) -> Iterator[Any]:
        """A connection as the owner, for a moment."""
        connection = self.place.sql()
        try:
            yield connection
        finally:
            connection.close()


@contextmanager
def opened(folder: Path, count: int) -> Iterator[Scene]:
    """A stack that lives as long as the block, with that many bundles."""
    builds = bundles.make(folder / "bundles", count)
    foreign = bundles.make_foreign(folder / "foreign", FOREIGN)
    home = folder.resolve() / service_urls.STATE_FILE.parent
    try:
        _make_postgres_tell_all(home)
        where = up_down.up(folder, timeout=START_SECONDS, tell=lambda _: None)
        place = Place(folder.resolve(), where, (), tuple(builds), tuple(foreign))
        place.journals.mkdir()
        scene = Scene(place, int(where.tracking_uri.rpartition(":")[2]))
        with scene.asking() as connection:
            scene.witness.call_in(connection)
        yield scene
    finally:
        mlflow_server.stop(home, 0.5)
        up_down.down(folder, tell=lambda _: None)


def write_params(folder: Path, params: Params) -> None:
    """A folder in which the command line finds this problem in force."""
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params.model_dump()))


def _make_postgres_tell_all(home: Path) -> None:
    """The log holds whole rows only if the server starts with this setting; `up` starts it again as it finds it."""
    home.mkdir(mode=0o700, parents=True)
    for folder in (home / "logs", home / "artifacts"):
        folder.mkdir(mode=0o700)
    deadline = time.monotonic() + START_SECONDS
    embedded_postgres.start(home, deadline)
    embedded_postgres.psql(home, "ALTER SYSTEM SET wal_level = logical", "postgres", deadline)
    embedded_postgres.stop(home, patience=START_SECONDS)
