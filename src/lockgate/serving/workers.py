"""Several processes that share a port: each loads and follows the version by itself.

A worker that ends, or that stands still, is replaced.

The others are started when the first one answers, so that a refusal comes once.
"""

import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from time import monotonic, sleep
from types import FrameType
from typing import Any

from prometheus_client import multiprocess

from lockgate.operations.workspace import Workspace
from lockgate.serving import metrics, server
from lockgate.serving.messages import tell
from lockgate.serving.server import Settings
from lockgate.system.exit_codes import Session, run

LOOK_SECONDS = 0.5
DRAIN_SECONDS = 10  # of a worker that stops, after its grace
PAUSE_SECONDS = 1.0  # before a worker that ended is started again; doubled if it never answered
LONGEST_PAUSE = 30.0
SILENT_LOOKS = 60  # without a beat of a worker. Looks, not seconds: no time passes while all processes are suspended
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
    """One process. `ready` is set when it answers; `beats` counts on while it runs."""

    number: int
    process: Any
    ready: Any
    beats: Any
    seen: int = 0
    silent: int = 0  # looks since the last beat
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
        with server.handled(self._remember):
            self.workers = [self._started(1, self.order.settings.share)]
            try:
                while self.stopped_by is None:
                    self._look()
            finally:
                self._stop()
        return self.stopped_by

    def _look(self) -> None:
        sentinels = [each.process.sentinel for each in self.workers if each.again_at is None]
        ending = connection.wait(sentinels, LOOK_SECONDS)
        if not self.answers and all(worker.ready.is_set() for worker in self.workers):
            self._grow()
        for place, worker in enumerate(self.workers):
            if not ending:  # otherwise the look was short, and so are those that follow until the process has ended
                self._end_if_silent(worker)
            if self.stopped_by is None and worker.again_at is None and not worker.process.is_alive():
                self._ended(worker)
            elif worker.again_at is not None and monotonic() >= worker.again_at:
                self.workers[place] = replace(self._started(worker.number), pause=worker.pause)

    def _end_if_silent(self, worker: Worker) -> None:
        """Kill a worker whose process stands still, as after SIGSTOP: the port gives it connections all the same."""
        if not (worker.ready.is_set() and worker.process.is_alive()):
            return
        beats = worker.beats.value
        worker.seen, worker.silent = beats, 0 if beats != worker.seen else worker.silent + 1
        if worker.silent >= SILENT_LOOKS:
            tell(f"warning: worker {worker.number} stands still; it is killed")
            worker.process.kill()
            worker.process.join()

    def _grow(self) -> None:
        """Start the other workers, or say that all answer."""
        self.workers += [self._started(number) for number in range(len(self.workers) + 1, self.count + 1)]
        if all(worker.ready.is_set() for worker in self.workers):
            self.answers = True
            tell(f"{self.count} workers of {self.order.model} answer at {server.address(self.listener)}")

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

    def _started(self, number: int, share: int | None = None) -> Worker:
        ready, beats = PROCESSES.Event(), PROCESSES.Value("Q", 0, lock=False)
        settings = replace(self.order.settings, share=share)
        order = replace(self.order, settings=settings)
        process = PROCESSES.Process(target=_work, args=(order, self.listener, (ready, beats), os.getpid()))
        process.start()
        return Worker(number, process, ready, beats)

    def _stop(self) -> None:
        running = [worker.process for worker in self.workers if worker.process.is_alive()]
        for process in running:
            process.terminate()
        until = monotonic() + self.order.settings.grace + DRAIN_SECONDS
        for process in running:
            process.join(max(0.0, until - monotonic()))
            if process.is_alive():
                process.kill()

    def _remember(self, number: int, _: FrameType | None) -> None:
        self.stopped_by = signal.Signals(number)


def serve(workspace: Workspace, settings: Settings, count: int) -> signal.Signals:
    """Serve with this many processes until a signal comes, and return the signal. Raises WorkerFailed."""
    order = Order(workspace.model, workspace.timeout, workspace.trusted_keys, settings)
    with server.bound(settings) as listener, tempfile.TemporaryDirectory(prefix="lockgate-metrics-") as folder:
        os.environ[metrics.SHARED] = folder
        listener.set_inheritable(True)
        return Crew(order, listener, count).run()


def _work(order: Order, listener: socket.socket, signs: tuple[Any, Any], parent: int) -> None:
    """The life of a worker; `signs` are its event of being ready, and its count of beats."""
    ready, beats = signs
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    threading.Thread(target=_beat, args=(beats,), daemon=True).start()
    sys.exit(run(lambda: _serve(order, listener, ready), Session()))


def _serve(order: Order, listener: socket.socket, ready: Any) -> None:
    workspace = Workspace.here(order.model, order.timeout, order.trusted_keys)
    server.answer(workspace, order.settings, listener, ready.set)


def _beat(beats: Any) -> None:
    while True:
        beats.value += 1
        sleep(LOOK_SECONDS)


def _end_with(parent: int) -> None:
    """Stop this process when its parent is gone."""
    while os.getppid() == parent:
        sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
