"""One project in process and on a Dask cluster: time, CPU, memory, and the metric on the holdout.

Run: python benchmarks/same_project.py PROJECT --samples 2000 300 --workers 2 --memory 4GB --part-rows 220000. PROJECT
has params.yaml and data/raw, and is not changed: each run is a project in a temporary folder. Each number of
`--samples` is the `engine.sample_keys` of a run on the cluster.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import growth
import yaml

SCORE = """
from pathlib import Path
from lockgate.bundle import manifest, store
from lockgate.data import dataset
from lockgate.evaluation.paired_test import Actual
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import PARAMS_FILE, load_params
problem, bundle, prepared = load_params(PARAMS_FILE).problem, Path("build", "bundle"), Path("data", "prepared")
forecaster, holdout = store.load(bundle, manifest.digest(bundle)), dataset.read(prepared, "holdout")
actual = Actual.of(problem, METRICS[problem.metric], holdout, (), dataset.read(prepared, "rows"))
print(actual.score(forecaster.predict(holdout.drop(columns=problem.target))))
"""


def run(given: argparse.Namespace, engine: Mapping[str, Any], workers: int) -> None:
    """Print the costs of the stages, and the score."""
    folder = Path(tempfile.mkdtemp(prefix="lockgate-same-"))
    where = f"{workers} workers, sample of at most {engine['sample_keys']} keys" if workers else "in process"
    try:
        shutil.copytree(given.project / "data" / "raw", folder / "data" / "raw")
        params = yaml.safe_load((given.project / "params.yaml").read_text(encoding="utf-8"))
        (folder / "params.yaml").write_text(yaml.safe_dump(params | {"engine": dict(engine)}, sort_keys=False))
        with growth.cluster(workers, given.memory) as on:
            for stage, output in (("prepare", "data/prepared"), ("train", "build")):
                words = [
                    "-m",
                    f"lockgate.pipeline.{stage}",
                    "data/raw" if stage == "prepare" else "data/prepared",
                    output,
                ]
                cost = growth.measured(words, folder, on)
                numbers = f"{cost.wall:.0f} | {cost.cpu:.0f} | {cost.memory:.0f} | {cost.of_worker:.0f}"
                print(f"| {where} | {stage} | {numbers} | |", flush=True)
        print(f"| {where} | holdout | | | | | {holdout_score(folder):.5f} |", flush=True)
    finally:
        shutil.rmtree(folder)


def holdout_score(folder: Path) -> float:
    """The metric of a project's bundle on its holdout."""
    found = subprocess.run([sys.executable, "-c", SCORE], cwd=folder, check=True, capture_output=True, text=True)
    return float(found.stdout)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--samples", type=int, nargs="+", default=[2000, 300], help="engine.sample_keys of each run")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", default="4GB", help="of each worker")
    parser.add_argument("--part-rows", type=int, default=220_000, help="engine.part_rows")
    given = parser.parse_args()
    print("| where | stage | wall s | CPU s | peak MB | peak MB of a worker | metric |\n|---|---|---|---|---|---|---|")
    run(given, {"part_rows": given.part_rows}, 0)
    for sample in given.samples:
        run(given, {"part_rows": given.part_rows, "sample_keys": sample}, given.workers)


if __name__ == "__main__":
    main()
