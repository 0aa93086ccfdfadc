"""Stage train: data/prepared -> build/bundle, metrics.json and tables of scores, curves and importances.

    python -m lockgate.pipeline.train data/prepared build

Uses no registry. The same rows, params and thread count give the same bundle. LOCKGATE_DASK, or `engine` of
params.yaml, names the Dask cluster on which a panel is trained.
"""

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait by spinning cost 2.5x CPU on a busy machine

from lockgate.bundle import store
from lockgate.bundle.snapshot import snapshot_of
from lockgate.data import dataset
from lockgate.engine import choice
from lockgate.engine.engine import Engine, InProcess
from lockgate.problem.params import PARAMS_FILE, Params, load_params
from lockgate.system import exit_codes
from lockgate.system.progress import watch
from lockgate.training import report_files
from lockgate.training.fitting import Progress
from lockgate.training.partitions import Source
from lockgate.training.train import Trained, train

if TYPE_CHECKING:
    from lockgate.engine.dask_cluster import OnDask


def main(data: Path, build: Path) -> None:
    """Write the bundle and the report of a training into `build`. Raises BadData for too little history."""
    params = load_params(PARAMS_FILE)
    with choice.here(params.engine) as engine, watch("train") as progress:
        found = _trained(data, params, engine, progress)
    digest = store.save(found.forecaster, build / "bundle", snapshot_of(found.forecaster, found.rows))
    report_files.write(found.report, build)
    until = dataset.trained_until(data)
    sys.stdout.write(
        f"{report_files.summary(found.report)}\nbundle {digest[:12]}{f', trained until {until}' if until else ''}\n"
    )


def _trained(data: Path, params: Params, engine: Engine, progress: Progress) -> Trained:
    static = dataset.read(data, "static")
    if params.problem.kind == "panel" and not isinstance(engine, InProcess):
        from lockgate.training import distributed

        read = partial(dataset.read_part, data.resolve(), "rows")
        source = Source(len(dataset.parts(data, "rows")), read, static)
        return distributed.train(distributed.Training(source, params, cast("OnDask", engine), progress))
    rows = dataset.read(data, "rows")
    return Trained(*train(rows, static, params, progress, engine), rows)


if __name__ == "__main__":
    exit_codes.stage(main)
