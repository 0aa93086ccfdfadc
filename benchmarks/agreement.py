"""How far the forecasts of a training on two Dask workers are from those in process, by the metric on the holdout.

Each line is a generated chain and a seed of the training: the stages `prepare` and `train` in process, then on a
cluster, in parts of `--part-rows` rows. Each project is in a temporary folder.

Run: python benchmarks/agreement.py --stores 12 --days 500 --chains 3 4 5 6 8 --seeds 7 11
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import growth
import same_project
import yaml

FAST = {"max_rounds": 60, "patience": 20, "fold_ends_days_ago": [0, 42]}


@contextmanager
def project(given: argparse.Namespace, chain: int, seed: int) -> Iterator[Path]:
    """A project folder with a chain, for one training."""
    folder = Path(tempfile.mkdtemp(prefix="lockgate-agreement-"))
    params = yaml.safe_load((growth.ROOT / "params.yaml").read_text(encoding="utf-8"))
    params |= {"source": "generated", "seed": seed, "engine": {"part_rows": given.part_rows}}
    params["generator"] |= {"stores": given.stores, "days": given.days, "seed": chain}
    params["training"] |= FAST
    try:
        (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
        (folder / "data/raw").mkdir(parents=True)
        yield folder
    finally:
        shutil.rmtree(folder)


def score(given: argparse.Namespace, chain: int, seed: int, workers: int) -> float:
    """The metric of one training on the holdout."""
    with project(given, chain, seed) as folder, growth.cluster(workers, given.memory) as on:
        growth.measured(["-m", "lockgate.pipeline.prepare", "data/raw", "data/prepared"], folder, on)
        growth.measured(["-m", "lockgate.pipeline.train", "data/prepared", "build"], folder, on)
        return same_project.holdout_score(folder)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=int, default=12)
    parser.add_argument("--days", type=int, default=500)
    parser.add_argument("--chains", type=int, nargs="+", default=[3, 4, 5, 6, 8], help="seeds of the generator")
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 11], help="seeds of the training")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", default="4GB", help="of each worker")
    parser.add_argument("--part-rows", type=int, default=2000, help="engine.part_rows")
    given = parser.parse_args()
    print("| seed of the chain | seed | in process | on workers | difference |\n|---|---|---|---|---|")
    for chain in given.chains:
        for seed in given.seeds:
            here, there = (score(given, chain, seed, workers) for workers in (0, given.workers))
            print(f"| {chain} | {seed} | {here:.5f} | {there:.5f} | {there / here - 1:+.2%} |", flush=True)


if __name__ == "__main__":
    main()
