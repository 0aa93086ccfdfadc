"""How prepare, train, predict and the gate grow with the rows of a generated chain, in process and on a Dask cluster.

Each run is a project in a temporary folder: the stages `prepare` and `train` as processes, then the forecasts of the
holdout by the bundle, then the findings of the gate and the datasets of the registration, without a registry (`judge`;
its memory is that of the command or of the sandbox, whichever is larger). CPU time is that of all processes; it is what
to compare, because wall time depends on what else the machine does. Prints a line for each run: against the smallest,
the ratio to linear growth, which the start of the processes flatters; and the CPU time of each row more than in the run
before, which it does not.

Run: python benchmarks/growth.py --stores 200 --times 1 4 16 --workers 0 2 --memory 4GB
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # for all processes, as for the workers of `lockgate up`
ROUNDS = 30  # of each booster: the same work for each row at every size
STAGES = ("prepare", "train", "predict", "judge")
PREDICT = """
from pathlib import Path
from lockgate.bundle import manifest, store
from lockgate.data import row_parts
from lockgate.engine import choice
from lockgate.engine.engine import InProcess
from lockgate.lifecycle.stages import Stage
from lockgate.operations.answering_version import AnsweringVersion
from lockgate.operations.load_version import Opened
from lockgate.operations.predict import Order
from lockgate.operations.predict_parts import PartsRun
from lockgate.problem.params import PARAMS_FILE, load_params
params, bundle = load_params(PARAMS_FILE), Path("build", "bundle")
prepared = Path("data", "prepared")
source = prepared / "holdout" if (prepared / "holdout").is_dir() else prepared / "holdout.parquet"
digest = manifest.digest(bundle)
version = AnsweringVersion("model", Opened(1, digest, store.load(bundle, digest)), Stage.PRODUCTION)
order = Order(params.problem, source, Path("forecast"), False, 0.95)
with choice.here(params.engine) as engine:
    run = PartsRun(order, row_parts.row_parts(source), version, None)
    run.forecast(engine, None if isinstance(engine, InProcess) else bundle)
"""
JUDGE = """
from pathlib import Path
from lockgate.bundle import manifest
from lockgate.data import dataset
from lockgate.evaluation import sandboxed
from lockgate.gate.evidence import HoldoutUse
from lockgate.operations import load_version, run_record
from lockgate.operations.load_version import Fetched
from lockgate.operations.score_candidate import CONFIDENCES, Circumstances, Tables, findings_of
from lockgate.problem.params import PARAMS_FILE, load_params
problem, bundle, prepared = load_params(PARAMS_FILE).problem, Path("build", "bundle"), Path("data", "prepared")
for part in ("rows", "holdout"):
    run_record.example_of(dataset.by_part(prepared, part))
tables, digest = Tables.read(prepared), manifest.digest(bundle)
inputs = tables.inputs(problem)
alone = load_version.alone_places(inputs)
request = sandboxed.Request(str(bundle.resolve()), digest, alone, str(prepared.resolve()), CONFIDENCES)
found = sandboxed.forecast(request, inputs, sandboxed.forecast_limits(len(inputs)))
assert isinstance(found, sandboxed.Forecasts), found
known = Circumstances.of(
    problem, Fetched(1, digest, bundle, True, True, "r"), tables, found.classes, HoldoutUse(), "r"
)
assert findings_of(tables, found, None, known).judged
"""


@dataclass(frozen=True)
class Cost:
    """Seconds of a stage, and the largest memory of its process and of a worker in MB."""

    wall: float
    cpu: float
    memory: float
    of_worker: float = 0.0


@dataclass(frozen=True)
class Cluster:
    """The workers of a run; none: everything is in process."""

    address: str = ""
    client: Any = None

    def used(self) -> tuple[float, float]:
        """CPU seconds of all workers, and the largest memory of one in MB."""
        if self.client is None:
            return 0.0, 0.0
        found = self.client.run(_used).values()
        return sum(cpu for cpu, _ in found), max(memory for _, memory in found)


def _used() -> tuple[float, float]:
    found = resource.getrusage(resource.RUSAGE_SELF)
    return found.ru_utime + found.ru_stime, found.ru_maxrss / 1024


@contextmanager
def cluster(workers: int, memory: str) -> Iterator[Cluster]:
    """A cluster of worker processes with one thread each; without workers, none."""
    if not workers:
        yield Cluster()
        return
    from distributed import Client, LocalCluster

    given = {"n_workers": workers, "threads_per_worker": 1, "memory_limit": memory, "dashboard_address": None}
    with LocalCluster(**given, host="127.0.0.1") as found, Client(found) as client:
        yield Cluster(found.scheduler_address, client)


def project(folder: Path, stores: int, given: argparse.Namespace) -> None:
    """A project folder with the chain's params, and boosters of few rounds."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["source"] = "generated"
    params["engine"] = {"sample_keys": given.sample, "booster_keys": given.booster_keys, "part_rows": given.part_rows}
    params["generator"] |= {"stores": stores, "days": given.days}
    params["training"] |= {"max_rounds": ROUNDS, "patience": ROUNDS, "fold_ends_days_ago": [0], "cutoff_shifts": [0]}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    (folder / "data/raw").mkdir(parents=True)


def measured(words: Sequence[str], folder: Path, on: Cluster) -> Cost:
    """The cost of a process and of what the workers do meanwhile."""
    environment = os.environ | ({"LOCKGATE_DASK": on.address} if on.address else {})
    before, started = on.used()[0], time.monotonic()
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([sys.executable, *words], cwd=folder, env=environment, stdout=log, stderr=log)
        _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(words)}\n{(folder / 'log').read_text(encoding='utf-8')[-3000:]}")
    cpu, of_worker = on.used()
    own = used.ru_utime + used.ru_stime
    return Cost(time.monotonic() - started, own + cpu - before, used.ru_maxrss / 1024, of_worker)


def run(stores: int, given: argparse.Namespace, workers: int) -> dict[str, Cost]:
    """The costs of the stages for a chain of this size."""
    folder = Path(tempfile.mkdtemp(prefix="lockgate-growth-"))
    try:
        with cluster(workers, given.memory) as on:
            project(folder, stores, given)
            stages = (
                ["-m", "lockgate.pipeline.prepare", "data/raw", "data/prepared"],
                ["-m", "lockgate.pipeline.train", "data/prepared", "build"],
                ["-c", PREDICT],
                ["-c", JUDGE],
            )
            return {name: measured(words, folder, on) for name, words in zip(STAGES, stages, strict=True)}
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=int, default=200)
    parser.add_argument("--days", type=int, default=900)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2], help="0: in process")
    parser.add_argument("--memory", default="4GB", help="of each worker")
    parser.add_argument("--sample", type=int, default=200, help="engine.sample_keys")
    parser.add_argument("--booster-keys", type=int, help="engine.booster_keys")
    parser.add_argument("--part-rows", type=int, default=500_000, help="engine.part_rows")
    given = parser.parse_args()
    print("| rows | where | stage | wall s | CPU s | peak MB | peak MB of a worker | to linear | us CPU, further row |")
    print("|---|---|---|---|---|---|---|---|---|")
    for workers in given.workers:
        runs: list[tuple[int, dict[str, Cost]]] = []
        for times in given.times:
            rows = given.stores * times * given.days
            runs.append((rows, run(given.stores * times, given, workers)))
            for stage in STAGES:
                line(f"{workers} workers" if workers else "in process", stage, [(each, by[stage]) for each, by in runs])


def line(where: str, stage: str, runs: Sequence[tuple[int, Cost]]) -> None:
    """Print the last of some runs of a stage beside the first one and the one before it."""
    (least, first), (rows, cost) = runs[0], runs[-1]
    more = ""
    if len(runs) > 1:
        before, cheaper = runs[-2]
        more = f"{1e6 * (cost.cpu - cheaper.cpu) / (rows - before):.1f}"
    ratio = cost.cpu / first.cpu / (rows / least)
    numbers = f"{cost.wall:.0f} | {cost.cpu:.1f} | {cost.memory:.0f} | {cost.of_worker:.0f} | {ratio:.2f} | {more}"
    print(f"| {rows:,} | {where} | {stage} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
