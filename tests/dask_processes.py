"""A Dask cluster of processes that a test may kill."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from free_port import free_port

TESTS = Path(__file__).parent
SECONDS = 180  # no wait takes that long, unless the machine is busy
NO_PAGES = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0")
QUIET = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "false", "OMP_NUM_THREADS": "1"}


@dataclass
class Cluster:
    """A scheduler and its workers; each is a process with its output in a file of `folder`."""

    folder: Path
    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add_worker(self, *options: str, **variables: str) -> subprocess.Popen[bytes]:
        """One more worker, with further options of `dask worker` and further variables."""
        words = ["worker", self.address, "--host", "127.0.0.1", "--nthreads", "1", *NO_PAGES]
        words += ["--local-directory", str(self.folder), *options]
        self.workers.append(started(self.folder / f"worker-{len(self.workers)}.log", words, **variables))
        return self.workers[-1]

    def log(self, worker: int = 0) -> str:
        return (self.folder / f"worker-{worker}.log").read_text()


def started(log: Path, words: list[str], **variables: str) -> subprocess.Popen[bytes]:
    environment = os.environ | QUIET | {"PYTHONPATH": str(TESTS)} | variables
    with log.open("wb") as output:
        return subprocess.Popen([sys.executable, "-m", "dask", *words], stdout=output, stderr=output, env=environment)


@contextmanager
def running(folder: Path, workers: int = 0, **variables: str) -> Iterator[Cluster]:
    """A cluster whose scheduler listens, with this number of workers, which may still be starting."""
    port = free_port()
    words = ["scheduler", "--host", "127.0.0.1", "--port", str(port), *NO_PAGES]
    scheduler = started(folder / "scheduler.log", words, **variables)
    cluster = Cluster(folder, f"tcp://127.0.0.1:{port}", scheduler)
    try:
        for _ in range(workers):
            cluster.add_worker(**variables)
        wait_for(lambda: cluster.address in (folder / "scheduler.log").read_text())
        yield cluster
    finally:
        for process in (*cluster.workers, scheduler):
            process.kill()  # a worker ends with its nanny
            process.wait(SECONDS)


def wait_for(condition, seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.05)
