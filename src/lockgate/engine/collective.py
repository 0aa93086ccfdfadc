"""Calls in which the workers of a cluster wait for each other: a lost worker ends them.

Dask runs a lost task again, but it cannot repeat half of a training that several workers do together. Such a call
would wait for ever for the lost worker, and so would two calls of which each has half of the workers.
"""

import socket
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lockgate.errors import LockgateError, Unavailable, WorkerLost

if TYPE_CHECKING:
    from distributed import Client

    from lockgate.engine.dask_cluster import OnDask

Result = TypeVar("Result")
Tell = Callable[[str], None]
SECONDS = 0.5  # between two looks at the workers
SOON = 0.05  # before the first of these looks
STALE_SECONDS = 10.0  # that workers without a task are locked
HINT = "most often its memory was full: give each worker more memory, or lower the rows of a worker"
READ_LOGS = "read the logs of the workers; their memory may have been full, or a network may keep them apart"


class _Call(Generic[Result]):
    """A call in a thread of its own, with its result or its error."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work, self.ended = work, Event()
        self.result: list[Result] = []
        self.error: BaseException | None = None
        Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            self.result.append(self._work())
        except BaseException as error:  # noqa: BLE001 (given on in the caller's thread)
            self.error = error
        finally:
            self.ended.set()


def together(
    engine: "OnDask", work: Callable[[], Result], addresses: Collection[str], name: str, tell: Tell
) -> Result:  # fmt: skip
    """The result of a call in which these workers wait for each other; it begins when they have nothing else to do.

    Raises WorkerLost if one of the workers is lost or the call fails on them, Unavailable if the scheduler is lost.
    All tasks of this command are given up then, and the workers start again: a thread in them may still wait for the
    lost worker, and a library may keep the broken connection for the next fit.
    """
    _wait_until_free(engine, addresses, name, tell)
    with _started_again_after_failure(engine, addresses):
        return watched(engine, work, addresses, name)


def workers(engine: "OnDask") -> list[str]:
    """The addresses of the workers, in the order of their names; at least one.

    Raises Unavailable if the scheduler is lost or has no worker.
    """
    if not engine.identities():
        engine.require_workers()
    found = engine.identities()
    return sorted(found, key=lambda address: (str(found[address]["name"]).zfill(9), address))


@contextmanager
def locked(client: "Client", wanted: list[str]) -> Iterator[None]:
    """Keep other fits from these workers: XGBoost locks them in the same way, LightGBM does not."""
    from distributed import MultiLock

    with MultiLock(wanted, client):
        yield


def free_ports(client: "Client", wanted: list[str]) -> dict[str, int]:
    """A free port on each of some workers."""
    return dict(client.run(_free_port, workers=wanted))


def cpu_seconds(engine: "OnDask") -> dict[str, float]:
    """The CPU time that each worker has used so far. Raises Unavailable if a worker does not answer."""
    return dict(engine.run(time.process_time, on_error="ignore"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def _wait_until_free(engine: "OnDask", addresses: Collection[str], name: str, tell: Tell) -> None:
    """Wait until the workers have no task and are not locked: LightGBM waits 2 minutes for a worker that is busy.

    Workers that are locked without a task start again, which gives them other addresses: a command that was killed
    during a fit leaves them locked for ever.
    """
    began = idle_since = time.monotonic()
    told = False
    while True:
        _require(engine, addresses, name)
        now = time.monotonic()
        if _busy(engine, addresses):
            idle_since = now
        elif _unlocked(engine, addresses):
            return
        elif now - idle_since > STALE_SECONDS:
            with _started_again_after_failure(engine, addresses):
                raise _stale(engine, name)
        if not told and now - began > SECONDS:
            tell(f"{name} waits until its workers have no other task")
            told = True
        time.sleep(SECONDS if told else SOON)


def _stale(engine: "OnDask", name: str) -> WorkerLost:
    return WorkerLost(
        f"the workers of {name} are locked by a fit that no longer runs",
        where=engine.address,
        hint="start the Dask cluster again",
    )


def _busy(engine: "OnDask", addresses: Collection[str]) -> bool:
    return any(_answer(engine, lambda: engine.client.processing(list(addresses))).values())


def _unlocked(engine: "OnDask", addresses: Collection[str]) -> bool:
    from distributed import MultiLock

    lock = MultiLock(list(addresses), engine.client)
    if free := bool(_answer(engine, lambda: lock.acquire(timeout=SOON))):
        _answer(engine, lock.release)
    return free


def watched(engine: "OnDask", work: Callable[[], Result], addresses: Collection[str], name: str) -> Result:
    """The result of a call that needs all of these workers.

    Raises WorkerLost if one of them is lost or the call fails, Unavailable if the scheduler is lost.
    """
    call = _Call(work)
    while not call.ended.wait(SECONDS):
        _require(engine, addresses, name)
    if call.error is None:
        return call.result[0]
    _require(engine, addresses, name)
    if isinstance(call.error, LockgateError):
        raise call.error
    said = f"{type(call.error).__name__}: {call.error}"
    raise WorkerLost(f"{name} failed on the workers: {said}", where=engine.address, hint=READ_LOGS) from call.error


def _answer(engine: "OnDask", ask: Callable[[], Any]) -> Any:
    """The answer of the scheduler. Raises Unavailable if it is silent or lost."""
    call = _Call(ask)

    def answered() -> Any:
        if not call.ended.wait(engine.timeout):
            raise TimeoutError
        if call.error is not None:
            raise call.error
        return call.result[0]

    return engine.asked(answered)


def _require(engine: "OnDask", addresses: Collection[str], name: str) -> None:
    if lost := sorted(set(addresses) - set(engine.identities())):
        raise WorkerLost(f"a worker was lost during {name}: {', '.join(lost)}", where=engine.address, hint=HINT)


@contextmanager
def _started_again_after_failure(engine: "OnDask", addresses: Collection[str]) -> Iterator[None]:
    """Give up the tasks of this command and start the workers again, if this block fails."""
    try:
        yield
    except BaseException:
        with suppress(Unavailable, TimeoutError, OSError, ValueError):  # ValueError: a worker without a nanny
            left = sorted(set(addresses) & set(engine.identities()))
            engine.give_up()
            engine.client.restart_workers(left, timeout=max(engine.timeout, STALE_SECONDS), raise_for_error=False)
        raise
