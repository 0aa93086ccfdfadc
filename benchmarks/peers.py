"""`make bench-peers`: our blend beside other libraries on the problems of this repository, in one run and on one split.

    python benchmarks/peers.py PEERS_PYTHON [PROBLEM ...]

For each problem: prepare, train, and forecast the holdout; then HistGradientBoosting on the same columns, and FLAML (no
time, or a state) or mlforecast (a panel), which may use as much CPU as our training did. Prints the score of each one,
how much worse than ours it is with a 95 % interval of the difference, and its CPU-seconds. PEERS_PYTHON is the Python
of a venv with peers-requirements.txt. Data are those of the problem's data/raw, or else generated.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lockgate.bundle import manifest, store
from lockgate.data import dataset
from lockgate.evaluation.paired_test import Actual
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import Params, load_params

PROJECT = Path(__file__).resolve().parents[1]
TOP = "rossmann"
PEER = PROJECT / "benchmarks" / "peer_models.py"


@dataclass(frozen=True)
class Peer:
    """A library's forecasts of the holdout, and the CPU-seconds of its fit and forecast."""

    library: str
    forecast: Any
    cpu_seconds: float


def main(peers_python: str, problems: list[str]) -> None:
    """Measure each problem and print a table."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    for name in problems or [TOP, *sorted(path.name for path in (PROJECT / "examples").iterdir() if path.is_dir())]:
        with tempfile.TemporaryDirectory(prefix="lockgate-peers-") as folder:
            _copy(name, Path(folder))
            _measure(name, Path(folder), peers_python)


def _copy(name: str, folder: Path) -> None:
    """The problem's params and raw data; generated data where there are none."""
    origin = PROJECT if name == TOP else PROJECT / "examples" / name
    shutil.copy(origin / "params.yaml", folder)
    (folder / "data" / "raw").mkdir(parents=True)
    raw = [path for path in (origin / "data" / "raw").glob("*") if path.is_file() and not path.name.startswith(".")]
    for path in raw:
        shutil.copy(path, folder / "data" / "raw")
    if raw:
        return
    if name == TOP:
        text = (folder / "params.yaml").read_text()
        (folder / "params.yaml").write_text(text.replace("source: files", "source: generated", 1))
    else:
        shutil.copy(origin / "generate.py", folder)
        _run(folder, sys.executable, "generate.py")


def _measure(name: str, folder: Path, peers_python: str) -> None:
    params = load_params(folder / "params.yaml")
    _run(folder, sys.executable, "-m", "lockgate.pipeline.prepare", "data/raw", "data/prepared")
    cpu = _run(folder, sys.executable, "-m", "lockgate.pipeline.train", "data/prepared", "build")
    prepared, bundle = folder / "data" / "prepared", folder / "build" / "bundle"
    holdout = dataset.read(prepared, "holdout")
    forecaster = store.load(bundle, manifest.digest(bundle))
    ours = Peer("lockgate", forecaster.predict(holdout.drop(columns=params.problem.target)), cpu)
    described = params.problem.model_dump(mode="json")
    (prepared / "peer.json").write_text(json.dumps({"problem": described, "cpu_seconds": cpu}))
    libraries = ("hist_gradient_boosting", "mlforecast" if params.problem.kind == "panel" else "flaml")
    peers = [_peer(library, prepared, peers_python) for library in libraries]
    _print_table(name, params, holdout, getattr(forecaster, "classes", ()), [ours, *peers])


def _peer(library: str, prepared: Path, peers_python: str) -> Peer:
    done = subprocess.run(
        [peers_python, str(PEER), library, str(prepared)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"error: {library} ended with {done.returncode}\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return Peer(library, np.load(prepared / f"{library}.npy"), found["cpu_seconds"])


def _print_table(name: str, params: Params, holdout: pd.DataFrame, classes: tuple[str, ...], found: list[Peer]) -> None:
    """Score, difference to the first with its interval, and CPU-seconds of each."""
    metric, problem = METRICS[params.problem.metric], params.problem
    actual = Actual.of(problem, metric, holdout, classes)
    print(f"\n{name}: {metric.label}, {metric.better} is better, {int(actual.counts.sum()):,} rows of the holdout")
    print(f"{'':24} {'score':>10} {'worse by':>10} {'95 % interval':>24} {'CPU-s':>8}")
    for peer in found:
        gap = " " * 35 if peer is found[0] else _gap(actual, peer, found[0])
        print(f"{peer.library:24} {metric.shown(actual.score(peer.forecast)):>10} {gap} {peer.cpu_seconds:>8.1f}")


def _gap(actual: Actual, peer: Peer, ours: Peer) -> str:
    difference = actual.compare(peer.forecast, ours.forecast).difference
    low, high = difference.interval()
    return f"{actual.metric.shown_change(difference.value):>10} {f'{low:.5g} .. {high:.5g}':>24}"


def _run(folder: Path, *words: str) -> float:
    """Run a command that has to succeed; its CPU-seconds, children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: {' '.join(words)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, 1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
