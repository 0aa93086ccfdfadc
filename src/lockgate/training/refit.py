"""Fits a forecaster again on more rows, with the rounds, weights and calibration of an earlier training."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lockgate.errors import BadData
from lockgate.features.recipe import Table
from lockgate.features.training_rows import rows_after
from lockgate.forecaster.ensemble import Forecaster
from lockgate.problem.params import Params
from lockgate.training.fitting import Progress, Session, Steps, fit_all, training_cutoffs
from lockgate.training.schedule import schedule


@dataclass(frozen=True)
class EarlierTraining:
    """Params and rounds of an earlier training; its weights are in its forecaster."""

    params: Params
    rounds: Mapping[str, int]  # of each booster


def refit(
    given: Forecaster, earlier: EarlierTraining, rows: pd.DataFrame, static: pd.DataFrame, progress: Progress
) -> Forecaster:  # fmt: skip
    """The forecaster that the earlier training fits on these rows, with weights and calibration of the given one.

    A refit on the rows of the first training gives an equal forecaster. Raises BadData if the keys differ.
    """
    table = Table.of(given.problem, rows, static)
    known, found = given.state.series, table.series
    if len(known) != len(found) or not np.array_equal(known.places(found.frame), np.arange(len(known))):
        raise BadData(
            f"the rows are of {len(found)} keys, and not of those {len(known)} that are known",
            hint="to add or remove keys, train again: dvc repro",
        )
    steps, times = Steps(progress, 1 + len(earlier.rounds)), schedule(table, earlier.params)
    steps.next("features")
    cutoffs = training_cutoffs(table, table.last, earlier.params.horizon, times)
    states = given.recipe.fit(table, {*cutoffs, table.last}, given.window.horizon)
    windows = {cutoff: rows_after(table, states[cutoff]) for cutoff in cutoffs}
    session = Session(table, earlier.params, times, steps, windows)
    fits = fit_all(earlier.rounds, session.training_rows(table.last), session)
    steps.next("done")
    members = {name: replace(member, booster=fits[name].booster) for name, member in given.boosters.items()}
    return replace(given, state=states[table.last], boosters=members, sample=None)
