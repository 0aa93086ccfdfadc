"""Prints the CPU time of each feature function, from one run of the features of data/prepared under cProfile.

    python benchmarks/profile_features.py

Run it where `dvc repro` has prepared the data.
"""

import cProfile
import pstats
from pathlib import Path
from time import process_time

from lockgate.data import dataset
from lockgate.features.recipe import Table
from lockgate.features.store_panel.recipe import STORE_PANEL
from lockgate.features.training_rows import rows_after
from lockgate.problem.params import PARAMS_FILE, load_params
from lockgate.training.fitting import training_cutoffs
from lockgate.training.schedule import schedule

DATA = Path("data/prepared")
SHOWN_FUNCTIONS = 25


def main() -> None:
    """Make the features of all training rows once, and print the functions of the features package by CPU time."""
    params, rows, stores = load_params(PARAMS_FILE), dataset.read(DATA, "rows"), dataset.read(DATA, "static")
    table = Table.of(params.problem, rows, stores)
    cutoffs = training_cutoffs(table, table.last, params.horizon, schedule(table, params))
    profiler = cProfile.Profile(process_time)
    with profiler:
        states = STORE_PANEL.fit(table, cutoffs, params.horizon)
        for cutoff in cutoffs:
            rows_after(table, states[cutoff])
    pstats.Stats(profiler).sort_stats("cumulative").print_stats("lockgate/features", SHOWN_FUNCTIONS)


if __name__ == "__main__":
    main()
