"""Prints the CPU time of each feature function, from one run of the features of data/prepared under cProfile.

    python benchmarks/profile_features.py

Run it where `dvc repro` has prepared the data.
"""

import cProfile
import pstats
from pathlib import Path
from time import process_time

from lockgate.data import dataset
from lockgate.features.known_inputs import traits
from lockgate.features.panel import panel
from lockgate.features.training_rows import block, survey
from lockgate.problem.params import PARAMS_FILE, load_params
from lockgate.training import train

DATA = Path("data/prepared")
SHOWN_FUNCTIONS = 25


def main() -> None:
    """Make the features of all training rows once, and print the functions of the features package by CPU time."""
    params, rows, stores = load_params(PARAMS_FILE), dataset.read(DATA, "rows"), dataset.read(DATA, "stores")
    store_traits, horizon = traits(stores), params.split.holdout_days
    history = panel(rows, store_traits.store_ids)
    cutoffs = train.taught_from(history, history.last, params)
    profiler = cProfile.Profile(process_time)
    with profiler:
        states = survey(history, cutoffs, store_traits, horizon)
        for cutoff in cutoffs:
            block(history, states[cutoff], store_traits, horizon)
    pstats.Stats(profiler).sort_stats("cumulative").print_stats("lockgate/features", SHOWN_FUNCTIONS)


if __name__ == "__main__":
    main()
