"""Stage train: data/prepared -> build/bundle, metrics.json and tables of scores, curves and importances.

    python -m lockgate.pipeline.train data/prepared build

Uses no registry. The same rows, params and thread count give the same bundle.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait by spinning cost 2.5x CPU on a busy machine

from lockgate.bundle import store
from lockgate.data import dataset
from lockgate.problem.params import load_params
from lockgate.system import exit_codes
from lockgate.system.progress import watch
from lockgate.training import report_files
from lockgate.training.train import train


def main() -> None:
    """Run the stage; its folders and files are the arguments of the command."""
    data, build = map(Path, sys.argv[1:])
    params = load_params(Path("params.yaml"))
    rows, stores = dataset.read(data, "rows"), dataset.read(data, "stores")
    with watch("train") as progress:
        forecaster, report = train(rows, stores, params, progress)
    digest = store.save(forecaster, build / "bundle")
    report_files.write(report, build)
    sys.stdout.write(f"{report_files.summary(report)}\nbundle {digest[:12]}, trained until {forecaster.origin}\n")


if __name__ == "__main__":
    exit_codes.script(main)
