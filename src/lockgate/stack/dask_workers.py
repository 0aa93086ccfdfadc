"""The local Dask cluster of `lockgate up --workers`: a scheduler and worker processes on 127.0.0.1, under TLS."""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from lockgate.errors import BadConfiguration, LockgateError, Unavailable
from lockgate.stack import processes

HOST = "127.0.0.1"
MARK = "_LOCKGATE_DASK_OF"  # finds the processes of a .lockgate folder; a pid in a file may be reused
STOP_SECONDS = 10.0
ORPHAN_SECONDS = "60"  # a worker ends if it finds no scheduler for so long
NO_PAGES = ("--no-dashboard", "--dashboard-address", f"{HOST}:0")  # without an address, Dask serves on every interface
OF_WORKERS = {"OMP_WAIT_POLICY": "PASSIVE"}  # threads that wait by spinning cost CPU that other workers need
INSTALL = "pip install 'lockgate[dask]'"


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs: the address of its scheduler, its workers, and the bytes of memory of each."""

    address: str
    workers: int
    memory: int

    def __str__(self) -> str:
        return (
            f"{self.address}, {self.workers} worker{'s' if self.workers > 1 else ''} of {self.memory / 2**30:.3g} GiB"
        )


def folder(home: Path) -> Path:
    """Where the cluster's key is, and where workers put what does not fit into memory."""
    return home / "dask"


def running(home: Path) -> list[psutil.Process]:
    """The living processes of the cluster that was started for this `.lockgate` folder."""
    return processes.with_variable(MARK, str(home))


def has_scheduler(home: Path) -> bool:
    """Whether the scheduler of the cluster lives; its workers end by themselves, ORPHAN_SECONDS after it."""
    for process in running(home):
        with suppress(*processes.Gone):
            if "scheduler" in process.cmdline():
                return True
    return False


def memory_of_each(workers: int, named: str | None) -> int:
    """The bytes for a worker: what is named, such as 2GiB, else an equal part of the machine's memory.

    Raises BadConfiguration if Dask is not installed or the text is no size.
    """
    try:
        from lockgate.engine import machine
    except ImportError as error:
        raise BadConfiguration(f"a local cluster needs Dask: {error}", hint=INSTALL) from error
    return machine.bytes_of(named) if named else machine.memory() // workers


def start(home: Path, workers: int, memory: int, deadline: float) -> Cluster:
    """Start a scheduler and its workers, and wait until every worker has joined.

    Raises Unavailable with the end of the log if they do not start before the deadline (of time.monotonic).
    """
    from lockgate.engine import credentials

    credentials.make(folder(home))
    note = folder(home) / "scheduler.json"
    note.unlink(missing_ok=True)
    common, environment = [*credentials.options(folder(home)), *NO_PAGES], os.environ | OF_WORKERS | {MARK: str(home)}
    try:
        words = ["scheduler", "--protocol", "tls", "--host", HOST, "--port", "0", "--scheduler-file", str(note)]
        scheduler = _launch([*words, *common], log_file(home, "scheduler"), environment)
        address = _address_in(note, scheduler, deadline, log_file(home, "scheduler"))
        words = ["worker", address, "--protocol", "tls", "--host", HOST, "--nworkers", str(workers), "--nthreads", "1"]
        words += ["--memory-limit", str(memory), "--death-timeout", ORPHAN_SECONDS]
        words += ["--local-directory", str(folder(home)), *common]
        _launch(words, log_file(home, "workers"), environment)
        _wait_for_all(home, Cluster(address, workers, memory), deadline)
    except BaseException:
        stop(home, STOP_SECONDS)
        raise
    return Cluster(address, workers, memory)


def is_usable(home: Path, cluster: Cluster, seconds: float) -> bool:
    """Whether the cluster answers with all its workers, and with the versions of this process."""
    from lockgate.engine import dask_cluster

    try:
        with dask_cluster.connected(cluster.address, seconds, folder(home)) as engine:
            return engine.workers == cluster.workers
    except LockgateError:
        return False


def stop(home: Path, patience: float) -> bool:
    """Stop the cluster of this folder, and delete what its workers have left. Returns whether one ran."""
    found = running(home)
    processes.end(found, signal.SIGTERM, patience)
    shutil.rmtree(folder(home), ignore_errors=True)
    return bool(found)


def as_record(cluster: Cluster) -> dict[str, object]:
    """The cluster as stack.json holds it."""
    return asdict(cluster)


def of_record(home: Path, record: object) -> Cluster | None:
    """The cluster that stack.json names, if its processes run."""
    with suppress(TypeError):  # a record of another version
        return Cluster(**record) if isinstance(record, dict) and running(home) else None
    return None


def log_file(home: Path, name: str) -> Path:
    """Where the scheduler or the workers write their log."""
    return home / "logs" / f"dask-{name}.log"


def _launch(words: Sequence[str], log: Path, environment: dict[str, str]) -> psutil.Process:
    return processes.launch([sys.executable, "-m", "dask", *words], log, environment)


def _address_in(note: Path, scheduler: psutil.Process, deadline: float, log: Path) -> str:
    """The address that the scheduler writes when it listens."""

    def written() -> str:
        with suppress(OSError, ValueError, KeyError):
            return str(json.loads(note.read_text(encoding="utf-8"))["address"])
        return ""

    processes.wait_until(lambda: bool(written()) or not processes.is_alive(scheduler), deadline)
    if not written():
        raise _not_started("the Dask scheduler", log)
    return written()


def _wait_for_all(home: Path, cluster: Cluster, deadline: float) -> None:
    from lockgate.engine import dask_cluster

    seconds = max(1.0, deadline - time.monotonic())
    with dask_cluster.connected(cluster.address, seconds, folder(home)) as engine:
        processes.wait_until(lambda: engine.workers == cluster.workers, deadline)
        if engine.workers < cluster.workers:
            raise _not_started("a Dask worker", log_file(home, "workers"))


def _not_started(what: str, log: Path) -> Unavailable:
    return Unavailable(
        f"{what} does not start:\n{processes.last_lines(log)}",
        where=str(log),
        hint="read the log, then run lockgate up again",
    )
