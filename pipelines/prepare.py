"""Stage prepare: data/raw -> rows.parquet, holdout.parquet, stores.parquet and card.json.

    python pipelines/prepare.py data/raw data/prepared

`source` in params.yaml decides: train.csv and store.csv (or .csv.gz) in data/raw, or the generator.
"""

import sys
from pathlib import Path

from lockgate import exits
from lockgate.data import generator, holdout, prepared, tables
from lockgate.data.datacard import card_of
from lockgate.params import load_params


def main(raw: Path, folder: Path) -> None:
    params = load_params(Path("params.yaml"))
    days = params.split.holdout_days
    if files := tables.raw_files(raw, params.source):
        chain, source = tables.read_tables(*files), tables.source_of(*files)
    else:
        chain, source = generator.tables_and_source(params.generator, days)
    parts = holdout.split(chain.rows, days)
    card = card_of(source, chain, parts)
    prepared.write(folder, {"rows": parts.rows, "holdout": parts.holdout, "stores": chain.stores}, card)
    for note in chain.notes:
        sys.stderr.write(f"warning: {note}\n")
    sys.stdout.write(f"{len(parts.rows):,} rows to train on, {len(parts.holdout):,} held out after {parts.cutoff}\n")


if __name__ == "__main__":
    exits.script(lambda: main(Path(sys.argv[1]), Path(sys.argv[2])))
