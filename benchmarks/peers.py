"""`make bench-peers`: our blend beside other libraries on the problems of this repository, in one run and on one split.

    python benchmarks/peers.py PEERS_PYTHON [PROBLEM ...]

For each problem: prepare, train, and forecast the holdout; then HistGradientBoosting, and FLAML and AutoGluon (no time,
or a state) or mlforecast (a panel), each of which may use as much CPU as our training did; one that takes far more is
ended. Prints the score of each one with its 95 % interval, how much worse than ours it is with a 95 % interval of the
difference, its CPU-seconds and its columns. PEERS_PYTHON is the Python of a venv with peers-requirements.txt. Data are
those of the problem's data/raw, or else generated. Results and what each library gets: docs/explanation/peers.md.
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
from lockgate.data.data_card import Part
from lockgate.evaluation.paired_test import Actual
from lockgate.features.plain_table.declaration import declaration
from lockgate.problem.description import Problem
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import Params, load_params

PROJECT = Path(__file__).resolve().parents[1]
TOP = "rossmann"
OURS = "lockgate"
OF_TABLES, OF_PANELS = ("hist_gradient_boosting", "flaml", "autogluon"), ("hist_gradient_boosting", "mlforecast")
PARTS: tuple[Part, ...] = ("rows", "holdout", "static")
MOST, STARTING, WAIT = 3, 120, 4  # a library is ended after MOST times our CPU-seconds and STARTING more
PEER = PROJECT / "benchmarks" / "peer_models.py"


@dataclass(frozen=True)
class Peer:
    """A library's forecasts of the holdout, and the CPU-seconds of its fit and forecast; or why it has none."""

    library: str
    forecast: Any
    cpu_seconds: float
    columns: str
    failure: str = ""


def main(peers_python: str, problems: list[str]) -> None:
    """Measure each problem and print a table."""
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # waiting threads use no CPU
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
    forecast = forecaster.predict(holdout.drop(columns=params.problem.target))
    ours = Peer(OURS, forecast, cpu, "those of the recipe")
    _write_tables(prepared, params.problem, cpu)
    libraries = OF_PANELS if params.problem.kind == "panel" else OF_TABLES
    peers = [_peer(library, prepared, peers_python, MOST * cpu + STARTING) for library in libraries]
    _print_table(name, params, holdout, getattr(forecaster, "classes", ()), [ours, *peers])


def _write_tables(prepared: Path, problem: Problem, cpu: float) -> None:
    """What peer_models.py reads: the prepared tables with the declared columns of the description, and the problem."""
    for part in PARTS:
        frame = dataset.read(prepared, part)
        if problem.kind == "table" and len(frame):
            declared = declaration(problem)
            frame = frame.assign(**{source.name: source.texts(frame) for source in declared.categories})
            frame = frame.assign(**{source.name: source.numbers(frame) for source in declared.numbers})
        frame.to_parquet(prepared / f"peer_{part}.parquet")
    asked = {"problem": problem.model_dump(mode="json"), "cpu_seconds": cpu}
    (prepared / "peer.json").write_text(json.dumps(asked))


def _peer(library: str, prepared: Path, peers_python: str, most: float) -> Peer:
    """The forecasts of a library, which is ended after `most` CPU-seconds, or WAIT times as long by the clock."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (int(most), int(most)))

    words = [peers_python, "-W", "ignore", str(PEER), library, str(prepared)]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=WAIT * most, preexec_fn=limit
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Peer(library, None, most, "", f"it did not end in {WAIT * most:.0f} s")
    if done.returncode < 0:
        return Peer(library, None, most, "", f"it did not end in {most:.0f} CPU-s")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        return Peer(library, None, 0.0, "", last[:100])
    found = json.loads(done.stdout.splitlines()[-1])
    return Peer(library, np.load(prepared / f"{library}.npy"), found["cpu_seconds"], found["columns"])


def _print_table(name: str, params: Params, holdout: pd.DataFrame, classes: tuple[str, ...], found: list[Peer]) -> None:
    """Score with interval, difference to the first with its interval, and CPU-seconds of each; then the columns."""
    metric, problem = METRICS[params.problem.metric], params.problem
    actual = Actual.of(problem, metric, holdout, classes)
    print(f"\n{name}: {metric.label}, {metric.better} is better, {int(actual.counts.sum()):,} rows of the holdout")
    print(f"{'':22} {'score':>9} {'95 % interval':>20} {'worse by':>9} {'95 % interval':>22} {'CPU-s':>7}")
    scored = [peer for peer in found if not peer.failure]
    for peer in scored:
        own = _between(*actual.interval(peer.forecast))
        gap = " " * 32 if peer is found[0] else _gap(actual, peer, found[0])
        score = metric.shown(actual.score(peer.forecast))
        print(f"{peer.library:22} {score:>9} {own:>20} {gap} {peer.cpu_seconds:>7.1f}")
    for peer in found:
        said = (
            f"no forecast of {peer.library}: {peer.failure}"
            if peer.failure
            else f"columns of {peer.library}: {peer.columns}"
        )
        print(f"  {said}", flush=True)


def _gap(actual: Actual, peer: Peer, ours: Peer) -> str:
    difference = actual.compare(peer.forecast, ours.forecast).difference
    return f"{actual.metric.shown_change(difference.value):>9} {_between(*difference.interval()):>22}"


def _between(low: float, high: float) -> str:
    return f"{low:.4g} .. {high:.4g}"


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
