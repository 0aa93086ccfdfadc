"""One process of the server: opens the version, then the port, and answers until a signal stops it."""

import asyncio
import errno
import gc
import math
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import uvicorn

from lockgate.errors import StateConflict
from lockgate.operations import leftover_predictions
from lockgate.operations.answering_version import DEFAULT_TERMS, FallbackTerms
from lockgate.operations.workspace import Workspace
from lockgate.prediction_log import own_spool
from lockgate.prediction_log.spool import Spool
from lockgate.serving import live_version
from lockgate.serving.board import Board, Routes
from lockgate.serving.connection import Connection
from lockgate.serving.drain import Drain, Way
from lockgate.serving.follow import Followed, Follower
from lockgate.serving.limits import Limits
from lockgate.serving.live_version import LiveVersion
from lockgate.serving.log import Log
from lockgate.serving.messages import tell
from lockgate.serving.metrics import Metrics
from lockgate.serving.pages import pages
from lockgate.serving.pin import Pinning
from lockgate.serving.protocol import Application
from lockgate.serving.scorer import Scorer
from lockgate.serving.server_state import Server
from lockgate.serving.shadow import Shadow

GRACE = 20.0  # seconds for requests in flight when the server stops
READ_ROUNDS, READ_SECONDS = 3, 0.02  # of the loop, in which it accepts and reads what came before the stop
CLOSE_SECONDS = 1  # until connections whose client does not read are dropped
BACKLOG = 2048
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


@dataclass(frozen=True)
class Settings:
    """What to serve, where, and whether predictions are logged.

    `spools` is the folder of the logs. `share` is that of the canary in percent, set at the start; None leaves it.
    `grace`: a request that takes more seconds than this after the stop began is cut.
    """

    host: str
    port: int
    spools: Path
    followed: Followed
    share: int | None = None
    with_log: bool = True
    fallback: FallbackTerms = DEFAULT_TERMS
    grace: float = GRACE
    limits: Limits = field(default_factory=Limits)
    pinning: Pinning = field(default_factory=Pinning)


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
    spools = settings.spools / workspace.model
    with own_spool.own(spools) if settings.with_log else nullcontext() as spool:
        if spool and not live.degraded:
            leftover_predictions.refuse_foreign([spool], workspace.log_database())
        return _answer(workspace, settings, live, Door(listener, is_ready, spool))


@dataclass(frozen=True)
class Door:
    """The socket of a process, what it calls when the port is open, and the folder of its spool (None: no log)."""

    listener: socket.socket
    is_ready: Callable[[], None]
    spool: Path | None


def _answer(workspace: Workspace, settings: Settings, live: LiveVersion, door: Door) -> signal.Signals:
    state = Server(Board(Routes(live), pinning=settings.pinning), settings.limits)
    ready = f"version {live.version} of {live.model} ({live.stage}) answers at {address(door.listener)}"

    def opened() -> None:
        tell(ready)
        door.is_ready()

    with _threads(workspace, settings, state, door.spool) as scorer:
        application = Application(scorer, state, pages(state.board, state.metrics))
        server = _Server(_config(application, settings.grace), opened, settings.grace)
        _keep_from_collector()
        server.run([door.listener])
    return server.stopped_by


def _keep_from_collector() -> None:
    """Take what is in memory now (libraries, the version) out of later searches for unreachable objects.

    Such a search goes through every object: a quarter of a second, in which no request is answered.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def _threads(workspace: Workspace, settings: Settings, state: Server, spool: Path | None) -> Iterator[Scorer]:
    """The threads of the server: they end in the order in which a request goes through them."""
    follower = Follower(workspace, settings.followed, state.board, state.metrics, settings.share)
    follower.check_at_start()
    log = _log(workspace, spool, state.metrics) if spool else None
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


def _log(workspace: Workspace, folder: Path, metrics: Metrics) -> Log:
    addresses = workspace.addresses
    way = Way(folder, addresses.log_url or addresses.database_url, workspace.timeout, bool(addresses.log_url))
    return Log(Spool(folder), way.database(), workspace.model, metrics, Drain(way))


@contextmanager
def handled(stop: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let the signals that stop a server call a function. One that is ignored, as nohup does, stays ignored."""
    taken = [each for each in STOPS if signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.signal(each, stop) for each in taken}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def bound(settings: Settings) -> Iterator[socket.socket]:
    """A socket at the address, which does not listen yet. Raises StateConflict if the port is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise _unbound(settings, error) from None
        yield listener


def _unbound(settings: Settings, error: OSError) -> StateConflict:
    if isinstance(error, socket.gaierror) or error.errno in NO_SUCH_ADDRESS:
        fact, hint = f"this machine has no address {settings.host!r}", "give another one: --host ADDRESS"
    else:
        fact, hint = f"port {settings.port} of {settings.host} cannot be opened", "give another one: --port N"
    return StateConflict(f"{fact}: {error.strerror}", hint=hint)


def address(listener: socket.socket) -> str:
    """The address of a socket, as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _config(application: Application, grace: float) -> uvicorn.Config:
    return uvicorn.Config(
        application, loop="uvloop", http=Connection, ws="none", lifespan="off", access_log=False, log_level="error",
        server_header=False, backlog=BACKLOG, timeout_keep_alive=75,
        timeout_graceful_shutdown=math.ceil(grace) + 5,  # `_Server` is done before
    )  # fmt: skip


class _Server(uvicorn.Server):
    """uvicorn, which says when it answers, and remembers the signal that stopped it instead of raising it again.

    It stops when the requests in flight are answered; those that take longer than the grace are cut. A second Ctrl-C
    cuts them at once.
    """

    def __init__(self, config: uvicorn.Config, opened: Callable[[], None], grace: float) -> None:
        super().__init__(config)
        self._opened = opened
        self._grace = grace
        self.stopped_by = signal.SIGTERM

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._opened()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for _ in range(READ_ROUNDS):
            await asyncio.sleep(READ_SECONDS)
        late = asyncio.get_running_loop().call_later(self._grace, self._cut)
        await super().shutdown(sockets)
        late.cancel()

    def _cut(self) -> None:
        tasks = self.server_state.tasks
        if tasks:
            tell(f"warning: requests in flight are cut after {self._grace:g} s: {len(tasks)}")
        for task in tasks:
            task.cancel()
        asyncio.get_running_loop().call_later(CLOSE_SECONDS, setattr, self, "force_exit", True)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with handled(self._stop):
            yield

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopped_by = signal.Signals(number)
        self.handle_exit(number, frame)
