"""Several processes that share a port: each loads and follows the version by itself; one that ends is started again."""

import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from time import monotonic, sleep
from types import FrameType
from typing import Any

from prometheus_client import multiprocess

from lockgate.errors import LockgateError
from lockgate.operations.workspace import Workspace
from lockgate.serving import follow, metrics, server
from lockgate.serving.messages import tell
from lockgate.serving.server import STOP_SECONDS, Settings
from lockgate.system.exit_codes import Session, run

LOOK_SECONDS = 0.5
PAUSE_SECONDS = 1.0  # before a worker that ended is started again; doubled if it never answered
LONGEST_PAUSE = 30.0
PROCESSES = multiprocessing.get_context("spawn")


class WorkerFailed(Exception):
    """A worker ended before it answered for the first time; it has said why. `code` is its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Order:
    """What a worker needs to make its workspace."""

    model: str
    timeout: float
    trusted_keys: tuple[str, ...]
    settings: Settings


@dataclass
class Worker:
    """One process. `ready` is set when it answers."""

    number: int
    process: Any
    ready: Any
    pause: float = PAUSE_SECONDS
    again_at: float | None = None


@dataclass
class Crew:
    """The workers of a server."""

    order: Order
    listener: socket.socket
    count: int
    workers: list[Worker] = field(default_factory=list)
    stopped_by: signal.Signals | None = None
    answers: bool = False

    def run(self) -> signal.Signals:
        """Keep the workers running until a signal comes. Raises WorkerFailed if one ends before all have answered."""
        with self._signals():
            self.workers = [self._started(number) for number in range(1, self.count + 1)]
            try:
                while self.stopped_by is None:
                    self._look()
            finally:
                self._stop()
        return self.stopped_by

    def _look(self) -> None:
        connection.wait([each.process.sentinel for each in self.workers if each.again_at is None], LOOK_SECONDS)
        if not self.answers and all(worker.ready.is_set() for worker in self.workers):
            self.answers = True
            tell(f"{self.count} workers of {self.order.model} answer at {server.address(self.listener)}")
        for place, worker in enumerate(self.workers):
            if self.stopped_by is None and worker.again_at is None and not worker.process.is_alive():
                self._ended(worker)
            elif worker.again_at is not None and monotonic() >= worker.again_at:
                self.workers[place] = replace(self._started(worker.number), pause=worker.pause)

    def _ended(self, worker: Worker) -> None:
        code = worker.process.exitcode
        if os.environ.get(metrics.SHARED):
            multiprocess.mark_process_dead(worker.process.pid)  # type: ignore[no-untyped-call]
        if not self.answers:
            raise WorkerFailed(code if code > 0 else 1)
        worker.pause = PAUSE_SECONDS if worker.ready.is_set() else min(2 * worker.pause, LONGEST_PAUSE)
        worker.again_at = monotonic() + worker.pause
        how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
        tell(f"warning: worker {worker.number} {how}; it is started again")

    def _started(self, number: int) -> Worker:
        ready = PROCESSES.Event()
        settings = replace(self.order.settings, worker=number, share=None)
        order = replace(self.order, settings=settings)
        process = PROCESSES.Process(target=_work, args=(order, self.listener, ready, os.getpid()))
        process.start()
        return Worker(number, process, ready)

    def _stop(self) -> None:
        running = [worker.process for worker in self.workers if worker.process.is_alive()]
        for process in running:
            process.terminate()
        until = monotonic() + STOP_SECONDS + 10
        for process in running:
            process.join(max(0.0, until - monotonic()))
            if process.is_alive():
                process.kill()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        before = {each: signal.signal(each, self._remember) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _remember(self, number: int, _: FrameType | None) -> None:
        self.stopped_by = signal.Signals(number)


def serve(workspace: Workspace, settings: Settings, count: int) -> signal.Signals:
    """Serve with this many processes until a signal comes, and return the signal. Raises WorkerFailed."""
    order = Order(workspace.model, workspace.timeout, workspace.trusted_keys, settings)
    try:
        follow.set_share(workspace, settings.followed, settings.share)
    except LockgateError as refusal:
        tell(f"warning: the share of the canary is not set: {refusal}")
    with server.bound(settings) as listener, tempfile.TemporaryDirectory(prefix="lockgate-metrics-") as folder:
        os.environ[metrics.SHARED] = folder
        listener.set_inheritable(True)
        return Crew(order, listener, count).run()


def _work(order: Order, listener: socket.socket, ready: Any, parent: int) -> None:
    """The life of a worker."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    sys.exit(run(lambda: _serve(order, listener, ready), Session()))


def _serve(order: Order, listener: socket.socket, ready: Any) -> None:
    workspace = Workspace.here(order.model, order.timeout, order.trusted_keys)
    server.answer(workspace, order.settings, listener, ready.set)


def _end_with(parent: int) -> None:
    """Stop this process when its parent is gone."""
    while os.getppid() == parent:
        sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
