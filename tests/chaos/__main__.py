"""python -m chaos: a run on a stack of its own; exit 1 with what was broken, and the seed, if an invariant was."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from chaos import scene, summary
from chaos.run import Plan, run

BUNDLES = 60


def main() -> int:
    options = _options()
    plan = Plan(options.seconds, options.seed, options.workers)
    folder = options.keep or Path(tempfile.mkdtemp(prefix="lockgate-chaos-"))
    with scene.opened(folder, BUNDLES) as opened:
        report = run(opened, plan)
    print(summary.told(report))
    if options.keep or report.violations:
        print(f"journals and logs are in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if report.violations else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="how long the workers work")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="what is drawn follows from it")
    parser.add_argument("--workers", type=int, default=4, help="how many work at once")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="play there, and leave journals and logs behind")
    options = parser.parse_args()
    if options.keep and options.keep.exists() and any(options.keep.iterdir()):
        parser.error(f"{options.keep} is not empty; a run begins in a folder of its own")
    return options


if __name__ == "__main__":
    sys.exit(main())
