"""One model's two sides of the truth: Postgres, asked directly, and the MLflow server, only when it is needed."""

import getpass
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate.database import intents, ledger
from lockgate.database import versions as database_versions
from lockgate.database.connection import Database
from lockgate.database.intents import Intent
from lockgate.errors import LockgateError
from lockgate.lifecycle import moves
from lockgate.lifecycle.moves import Entry, Move, Registered, Roster, Stage
from lockgate.system import service_urls, timeouts
from lockgate.system.service_urls import Addresses

if TYPE_CHECKING:
    from lockgate.registry.client import Registry


@dataclass(frozen=True)
class Backend:
    """Where a model lives, who is acting on it, how long a dead server is waited for, whose signatures count."""

    model: str
    where: Addresses
    database: Database
    actor: str
    timeout: float
    trusted_keys: tuple[str, ...] = ()

    @classmethod
    def here(cls, model: str, timeout: float | None = None, trusted_keys: Iterable[str] = ()) -> "Backend":
        """The backend of the working directory and the environment. Nothing is connected yet.

        Who acts is LOCKGATE_ACTOR, else the user who is logged in. Where no timeout is given, it is LOCKGATE_TIMEOUT
        or the usual one. The trusted keys are those of params.yaml.
        """
        found = service_urls.find(Path.cwd())
        actor = os.environ.get("LOCKGATE_ACTOR") or getpass.getuser()
        seconds = timeouts.of_one_call() if timeout is None else timeout
        return cls(model, found, Database(found.database_url, seconds), actor, seconds, tuple(trusted_keys))

    def registry(self) -> "Registry":
        """The MLflow side. Importing mlflow takes seconds, so commands that read Postgres alone never come here."""
        from lockgate.registry.client import Registry

        return Registry(self.where, self.model, self.timeout)

    def roster(self, at: datetime | None = None) -> Roster:
        """All versions as they stand now, and their past up to a moment (up to now without one); no move half seen."""
        with self.database.one_moment():
            rows = database_versions.stages(self.database, self.model)
            past = [_entry(row) for row in ledger.read(self.database, self.model, at)]
        versions = [Registered(row.version, Stage(row.stage), row.bundle_digest) for row in rows]
        return Roster(self.model, versions, past)

    def intent(self, move: Move, reason: str) -> Intent:
        """The move, with who makes it and why."""
        return Intent(self.model, move.version, move.from_stage, move.to_stage, self.actor, reason, move.command)

    @contextmanager
    def alone(self) -> Iterator["Hold"]:
        """Hold the model: no other command moves its versions meanwhile. Raises StateConflict, naming who holds it."""
        with self.database.lock(self.model, wait=self.timeout) as holder:
            yield Hold(self, holder)


@dataclass(frozen=True)
class Hold:
    """The model, held: the one way to move its versions. `holder` is the database session that has the lock."""

    backend: Backend
    holder: int

    def carry_out(self, move: Move, reason: str) -> int:
        """Make the move that was decided: say who and why, then ask MLflow for one transition; the intent's number.

        The trigger writes the ledger row in MLflow's transaction, where the guard may refuse. If the reply is
        lost, it is no failure so long as the move was made. If somebody past us made it first, MLflow finds nothing
        to do and says so to nobody: that is a StateConflict, since the ledger has it in their name.
        """
        backend = self.backend
        registry = backend.registry()
        number = intents.open_intent(backend.database, backend.intent(move, reason), self.holder)
        try:
            registry.move(move.version, move.to_stage)
        except LockgateError:
            if not intents.is_consumed(backend.database, number):
                intents.withdraw_intent(backend.database, number)
                raise
        if not intents.is_consumed(backend.database, number):
            intents.withdraw_intent(backend.database, number)
            raise moves.outrun(backend.roster(), move)
        return number


def _entry(row: ledger.LedgerRow) -> Entry:
    return Entry(row.version, Stage(row.from_stage), Stage(row.to_stage), row.command, row.actor, row.at)
