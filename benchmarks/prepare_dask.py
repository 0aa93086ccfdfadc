"""Time, CPU and peak memory of preparing a panel in parts, on a local Dask cluster or in this process.

Run it at the root: `python benchmarks/prepare_dask.py SOURCE STORES DAYS [WORKERS MEMORY]`, for example
`python benchmarks/prepare_dask.py files 5000 900 4 1GB`. SOURCE is `generated`, or `files`: the chain is first written
as csv parts, whose rows are by day as in Kaggle's file, so that the rows of each store are in every part. Without
WORKERS, the parts are prepared in this process. Peak memory is that of the largest worker and of this process.
"""

import json
import resource
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from time import perf_counter

import numpy as np
from distributed import LocalCluster

from lockgate.data import ingest
from lockgate.data.data_card import Card
from lockgate.engine import dask_cluster
from lockgate.engine.engine import Engine, InProcess
from lockgate.pipeline import prepare_in_parts
from lockgate.pipeline.prepare_in_parts import Plan
from lockgate.problem.params import PARAMS_FILE, GeneratorParams, load_params
from lockgate.synthetic import generator

SECONDS = 120.0
RAW_PARTS = 16
STORES_AT_ONCE = 500


def used() -> tuple[float, float]:
    """CPU seconds and peak memory in MB of the process that calls it."""
    found = resource.getrusage(resource.RUSAGE_SELF)
    return found.ru_utime + found.ru_stime, found.ru_maxrss / 1024


def write_raw(folder: Path, params: GeneratorParams) -> int:
    """Write the chain as csv parts by day, and return their bytes."""
    drawn = generator.draft(params, STORES_AT_ONCE)
    (folder / "train.csv").mkdir(parents=True)
    for number in range(len(drawn.streams)):
        raw = drawn.chain(number).raw
        day = raw["Date"].to_numpy().astype("datetime64[D]").astype(np.int64)
        part = (day - day.min()) * RAW_PARTS // (day.max() - day.min() + 1)
        for place in range(RAW_PARTS):
            path = folder / "train.csv" / f"part-{place:05}.csv"
            raw[part == place].sort_values("Date").to_csv(path, index=False, mode="a", header=not path.exists())
    drawn.stores.to_csv(folder / "store.csv", index=False)
    return sum(path.stat().st_size for path in (folder / "train.csv").iterdir())


def prepared(source: str, params: GeneratorParams, folder: Path, engine: Engine) -> Card:
    """Prepare the chain into a folder."""
    settings = load_params(PARAMS_FILE)
    plan = Plan(settings.problem, folder / "prepared", settings.engine.part_rows, engine, shown)
    if source == "generated":
        return prepare_in_parts.generate(plan, params)
    return prepare_in_parts.prepare(plan, ingest.raw_files(settings.problem, folder / "raw", "files") or ())


def shown(name: str, done: int, total: int) -> None:
    """Print that a step has ended."""
    if done == total:
        print(f"{perf_counter() - START:8.1f} s  {name}: {total} tasks", file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print a line of JSON."""
    source, stores, days = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    workers, memory = (int(sys.argv[4]), sys.argv[5]) if len(sys.argv) > 4 else (0, "")
    params = GeneratorParams(seed=7, stores=stores, days=days)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        raw = write_raw(folder / "raw", params) if source == "files" else 0
        if not workers:
            return measure(source, params, folder, None, raw)
        with LocalCluster(
            n_workers=workers, threads_per_worker=1, memory_limit=memory, dashboard_address=None
        ) as cluster:
            measure(source, params, folder, cluster.scheduler_address, raw)


def measure(source: str, params: GeneratorParams, folder: Path, address: str | None, raw: int) -> None:
    """Prepare once, and print what it took."""
    connected = dask_cluster.connected(address, SECONDS) if address else nullcontext(InProcess())
    with connected as engine:
        begun, before = perf_counter(), used()[0]
        card = prepared(source, params, folder, engine)
        wall = perf_counter() - begun
        cpu, peak = used()
        found = list(engine.client.run(used).values()) if address else []
    print(
        json.dumps(
            {
                "rows": card["rows"]["count"] + card["holdout"]["count"],
                "parts": len(card["rows"]["parts"]),
                "raw_mb": round(raw / 1e6),
                "seconds": round(wall, 1),
                "cpu_of_workers": round(sum(each for each, _ in found), 1),
                "cpu_here": round(cpu - before, 1),
                "peak_mb_of_a_worker": round(max((each for _, each in found), default=0)),
                "peak_mb_here": round(peak),
            }
        )
    )


START = perf_counter()

if __name__ == "__main__":
    main()
