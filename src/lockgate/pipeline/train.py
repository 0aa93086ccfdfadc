"""Stage train: data/prepared -> build/bundle, metrics.json and tables of scores, curves and importances.

    python -m lockgate.pipeline.train data/prepared build

Uses no registry. The same rows, params and thread count give the same bundle.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait by spinning cost 2.5x CPU on a busy machine

from lockgate.bundle import store
from lockgate.bundle.snapshot import snapshot_of
from lockgate.data import dataset
from lockgate.problem.params import PARAMS_FILE, load_params
from lockgate.system import exit_codes
from lockgate.system.progress import watch
from lockgate.training import report_files
from lockgate.training.train import train


def main(data: Path, build: Path) -> None:
    """Write the bundle and the report of a training into `build`. Raises BadData for too little history."""
    params = load_params(PARAMS_FILE)
    rows, static = dataset.read(data, "rows"), dataset.read(data, "static")
    with watch("train") as progress:
        forecaster, report = train(rows, static, params, progress)
    digest = store.save(forecaster, build / "bundle", snapshot_of(forecaster, rows))
    report_files.write(report, build)
    until = dataset.trained_until(data)
    sys.stdout.write(
        f"{report_files.summary(report)}\nbundle {digest[:12]}{f', trained until {until}' if until else ''}\n"
    )


if __name__ == "__main__":
    exit_codes.stage(main)
