"""Fits a forecaster again on more rows, with the rounds, weights and calibration of an earlier training."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lockgate.errors import BadData
from lockgate.features.known_inputs import store_attributes
from lockgate.features.recipe import Table
from lockgate.features.training_rows import rows_after
from lockgate.forecaster.ensemble import Forecaster
from lockgate.models.members import MEMBERS
from lockgate.problem.params import Params
from lockgate.training.fitting import Progress, Session, Steps, fit_all, training_cutoffs


@dataclass(frozen=True)
class EarlierTraining:
    """Params and rounds of an earlier training; its weights are in its forecaster."""

    params: Params
    rounds: Mapping[str, int]  # of each booster


def refit(
    given: Forecaster, earlier: EarlierTraining, rows: pd.DataFrame, stores: pd.DataFrame, progress: Progress
) -> Forecaster:  # fmt: skip
    """The forecaster that the earlier training fits on these rows, with weights and calibration of the given one.

    A refit on the rows of the first training gives an equal forecaster. Raises BadData if the stores differ.
    """
    attributes = store_attributes(stores)
    if not np.array_equal(attributes.store_ids, given.attributes.store_ids):
        raise BadData(
            f"the store table has {len(stores)} stores, and not those {len(given.attributes.store_ids)} that are known",
            hint="to add or remove stores, train again: dvc repro",
        )
    table = Table.of(rows, attributes)
    steps = Steps(progress, 1 + len(MEMBERS))
    steps.next("features")
    cutoffs = training_cutoffs(table, table.last, earlier.params)
    states = given.recipe.fit(table, {*cutoffs, table.last}, given.horizon_days)
    windows = {cutoff: rows_after(table, states[cutoff]) for cutoff in cutoffs}
    session = Session(table, earlier.params, steps, windows)
    fits = fit_all(earlier.rounds, session.training_rows(table.last), session)
    steps.next("done")
    members = {name: replace(member, booster=fits[name].booster) for name, member in given.boosters.items()}
    return replace(given, state=states[table.last], boosters=members)
