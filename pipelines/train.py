"""Stage train: data/prepared -> bundle/, metrics.json and tables of how it came to be, under build.

    python pipelines/train.py data/prepared build

Knows no registry. The same rows, params and thread count give the same bundle.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait by spinning cost 2.5x CPU on a busy machine

from lockgate import exits
from lockgate.data import prepared
from lockgate.forecast import bundle, featurecost, training, trainreport
from lockgate.forecast.watching import watch
from lockgate.params import load_params


def main(data: Path, build: Path) -> None:
    params = load_params(Path("params.yaml"))
    rows, stores = prepared.read(data, "rows"), prepared.read(data, "stores")
    with watch("train") as progress, featurecost.counting() as account:
        forecaster, report = training.train(rows, stores, params, progress)
    digest = bundle.save(forecaster, build / "bundle")
    trainreport.write(report, account, build)
    sys.stdout.write(f"{trainreport.summary(report)}\nbundle {digest[:12]}, trained until {forecaster.origin}\n")


if __name__ == "__main__":
    exits.script(lambda: main(Path(sys.argv[1]), Path(sys.argv[2])))
