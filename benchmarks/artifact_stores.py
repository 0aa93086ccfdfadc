"""Compares MLflow's two artifact stores of `lockgate up`: a folder, and the server's own Postgres.

Starts a stack of each kind in a temporary folder, logs and fetches files through both servers in turn, and prints the
median wall time and CPU time of all server processes (MLflow and Postgres). Run: python benchmarks/artifact_stores.py
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import psutil
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from lockgate.stack import mlflow_server, up_down
from lockgate.stack.artifact_location import Place

MIB = 1 << 20


@dataclass(frozen=True)
class Server:
    """A running stack with artifacts of one kind."""

    home: Path
    uri: str

    def cpu_seconds(self) -> float:
        """CPU time that MLflow and Postgres have used so far."""
        postgres = [process for process in psutil.process_iter() if _runs_postgres_of(process, self.home)]
        return sum(map(_cpu_seconds, (*mlflow_server.running(self.home), *postgres)))


def _runs_postgres_of(process: psutil.Process, home: Path) -> bool:
    try:
        parents = [process, *process.parents()]
        return any("postgres" in each.name() and str(home) in " ".join(each.cmdline()) for each in parents)
    except psutil.Error:
        return False


def _cpu_seconds(process: psutil.Process) -> float:
    """Those of the process, and of its children that have ended."""
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


@contextmanager
def running(place: Place) -> Iterator[Server]:
    """A stack in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix=f"lockgate-benchmark-{place}-") as folder:
        try:
            found = up_down.up(Path(folder), artifacts=place, tell=lambda _: None)
            yield Server(Path(folder).resolve() / ".lockgate", found.tracking_uri)
        finally:
            up_down.down(Path(folder), tell=lambda _: None)


def work(server: Server, source: Path, target: Path) -> dict[str, Callable[[], object]]:
    """The two halves of a round: log a folder to a new run, fetch it again."""
    client = MlflowClient(server.uri)
    run_id = client.create_run("0").info.run_id
    return {
        "log": lambda: client.log_artifacts(run_id, str(source), "files"),
        "fetch": lambda: download_artifacts(
            run_id=run_id, artifact_path="files", dst_path=str(target), tracking_uri=server.uri
        ),
    }


def fill(folder: Path, files: int, size: int) -> None:
    """New random files, so that no store has their content already."""
    folder.mkdir()
    for number in range(files):
        (folder / f"file {number}").write_bytes(os.urandom(size))


def measure(servers: dict[str, Server], files: int, size: int, rounds: int) -> None:
    """Print the median wall and CPU seconds of some rounds, store beside store."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="lockgate-benchmark-") as folder:
            for name, server in servers.items():
                fill(Path(folder, name), files, size)
                for half, call in work(server, Path(folder, name), Path(folder, f"{name} fetched")).items():
                    cpu, wall = server.cpu_seconds(), perf_counter()
                    call()
                    wall = perf_counter() - wall
                    found.setdefault((half, name), []).append((wall, server.cpu_seconds() - cpu))
    for (half, name), times in sorted(found.items()):
        wall, cpu = (median(column) for column in zip(*times, strict=True))
        each = f"{wall / files * 1000:8.1f} ms a file" if files > 1 else ""
        print(f"{half:6} {files:4} x {size / MIB:7.3f} MiB  {name:9} wall {wall:7.2f} s  cpu {cpu:7.2f} s {each}")


def main() -> None:
    """Measure many small files, then one large file."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--files", type=int, default=300)
    words.add_argument("--large-mib", type=int, default=200)
    words.add_argument("--rounds", type=int, default=3)
    chosen = words.parse_args()
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    with ExitStack() as stack:
        servers = {str(place): stack.enter_context(running(place)) for place in (Place.FOLDER, Place.DATABASE)}
        measure(servers, chosen.files, 2_000, chosen.rounds)
        measure(servers, 1, chosen.large_mib * MIB, chosen.rounds)


if __name__ == "__main__":
    main()
