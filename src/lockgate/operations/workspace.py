"""The workspace of a command: one model, its Postgres, its MLflow server, and the lock under which versions move."""

import getpass
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lockgate.database import intents, ledger
from lockgate.database import versions as database_versions
from lockgate.database.connection import Database
from lockgate.database.intents import Intent
from lockgate.database.ledger import LedgerRow
from lockgate.database.model_lock import model_lock
from lockgate.errors import LockgateError
from lockgate.lifecycle import moves
from lockgate.lifecycle.model_state import Entry, ModelState, Registered
from lockgate.lifecycle.moves import Move
from lockgate.lifecycle.stages import Stage
from lockgate.system import service_urls, timeouts
from lockgate.system.service_urls import Addresses

if TYPE_CHECKING:
    from lockgate.registry.client import Registry


class VersionStore(Protocol):
    """What a move of a version needs of MLflow: one transition, and the files of a version."""

    def move(self, version: int, stage: str) -> None:
        """Make one transition; a version in the target stage is archived in the same transaction of MLflow."""

    def download(self, version: int, folder: Path) -> None:
        """Download the files of a version into a folder; no file is opened."""


@dataclass(frozen=True)
class Workspace:
    """One model, the addresses of its services, the user who acts, the time limit of a call, and the trusted keys.

    `home` is the folder of local files, such as the verified copy; without it, none are kept. `reached_by` reaches the
    MLflow server in another way than its client: inside the server itself, with the rights of the user who asks.
    """

    model: str
    addresses: Addresses
    database: Database
    actor: str
    timeout: float
    trusted_keys: tuple[str, ...] = ()
    home: Path | None = None
    reached_by: "Callable[[str], VersionStore] | None" = None

    @classmethod
    def here(
        cls, model: str, timeout: float | None = None, trusted_keys: Iterable[str] = (), *, even_stopped: bool = False
    ) -> "Workspace":
        """The workspace of the working directory and the environment. Nothing is connected yet.

        Without a timeout, LOCKGATE_TIMEOUT or its default holds. The trusted keys are those of params.yaml. Raises
        Unavailable if the local stack is stopped, unless `even_stopped`.
        """
        addresses = service_urls.find(Path.cwd(), even_stopped=even_stopped)
        seconds = timeouts.of_one_call() if timeout is None else timeout
        database = Database(addresses.database_url, seconds)
        home = service_urls.stack_folder(Path.cwd()) / service_urls.STATE_FILE.parent
        return cls(model, addresses, database, actor_here(), seconds, tuple(trusted_keys), home)

    def hurried(self, of_database: float, of_registry: float) -> "Workspace":
        """The same workspace with shorter time limits of one call, in seconds."""
        database = Database(self.addresses.database_url, min(self.timeout, of_database))
        return replace(self, database=database, timeout=min(self.timeout, of_registry))

    def log_database(self) -> Database:
        """The database of the prediction log, through the pooler of LOCKGATE_LOG_DATABASE_URL if there is one."""
        url = self.addresses.log_url
        return Database(url, self.timeout, pooled=True) if url else self.database

    def of_replica(self) -> "Workspace":
        """The workspace whose database is the replica of LOCKGATE_READ_DATABASE_URL: for reports alone.

        No gate and no move reads there, because a replica may be behind. Without a replica, the same workspace.
        """
        if not self.addresses.read_url:
            return self
        addresses = replace(self.addresses, database_url=self.addresses.read_url, read_url="")
        return replace(self, addresses=addresses, database=Database(addresses.database_url, self.timeout))

    def registry(self) -> "Registry":
        """The client of the MLflow server, after a check that the server is the one of this database.

        Importing mlflow takes seconds: commands that read Postgres alone do not call this.
        """
        from lockgate.registry.client import Registry

        registry = Registry(self.addresses, self.model, self.timeout)
        registry.recognise(self.database.mlflow_created())
        return registry

    def version_store(self) -> VersionStore:
        """Where versions are moved and fetched: the client of the MLflow server, unless it is reached otherwise."""
        return self.reached_by(self.model) if self.reached_by else self.registry()

    def state(self, at: datetime | None = None) -> ModelState:
        """All versions with their present stages, and the ledger up to `at` or the whole ledger, as of one moment."""
        rows, past = self.database.read_one_moment(
            lambda: (database_versions.stages(self.database, self.model), ledger.read(self.database, self.model, at))
        )
        versions = [Registered(row.version, Stage(row.stage), row.bundle_digest) for row in rows]
        return ModelState(self.model, versions, [_entry(row) for row in past])

    def intent(self, move: Move, reason: str) -> Intent:
        """The intent of this user to make the move, with the reason."""
        return Intent(self.model, move.version, move.from_stage, move.to_stage, self.actor, reason, move.command)

    @contextmanager
    def lock(self) -> Iterator["ModelLock"]:
        """Lock the model: no other command moves its versions in the block.

        Raises StateConflict, naming the session that has the lock, when the time limit is over.
        """
        with model_lock(self.database, self.model, wait=self.timeout) as holder:
            yield ModelLock(self, holder)


@dataclass(frozen=True)
class ModelLock:
    """The lock on a model: the only way to move its versions. `holder` is the database session that has the lock."""

    workspace: Workspace
    holder: int

    def carry_out(self, move: Move, reason: str) -> int:
        """Record the intent, ask MLflow for one transition, return the number of the intent.

        The trigger writes the ledger row in MLflow's transaction, where the guard may refuse. When the reply is lost,
        the intent decides: a consumed intent means that the move was made. When another client made the same move
        first, MLflow reports success without a change: a StateConflict, because the ledger has the other client's name.
        """
        workspace = self.workspace
        store = workspace.version_store()
        number = intents.open_intent(workspace.database, workspace.intent(move, reason), self.holder)
        try:
            store.move(move.version, move.to_stage)
        except LockgateError:
            if not intents.is_consumed(workspace.database, number):
                intents.withdraw_intent(workspace.database, number)
                raise
        if not intents.is_consumed(workspace.database, number):
            intents.withdraw_intent(workspace.database, number)
            raise moves.concurrent_move(workspace.state(), move)
        return number


def actor_here() -> str:
    """LOCKGATE_ACTOR, or the name of the user who is logged in; in a container, a user id may have no name."""
    if named := os.environ.get("LOCKGATE_ACTOR", "").strip():
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _entry(row: LedgerRow) -> Entry:
    return Entry(row.version, Stage(row.from_stage), Stage(row.to_stage), row.command, row.actor, row.at)
