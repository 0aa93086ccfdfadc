"""Stage prepare: data/raw -> rows.parquet, holdout.parquet, static.parquet and card.json."""

import sys
from pathlib import Path

from lockgate.pipeline import prepare
from lockgate.system import exit_codes

if __name__ == "__main__":
    exit_codes.script(lambda: prepare.main(*map(Path, sys.argv[1:])))
