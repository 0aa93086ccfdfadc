"""The engine on a Dask cluster.

Dask runs a task again if its worker ends. After `distributed.scheduler.allowed-failures` (3) such ends it gives up.
"""

import gc
import logging
import time
import traceback
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NoReturn, TypeVar

from distributed import Client, Future, KilledWorker
from distributed.client import ClosedClientError, FutureCancelledError

from lockgate.engine import credentials, running_tasks, versions
from lockgate.engine.engine import Failed, Progress, silent
from lockgate.errors import BadConfiguration, LockgateError, Unavailable, WorkerLost
from lockgate.system.service_urls import masked

Item = TypeVar("Item")
Result = TypeVar("Result")
CHECKS = 2  # of the cluster within one timeout
PAUSED_SECONDS = (
    60.0  # of all workers, while no task ends; a worker that writes data to its disk pauses for a while, too
)
SILENT_SECONDS = 60.0  # of a worker that is asked something; the imports of its first answer take time
LOST = (OSError, FutureCancelledError, ClosedClientError)  # errors of calls to a scheduler that is gone
MORE_TIME = "is it alive? a longer limit: --timeout or LOCKGATE_TIMEOUT"
SHARE = "give the workers the project's folder under the same path (a shared file system)"
NO_MEMORY = "give each worker more memory, or make the parts smaller; the worker's log says more"


@contextmanager
def connected(address: str, timeout: float, key: Path | None = None) -> "Iterator[OnDask]":
    """An engine on the cluster with this scheduler, with at least one worker and no version that differs.

    `key` is the folder with the credentials of a local cluster; for others, TLS and all else is in Dask's own
    configuration. Raises Unavailable and BadConfiguration.
    """
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # a lost scheduler is an error of ours
    client = _client(address, timeout, key)
    try:
        engine = OnDask(client, address, timeout)
        engine.require_workers()
        engine.require_equal_versions()
        yield engine
    finally:
        with suppress(TimeoutError, OSError):
            client.close(timeout=timeout)


def _client(address: str, timeout: float, key: Path | None) -> Client:
    try:
        return _connected_client(address, timeout, key)
    except ValueError as error:
        raise BadConfiguration(
            f"{masked(address)!r} is not the address of a Dask scheduler{_why(error, address)}",
            hint="write it as tcp://host:8786",
        ) from error
    except TypeError as error:  # Dask's error for tls:// without a certificate
        raise BadConfiguration(
            f"no certificate for the Dask scheduler {address}: {error}",
            hint="in Dask's configuration, set distributed.comm.tls.ca-file, .client.cert and .client.key",
        ) from error
    except MemoryError as error:  # Dask reads the first bytes of another server's answer as a length
        raise Unavailable("what answers is no Dask scheduler", where=address, hint="correct the address") from error
    except (OSError, TimeoutError) as error:
        raise _silent_scheduler(address, timeout) from error


def _why(error: ValueError, address: str) -> str:
    """Dask's reason, unless it repeats an address with a password."""
    return "" if masked(address) != address else f": {error}"


def _connected_client(address: str, timeout: float, key: Path | None) -> Client:
    """A client. One that does not connect is collected here: collected by the thread of a later client, it hangs."""
    try:
        security = credentials.security(key) if key else None
        return Client(address, timeout=timeout, name="lockgate", security=security)
    except BaseException as error:
        inner: BaseException | None = error
        while inner:
            traceback.clear_frames(inner.__traceback__)
            inner = inner.__cause__ or inner.__context__
        gc.collect()
        raise


class OnDask:
    """Runs tasks on the workers of a cluster."""

    def __init__(self, client: Client, address: str, timeout: float) -> None:
        self.client = client
        self.address = address
        self.timeout = timeout
        self._paused_since: float | None = None
        self._names: dict[str, str] = {}  # of the tasks in messages, by their keys

    @property
    def workers(self) -> int:
        """The number of threads of all workers."""
        return int(sum(self.asked(self.client.nthreads).values()))

    def require_workers(self) -> None:
        """Wait for the first worker; raises Unavailable after the timeout."""
        try:
            self.client.wait_for_workers(1, timeout=self.timeout)
        except TimeoutError as error:
            raise self._without_workers() from error

    def require_equal_versions(self) -> None:
        """Raise BadConfiguration that names each version of the scheduler or a worker that differs from ours."""
        found = self.run(versions.found, on_error="return")
        there = {f"worker {worker}": found[worker] for worker in sorted(found)} | {"scheduler": self._of_scheduler()}
        if different := [text for place, each in there.items() if (text := _difference(place, each))]:
            raise BadConfiguration(
                f"the Dask cluster has other versions than this process: {'; '.join(different)}",
                where=self.address,
                hint="start the scheduler and each worker again from the environment of this command",
            )

    def _of_scheduler(self) -> Any:
        try:
            return self.asked(lambda: self.client.run_on_scheduler(versions.found))
        except ImportError as error:
            return error

    def map(
        self,
        function: Callable[..., Result],
        items: Sequence[Item],
        name: str,
        *,
        shared: Sequence[Any] = (),
        progress: Progress = silent,
    ) -> list[Result]:
        """As `Engine.map`.

        Raises WorkerLost if workers end again and again under the same task, Unavailable if the scheduler is lost.
        """
        run, total = f"{name.replace(' ', '-')}-{uuid.uuid4().hex[:8]}", len(items)
        names = {f"{run}-{place}": f"{name}, part {place + 1} of {total}" for place in range(total)}
        finished: SimpleQueue[int] = SimpleQueue()
        results: dict[int, Result] = {}
        futures = dict(enumerate(self._submitted(function, items, shared, names)))
        try:
            for place, future in futures.items():
                future.add_done_callback(lambda _, place=place: finished.put(place))
            while futures:
                place = self.next_ended(finished)
                results[place] = self.result(futures[place], names[futures[place].key])
                futures.pop(place).release()
                progress(name, len(results), total)
        finally:
            self.cancel(list(futures.values()))
        return [results[place] for place in range(total)]

    def require_visible(self, folder: Path) -> None:
        """As `Engine.require_visible`; a new file of this process decides, not another folder with the same path."""
        mark = folder / f"visible-{uuid.uuid4().hex}"
        mark.touch()
        found = self.asked(lambda: self.client.run(mark.exists, on_error="return"))
        mark.unlink()
        if blind := sorted(worker for worker, sees in found.items() if sees is not True):
            raise BadConfiguration(f"worker {blind[0]} does not see {folder}", where=self.address, hint=SHARE)

    def tasks(self, name: str) -> "TasksOnDask":
        """As `Engine.tasks`: a slot for each worker, whatever number of threads it has."""
        return TasksOnDask(self, name, sorted(self.asked(self.client.nthreads)))

    def scatter(self, value: Any) -> Any:
        """Send a value to one worker; the others fetch it from there when a task of theirs needs it.

        The value is the result of a task, so the scheduler can send it again if the worker that has it ends.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            return self.asked(lambda: self.client.submit(_itself, value, key=f"shared-{uuid.uuid4().hex}", pure=False))

    def everywhere(self, function: Callable[[], object]) -> None:
        """As `Engine.everywhere`, within the timeout."""
        if self.client.status == "running":
            with suppress(TimeoutError, *LOST):
                self.client.run(function, on_error="ignore", callback_timeout=self.timeout)

    def _submitted(
        self, function: Callable[..., Any], items: Sequence[Any], shared: Sequence[Any], names: dict[str, str]
    ) -> list[Future]:
        if not items:
            return []
        self._names |= names
        told, keys = partial(running_tasks.told, function), list(names)
        same = [[value] * len(items) for value in shared]
        return list(self.asked(lambda: self.client.map(told, keys, list(items), *same, key=keys, pure=False)))

    def next_ended(self, finished: "SimpleQueue[int]") -> int:
        """The place of a task that has ended. Raises Unavailable if the cluster no longer answers."""
        while True:
            try:
                return finished.get(timeout=self.timeout / CHECKS)
            except Empty:
                self._require_alive()

    def result(self, future: Future, task: str) -> Any:
        """The result of a task that has ended. If its worker ends before the result is here, the task runs again."""
        while True:
            try:
                error = future.exception(timeout=self.timeout)
                result = None if error else future.result(timeout=self.timeout)
            except FutureCancelledError as given_up:
                raise _lost_scheduler(self.address) from given_up
            except (TimeoutError, OSError):
                self._require_alive()
                continue
            if error is None:
                return result
            self._raise(error, task)

    def wait(self, futures: Sequence[Future], name: str) -> None:
        """Wait until tasks have ended whose results stay on the workers. Raises the error of a task as `map` does."""
        for place, future in enumerate(futures, start=1):
            if error := future.exception():
                self._raise(error, f"{name}, part {place} of {len(futures)}")

    def _raise(self, error: BaseException, task: str) -> NoReturn:
        if isinstance(error, LockgateError):
            raise error
        if isinstance(error, KilledWorker):
            worker = error.last_worker.address
            raise WorkerLost(
                f"each worker that got this task ended, the last was {worker}: {self._running(worker) or task}",
                where=self.address,
                hint=NO_MEMORY,
            )
        if isinstance(error, MemoryError):
            raise WorkerLost(f"a worker has not enough memory for: {task}", where=self.address, hint=NO_MEMORY)
        if isinstance(error, FileNotFoundError) and error.filename and Path(error.filename).exists():
            raise BadConfiguration(
                f"a worker does not see {error.filename}, which exists here: {task}",
                where=self.address,
                hint=SHARE,
            ) from error
        error.add_note(f"on the Dask cluster {self.address}: {task}")
        raise error

    def _running(self, worker: str) -> str:
        """The tasks of `map` that a lost worker was running when it ended; "" if none is known."""
        keys = self.asked(lambda: running_tasks.last_of(self.client, worker))
        return " or ".join(self._names[key] for key in keys if key in self._names)

    def _require_alive(self) -> None:
        """Raise Unavailable if the scheduler does not answer in time, or has no worker left.

        Raises WorkerLost if all workers have paused for long: they would never go on.
        """
        found = self.identities()
        if not found:
            self.require_workers()
        if not found or any(each["status"] != "paused" for each in found.values()):
            self._paused_since = None
            return
        now = time.monotonic()
        self._paused_since = self._paused_since or now
        if now - self._paused_since > PAUSED_SECONDS:
            raise WorkerLost(
                f"each worker has paused, because its memory is full: {', '.join(sorted(found))}",
                where=self.address,
                hint=NO_MEMORY,
            )

    def identities(self) -> dict[str, Any]:
        """What the scheduler knows of each worker, by address. Raises Unavailable if it does not answer in time."""
        return dict(self.asked(lambda: self.client.sync(self._identity, callback_timeout=self.timeout))["workers"])

    async def _identity(self) -> Any:
        return await self.client.scheduler.identity(n_workers=-1)

    def run(self, function: Callable[[], Any], on_error: str = "raise") -> dict[str, Any]:
        """The result of a function in each worker, by address. Raises Unavailable if one does not answer for long."""
        try:
            return dict(self.client.run(function, on_error=on_error, callback_timeout=SILENT_SECONDS))
        except TimeoutError as error:
            raise self._silent_worker() from error
        except LOST as error:
            raise _lost_scheduler(self.address) from error

    def _silent_worker(self) -> Unavailable:
        found = self.identities()
        last = min(found, key=lambda address: float(found[address]["last_seen"]), default="")
        return Unavailable(
            f"a worker does not answer within {SILENT_SECONDS:g} s; the one not seen for longest is {last}",
            where=self.address,
            hint="end this worker or start it again",
        )

    def asked(self, ask: Callable[[], Any]) -> Any:
        """The answer of the scheduler. Raises Unavailable if it is silent or lost."""
        try:
            return ask()
        except TimeoutError as error:
            raise _silent_scheduler(self.address, self.timeout) from error
        except LOST as error:
            raise _lost_scheduler(self.address) from error
        except RuntimeError as error:  # of a client that closed itself: it did not find the scheduler again
            if self.client.status == "running":
                raise
            raise _lost_scheduler(self.address) from error

    def give_up(self) -> None:
        """Give up all tasks of this command."""
        self.cancel([Future(key, self.client) for key in list(self.client.futures)])

    def cancel(self, futures: list[Future]) -> None:
        """Give up tasks."""
        if futures and self.client.status == "running":
            with suppress(TimeoutError, OSError):
                self.client.cancel(futures, force=True)

    def _without_workers(self) -> Unavailable:
        return Unavailable(
            f"the Dask scheduler has no worker after {self.timeout:g} s",
            where=self.address,
            hint="start workers, or wait longer for them: --timeout or LOCKGATE_TIMEOUT",
        )


class TasksOnDask:
    """Tasks that are given one by one, as `engine.Tasks`; a slot is a worker.

    A task whose worker ends runs again, on any worker. If that happens again and again, it has failed.
    """

    def __init__(self, engine: OnDask, name: str, workers: Sequence[str]) -> None:
        self.slots = len(workers)
        self._engine, self._name, self._workers = engine, name, workers
        self._futures: dict[int, Future] = {}
        self._ended: SimpleQueue[int] = SimpleQueue()

    def submit(self, slot: int, function: Callable[..., Any], *arguments: Any) -> None:
        """As `Tasks.submit`."""
        key = f"{self._name.replace(' ', '-')}-{slot}-{uuid.uuid4().hex[:8]}"
        place = {"workers": [self._workers[slot]], "allow_other_workers": True}
        future = self._engine.asked(
            lambda: self._engine.client.submit(function, *arguments, key=key, pure=False, **place)
        )
        self._futures[slot] = future
        future.add_done_callback(lambda _: self._ended.put(slot))

    def next(self) -> tuple[int, Any]:
        """As `Tasks.next`."""
        slot = self._engine.next_ended(self._ended)
        future = self._futures[slot]
        try:
            found = self._engine.result(future, f"{self._name}, slot {slot + 1}")
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the error of a task is a result
            found = Failed(error)
        self._futures.pop(slot).release()
        return slot, found

    def close(self) -> None:
        """As `Tasks.close`."""
        self._engine.cancel(list(self._futures.values()))


def _itself(value: Any) -> Any:
    return value


def _difference(place: str, found: Any) -> str:
    """What differs in one place of the cluster, as a text; "" if nothing does."""
    if isinstance(found, Exception):
        return f"{place}: {type(found).__name__}: {found}"
    different = versions.differences(versions.found(), found)
    return f"{place}: {', '.join(different)}" if different else ""


def _silent_scheduler(address: str, timeout: float) -> Unavailable:
    return Unavailable(f"the Dask scheduler does not answer within {timeout:g} s", where=address, hint=MORE_TIME)


def _lost_scheduler(address: str) -> Unavailable:
    return Unavailable("the connection to the Dask scheduler is lost", where=address, hint=MORE_TIME)
