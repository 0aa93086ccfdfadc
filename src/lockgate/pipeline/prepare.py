"""Stage prepare: data/raw -> rows.parquet, holdout.parquet, stores.parquet and card.json.

    python -m lockgate.pipeline.prepare data/raw data/prepared

`source` in params.yaml decides: train.csv and store.csv (or .csv.gz) in data/raw, or the generator.
"""

import sys
from pathlib import Path

from lockgate.data import dataset, ingest, split
from lockgate.data.data_card import card_of
from lockgate.problem.params import load_params
from lockgate.synthetic import generator
from lockgate.system import exit_codes


def main() -> None:
    """Run the stage; its folders and files are the arguments of the command."""
    raw, folder = map(Path, sys.argv[1:])
    params = load_params(Path("params.yaml"))
    days = params.horizon
    if files := ingest.raw_files(raw, params.source):
        chain, source = ingest.read_tables(*files), ingest.source_of(*files)
    else:
        chain, source = generator.tables_and_source(params.generator, days)
    parts = split.split(chain.rows, days)
    card = card_of(source, chain, parts)
    dataset.write(folder, {"rows": parts.rows, "holdout": parts.holdout, "stores": chain.stores}, card)
    for note in chain.notes:
        sys.stderr.write(f"warning: {note}\n")
    sys.stdout.write(f"{len(parts.rows):,} rows to train on, {len(parts.holdout):,} held out after {parts.cutoff}\n")


if __name__ == "__main__":
    exit_codes.script(main)
