"""Stage prepare: data/raw -> rows.parquet, holdout.parquet, static.parquet and card.json."""

from lockgate.pipeline import prepare
from lockgate.system import exit_codes

if __name__ == "__main__":
    exit_codes.stage(prepare.main)
