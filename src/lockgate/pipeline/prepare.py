"""Stage prepare: data/raw -> rows.parquet, holdout.parquet, static.parquet and card.json.

    python -m lockgate.pipeline.prepare data/raw data/prepared

`source` in params.yaml decides: the files that the problem describes (or .gz of them), or the generator.
"""

import sys
from pathlib import Path

from lockgate.data import dataset, ingest, split
from lockgate.data.data_card import GeneratedSource, card_of
from lockgate.data.ingest import FileSource, Tables
from lockgate.features import declared
from lockgate.problem.params import PARAMS_FILE, Params, load_params
from lockgate.synthetic import generator
from lockgate.system import exit_codes


def main(raw: Path, folder: Path) -> None:
    """Write the tables and their card into `folder`. Raises BadData for data that break the description."""
    params = load_params(PARAMS_FILE)
    problem = params.problem
    declared.check(problem)
    tables, source = _tables(params, raw)
    parts = split.split(problem, tables.rows)
    card = card_of(problem, source, tables, parts)
    dataset.write(folder, {"rows": parts.rows, "holdout": parts.holdout, "static": tables.static}, card)
    for note in tables.notes:
        sys.stderr.write(f"warning: {note}\n")
    after = f" after {parts.cutoff}" if parts.cutoff else ""
    sys.stdout.write(f"{len(parts.rows):,} rows to train on, {len(parts.holdout):,} held out{after}\n")


def _tables(params: Params, raw: Path) -> tuple[Tables, FileSource | GeneratedSource]:
    files = ingest.raw_files(params.problem, raw, params.source)
    if files is None:
        return generator.tables_and_source(params.generator, params.problem)
    return ingest.read(params.problem, files), ingest.source_of(*files)


if __name__ == "__main__":
    exit_codes.stage(main)
