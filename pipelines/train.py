"""Stage train: data/prepared -> build/bundle, metrics.json and tables of scores, curves and importances."""

import sys
from pathlib import Path

from lockgate.pipeline import train
from lockgate.system import exit_codes

if __name__ == "__main__":
    exit_codes.script(lambda: train.main(*map(Path, sys.argv[1:])))
