"""`make bench`: what the pipeline, the commands and the endpoint cost here, as wall time and CPU time.

Works in a temporary copy with a stack of its own, so that the registry in use is not touched, and removes it. The data
are those of data/raw, or else the generated chain of params.yaml.
"""

import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from lockgate.problem.columns import names
from lockgate.problem.params import load_params

PROJECT = Path(__file__).resolve().parents[1]
COPIED = ("dvc.yaml", ".dvcignore", ".dvc/config", "params.yaml", "pipelines", "src", "data/raw")
FOREIGN = ("MLFLOW_", "LOCKGATE_", "DVC_", "PYTHONPATH")
RAW_COLUMNS = names(load_params(PROJECT / "params.yaml").problem.request)
RUNS, REQUESTS, START_SECONDS = 7, 500, 90
VERSIONS, PROMOTED, SWAPS = 5000, 1000, 50


@dataclass(frozen=True)
class Cost:
    """Seconds of one command, its children included."""

    wall: float
    cpu: float


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="lockgate-bench-") as name:
        folder = Path(name, "a copy")
        copy_project(folder)
        try:
            run(folder, "lockgate", "up")
            _measure(folder)
        finally:
            run(folder, "lockgate", "down")


def _measure(folder: Path) -> None:
    cores = os.cpu_count()
    print(f"{cores} cores, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f} at the start\n")
    pipeline = run(folder, "dvc", "repro")
    _tell("dvc repro, all four stages", pipeline)
    inside = json.loads(output(folder, "python", str(PROJECT / "benchmarks" / "inside.py")))
    _tell_training(pipeline, inside)
    _tell(f"dvc repro, nothing to do (median of {RUNS})", median(folder, "dvc", "repro"))
    run(folder, "lockgate", "promote", "--reason", "bench", "--yes")
    _tell(f"lockgate --help (median of {RUNS})", median(folder, "lockgate", "--help"))
    _tell(f"lockgate status (median of {RUNS})", median(folder, "lockgate", "status"))
    _tell_predict(folder, inside)
    _tell_http(folder)
    _tell_crowded(folder)


def run(folder: Path, *words: str) -> Cost:
    """Run a command that has to succeed."""
    before, started = _children_cpu(), time.perf_counter()
    done = subprocess.run(words, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"error: {' '.join(words)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return Cost(wall, _children_cpu() - before)


def output(folder: Path, *words: str) -> str:
    """What a command prints."""
    return subprocess.run(
        words, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def median(folder: Path, *words: str) -> Cost:
    """The median cost of a command, after one run that is not counted."""
    run(folder, *words)
    costs = [run(folder, *words) for _ in range(RUNS)]
    return Cost(statistics.median(cost.wall for cost in costs), statistics.median(cost.cpu for cost in costs))


def environment(folder: Path) -> dict[str, str]:
    """This Python first, the copy's code, no services but the copy's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "PYTHONPATH": str(folder / "src"), "OMP_WAIT_POLICY": "PASSIVE"}


def copy_project(folder: Path) -> None:
    """Copy the project. Without files in data/raw, the copy uses the generated chain."""
    for name in COPIED:
        source, target = PROJECT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy2(source, target)
    (folder / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    if not any((folder / "data/raw").glob("train.csv*")):
        params = folder / "params.yaml"
        params.write_text(re.sub(r"^source: files", "source: generated", params.read_text(), flags=re.MULTILINE))


def _tell(what: str, cost: Cost, remark: str = "") -> None:
    print(f"{what:<52}{cost.wall:9.2f} s wall{cost.cpu:9.2f} s CPU  {remark}".rstrip(), flush=True)


def _tell_training(pipeline: Cost, inside: dict[str, Any]) -> None:
    """Features, fits and backtest; every share is of CPU times of the same process."""
    fits = inside["fits"]
    whole = _cost(fits["training"]["whole"])
    _tell("one training, in memory", whole)
    made = _cost(inside["features"])
    rate = inside["features"]["rows"] / made.cpu
    _tell(f"features of {inside['features']['rows']:,} rows", made, f"{rate:,.0f} rows/s CPU, {_share(made, whole)}")
    for name, part in fits["last"].items():
        _tell(f"{name}, one fit on all rows", _cost(part), _share(_cost(part), whole))
    for name, part in fits["folds"].items():
        _tell(f"{name}, {part['fits']} fits on the inner folds", _cost(part), _share(_cost(part), whole))
    last = sum(part["cpu"] for part in fits["last"].values())
    print(f"{'pipeline CPU / three fits on all rows':<52}{pipeline.cpu / last:9.1f} x")
    tested = inside["backtest"]
    each = Cost(tested["wall"] / tested["origins"], tested["cpu"] / tested["origins"])
    _tell(f"a backtest, by origin (mean of {tested['origins']})", each, f"{each.cpu / whole.cpu:.2f} x a training")


def _cost(part: dict[str, float]) -> Cost:
    return Cost(part["wall"], part["cpu"])


def _share(part: Cost, whole: Cost) -> str:
    return f"{part.cpu / whole.cpu:.1%} of a training's CPU"


def _tell_predict(folder: Path, inside: dict[str, Any]) -> None:
    plain, bounded = inside["predict"], inside["interval"]
    for what, part in (("forecaster in memory", plain), ("the same with bounds", bounded)):
        print(f"{what:<52}{part['rows'] / part['wall']:9,.0f} rows/s wall{part['rows'] / part['cpu']:9,.0f} rows/s CPU")
    print(f"{'CPU with bounds / without':<52}{bounded['cpu'] / plain['cpu']:9.2f} x")
    words = ("lockgate", "predict", "--input", "data/prepared/holdout.parquet", "--output", "build/out.csv", "--force")
    rows = len(pd.read_parquet(folder / "data/prepared/holdout.parquet"))
    cost = run(folder, *words)
    _tell(f"lockgate predict, {rows:,} rows", cost, f"{rows / cost.wall:,.0f} rows/s")


def _tell_http(folder: Path) -> None:
    rows = pd.read_csv(folder / "build/out.csv", dtype={"StateHoliday": str})[RAW_COLUMNS].head(REQUESTS)
    with _served(folder) as (port, server):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        _seconds_of(connection, rows.iloc[[0]])
        before = _tree_cpu(server)
        seconds = sorted(_seconds_of(connection, rows.iloc[[place]]) for place in range(len(rows)))
        cpu = (_tree_cpu(server) - before) / len(rows)
        connection.close()
    percent = statistics.quantiles(seconds, n=100)
    what, p50, p99 = f"one row over HTTP, {len(rows)} requests", percent[49] * 1e3, percent[98] * 1e3
    print(f"{what:<52}{p50:9.1f} ms p50{p99:9.1f} ms p99{cpu * 1e3:9.1f} ms CPU of the server")


def _tell_crowded(folder: Path) -> None:
    words = ("python", str(PROJECT / "benchmarks" / "crowded.py"), str(VERSIONS), str(PROMOTED), str(SWAPS))
    took = json.loads(output(folder, *words))
    guarded, bare = (statistics.median(took[kind]) for kind in ("guarded", "bare"))
    what = f"one promotion, {VERSIONS:,} versions, {PROMOTED:,} in the ledger"
    print(
        f"{what:<52}{guarded:9.1f} ms of the server, {max(took['guarded']):.1f} at most in {SWAPS};"
        f" {guarded / bare:.2f} x without the guard"
    )


@contextmanager
def _served(folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    model = json.loads((folder / "build/version.json").read_text())["model"]
    uri = output(folder, "lockgate", "env").split("MLFLOW_TRACKING_URI=")[1].split()[0]
    words = ["mlflow", "models", "serve", "-m", f"models:/{model}/Production", "--env-manager", "local"]
    process = subprocess.Popen(
        [*words, "--port", str(port)], cwd=folder, env=environment(folder) | {"MLFLOW_TRACKING_URI": uri},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        _wait_for(port)
        yield port, psutil.Process(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", "/ping")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except OSError:
            time.sleep(0.2)
    sys.exit("error: the endpoint did not start")


def _seconds_of(connection: http.client.HTTPConnection, row: pd.DataFrame) -> float:
    body = json.dumps({"dataframe_split": row.to_dict("split", index=False)})
    started = time.perf_counter()
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    said: Any = answer.read()
    if answer.status != http.HTTPStatus.OK:
        sys.exit(f"error: the endpoint answered {answer.status}: {said[:200]!r}")
    return time.perf_counter() - started


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tree_cpu(process: psutil.Process) -> float:
    times = [each.cpu_times() for each in [process, *process.children(recursive=True)]]
    return float(sum(each.user + each.system for each in times))


if __name__ == "__main__":
    main()
