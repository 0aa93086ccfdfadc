"""The process that moves a spool to Postgres: its work takes no time from answers. It lives as long as its server.

It also moves what servers that are gone have left in the spools beside its own.

The server holds one end of a pipe. The process ends when that end is closed: by the server when it stops, or by the
operating system when the server was killed. Whatever it was doing then may be done again by another.
"""

import multiprocessing
import os
import signal
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any

from lockgate.database.connection import Database
from lockgate.errors import LockgateError, Unavailable
from lockgate.operations import drain_log, leftover_predictions
from lockgate.prediction_log import own_spool
from lockgate.prediction_log.spool import Spool
from lockgate.serving.messages import report_bug, tell

PAUSE_SECONDS = 1.0  # between two drains
LONGEST_PAUSE = 15.0  # while Postgres is away
LEFT_SECONDS = 60.0  # between two looks at spools that no server has
STOP_SECONDS = 1.0  # for the batch that is on its way when the server stops
PRIORITY = 5  # answers come first where processors are few
PROCESSES = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Way:
    """The folder of a spool, and the Postgres to which it is moved; `pooled`: its address is that of a pooler."""

    spool: Path
    database_url: str
    timeout: float
    pooled: bool = False

    def database(self) -> Database:
        """The database, with connections that stay open."""
        return Database(self.database_url, self.timeout, keep_connections=True, pooled=self.pooled)


@dataclass
class Drain:
    """The process of one spool."""

    way: Way
    _process: Any = None
    _held: Connection | None = None

    def keep_running(self) -> None:
        """Start the process, or start it again if it ended."""
        if self._process and self._process.is_alive():
            return
        if self._process:
            tell(f"warning: the drain of the prediction log ended with {self._process.exitcode}; it is started again")
            self.stop()
        held, given = PROCESSES.Pipe()
        self._process = PROCESSES.Process(target=_run, args=(self.way, held), name="drain", daemon=True)
        self._process.start()
        held.close()
        self._held = given

    def stop(self) -> None:
        """End the process, at the latest after STOP_SECONDS."""
        if self._held and self._process:
            self._held.close()
            self._process.join(STOP_SECONDS)
            self._process.kill()
            self._process.join()


def _run(way: Way, server: Connection) -> None:
    """Drain again and again until the server is gone."""
    for each in (signal.SIGINT, signal.SIGTERM):  # they reach all processes of a terminal or a service
        signal.signal(each, signal.SIG_IGN)
    os.nice(PRIORITY)
    drained, pause = _Drained(way), PAUSE_SECONDS
    while not server.poll(pause):
        pause = PAUSE_SECONDS if drained.once() else min(2 * pause, LONGEST_PAUSE)


@dataclass
class _Drained:
    way: Way
    _away: str = ""
    _look_at: float = 0.0
    _unread: set[Path] = field(default_factory=set)  # spools of others that could not be moved, as was said
    _open: tuple[Spool, Database] | None = field(default=None)

    def once(self) -> bool:
        """Move what is in the spool now; whether that succeeded."""
        try:
            drain_log.drain(*self._opened())
        except LockgateError as refusal:
            self._say(refusal)
            return False
        except Exception as bug:  # noqa: BLE001 - the spool keeps the requests
            report_bug(bug)
            return False
        if self._away:
            tell("the prediction log is in Postgres again")
            self._away = ""
        if monotonic() >= self._look_at:
            self._look_at = monotonic() + LEFT_SECONDS
            self._move_left()
        return True

    def _move_left(self) -> None:
        """Move what servers that are gone have left in the spools beside this one."""
        spools = self.way.spool.parent
        try:
            for folder in own_spool.left(spools):
                self._move(folder)
        except LockgateError as refusal:
            self._say_left(spools, refusal)
        except Exception as bug:  # noqa: BLE001 - the spools keep the requests
            report_bug(bug)

    def _move(self, folder: Path) -> None:
        _, database = self._opened()
        try:
            leftover_predictions.refuse_foreign([folder], database)
            with closing(Spool(folder)) as spool:
                moved = drain_log.drain(spool, database)
        except LockgateError as refusal:
            self._say_left(folder, refusal)
        else:
            if moved.records:
                tell(f"{moved.rows} predictions that another server left in {folder} are in Postgres now")

    def _say_left(self, folder: Path, refusal: LockgateError) -> None:
        if folder not in self._unread:
            tell(f"warning: predictions that another server left stay in {folder}: {refusal}")
        self._unread.add(folder)

    def _opened(self) -> tuple[Spool, Database]:
        if self._open is None:
            self._open = Spool(self.way.spool), self.way.database()
        return self._open

    def _say(self, refusal: LockgateError) -> None:
        if self._away != str(refusal):
            kept = "Postgres is away" if isinstance(refusal, Unavailable) else "the log cannot be moved to Postgres"
            tell(f"warning: {kept}: {refusal}; predictions stay in {self.way.spool}")
        self._away = str(refusal)
