"""One process of the server: opens the version, then the port, and answers until a signal stops it."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import uvicorn

from lockgate.database.connection import Database
from lockgate.errors import StateConflict
from lockgate.operations.answering_version import DEFAULT_TERMS, FallbackTerms
from lockgate.operations.workspace import Workspace
from lockgate.prediction_log.spool import Spool
from lockgate.serving import live_version
from lockgate.serving.board import Board, Routes
from lockgate.serving.connection import Connection
from lockgate.serving.follow import Followed, Follower
from lockgate.serving.limits import Limits
from lockgate.serving.log import Log
from lockgate.serving.log import folder_of as log_folder
from lockgate.serving.messages import tell
from lockgate.serving.metrics import Metrics
from lockgate.serving.pages import pages
from lockgate.serving.protocol import Application
from lockgate.serving.scorer import Scorer
from lockgate.serving.server_state import Server
from lockgate.serving.shadow import Shadow

STOP_SECONDS = 20  # for requests in flight
BACKLOG = 2048


@dataclass(frozen=True)
class Settings:
    """What to serve, where, and whether predictions are logged.

    `spools` is the folder of the logs. `share` is that of the canary in percent, set at the start; None leaves it.
    """

    host: str
    port: int
    spools: Path
    followed: Followed
    share: int | None = None
    with_log: bool = True
    fallback: FallbackTerms = DEFAULT_TERMS
    worker: int = 1
    limits: Limits = field(default_factory=Limits)


def serve(workspace: Workspace, settings: Settings) -> signal.Signals:
    """Serve until a signal stops the process, and return the signal.

    Raises StateConflict if no version is in the stage or the port is taken, Unavailable or IntegrityBroken if the
    version cannot be loaded. The port opens when the version is ready.
    """
    with bound(settings) as listener:
        return answer(workspace, settings, listener, lambda: None)


def answer(
    workspace: Workspace, settings: Settings, listener: socket.socket, is_ready: Callable[[], None]
) -> signal.Signals:
    """As `serve`, at a socket that is bound; `is_ready` is called when the port is open."""
    live = live_version.load(workspace, settings.followed.served, settings.fallback)
    if live.degraded:
        tell(f"DEGRADED: {live.degraded}")
    state = Server(Board(Routes(live)), settings.limits)
    ready = f"version {live.version} of {live.model} ({live.stage}) answers at {address(listener)}"

    def opened() -> None:
        tell(ready)
        is_ready()

    with _threads(workspace, settings, state) as scorer:
        application = Application(scorer, state, pages(state.board, state.metrics))
        server = _Server(_config(application), opened)
        server.run([listener])
    return server.stopped_by


@contextmanager
def _threads(workspace: Workspace, settings: Settings, state: Server) -> Iterator[Scorer]:
    """The threads of the server: they end in the order in which a request goes through them."""
    follower = Follower(workspace, settings.followed, state.board, state.metrics)
    follower.check_at_start(settings.share)
    log = _log(workspace, settings, state.metrics) if settings.with_log else None
    shadow = Shadow(state, log) if log and settings.followed.shadow else None
    scorer = Scorer(state, log, shadow)
    threads = [each for each in (scorer, shadow, log) if each]
    for each in (follower, *threads):
        each.start()
    try:
        yield scorer
    finally:
        follower.stop()
        for each in threads:
            each.stop()


def _log(workspace: Workspace, settings: Settings, metrics: Metrics) -> Log:
    folder = log_folder(settings.spools, workspace.model, settings.worker)
    database = Database(workspace.addresses.database_url, workspace.timeout, keep_connections=True)
    return Log(Spool(folder), database, workspace.model, metrics)


@contextmanager
def bound(settings: Settings) -> Iterator[socket.socket]:
    """A socket at the address, which does not listen yet. Raises StateConflict if the port is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise StateConflict(
                f"port {settings.port} cannot be opened: {error.strerror}",
                where=settings.host,
                hint="give another one: --port N",
            ) from None
        yield listener


def address(listener: socket.socket) -> str:
    """The address of a socket, as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _config(application: Application) -> uvicorn.Config:
    return uvicorn.Config(
        application, loop="uvloop", http=Connection, ws="none", lifespan="off", access_log=False, log_level="error",
        server_header=False, backlog=BACKLOG, timeout_graceful_shutdown=STOP_SECONDS, timeout_keep_alive=75,
    )  # fmt: skip


class _Server(uvicorn.Server):
    """uvicorn, which says when it answers, and remembers the signal that stopped it instead of raising it again."""

    def __init__(self, config: uvicorn.Config, opened: Callable[[], None]) -> None:
        super().__init__(config)
        self._opened = opened
        self.stopped_by = signal.SIGTERM

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._opened()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {each: signal.signal(each, self._stop) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopped_by = signal.Signals(number)
        self.handle_exit(number, frame)
