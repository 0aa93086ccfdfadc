"""Stage prepare: data/raw -> rows.parquet, holdout.parquet, static.parquet and card.json.

    python -m lockgate.pipeline.prepare data/raw data/prepared

`source` in params.yaml decides: the files that the problem describes (or .gz of them, or folders of their parts), or
the generator. With the engine `dask`, a panel becomes folders of parts, rows/ and holdout/, instead of one file each.
"""

import sys
from pathlib import Path

from lockgate.data import dataset, ingest, split
from lockgate.data.data_card import PARTS, Card, GeneratedSource, card_of
from lockgate.data.ingest import FileSource, Tables
from lockgate.engine import choice
from lockgate.engine.engine import InProcess
from lockgate.features import declared
from lockgate.pipeline import prepare_in_parts
from lockgate.pipeline.prepare_in_parts import Plan
from lockgate.problem.params import PARAMS_FILE, Params, load_params
from lockgate.synthetic import generator
from lockgate.system import exit_codes
from lockgate.system.readable_line import visible

STEPS_SHOWN = 10  # of a long step, on stderr


def main(raw: Path, folder: Path) -> None:
    """Write the tables and their card into `folder`. Raises BadData for data that break the description."""
    params = load_params(PARAMS_FILE)
    problem = params.problem
    declared.check(problem)
    with choice.here(params.engine) as engine:
        if isinstance(engine, InProcess):
            _in_process(params, raw, folder)
        elif prepare_in_parts.has_parts(problem):
            _in_parts(params, raw, Plan(problem, folder, params.engine.part_rows, engine, _progress))
        else:
            sys.stderr.write("prepared in this process: only a panel has parts, by its keys\n")
            _in_process(params, raw, folder)


def _in_process(params: Params, raw: Path, folder: Path) -> None:
    problem = params.problem
    tables, source = _tables(params, raw)
    parts = split.split(problem, tables.rows)
    card = card_of(problem, source, tables, parts)
    dataset.write(folder, {"rows": parts.rows, "holdout": parts.holdout, "static": tables.static}, card)
    _say(card)


def _in_parts(params: Params, raw: Path, plan: Plan) -> None:
    files = ingest.raw_files(params.problem, raw, params.source)
    made = prepare_in_parts.prepare(plan, files) if files else prepare_in_parts.generate(plan, params.generator)
    _say(made)


def _say(card: Card) -> None:
    for note in card["notes"]:
        sys.stderr.write(visible(f"warning: {note}\n"))
    after = f" after {card['cutoff']}" if card["cutoff"] else ""
    rows, holdout = card["rows"], card["holdout"]
    parts = f" in {len(rows[PARTS]):,} parts" if PARTS in rows else ""
    sys.stdout.write(f"{rows['count']:,} rows to train on{parts}, {holdout['count']:,} held out{after}\n")


def _progress(name: str, done: int, total: int) -> None:
    if done == total or done % max(1, total // STEPS_SHOWN) == 0:
        sys.stderr.write(f"{name}: {done:,} of {total:,}\n")


def _tables(params: Params, raw: Path) -> tuple[Tables, FileSource | GeneratedSource]:
    files = ingest.raw_files(params.problem, raw, params.source)
    if files is None:
        return generator.tables_and_source(params.generator, params.problem)
    return ingest.read(params.problem, files), ingest.source_of(*files)


if __name__ == "__main__":
    exit_codes.stage(main)
