"""Fits a forecaster again on more rows, with the rounds, weights and calibration of an earlier training."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lockgate.errors import BadData
from lockgate.features.known_inputs import store_attributes
from lockgate.features.panel import panel
from lockgate.features.training_rows import rows_after, states_at
from lockgate.forecaster.ensemble import Forecaster
from lockgate.models.members import MEMBERS
from lockgate.problem.params import Params
from lockgate.training.fitting import Progress, Session, Steps, fit_all, training_cutoffs


@dataclass(frozen=True)
class Recipe:
    """Params and rounds of an earlier training; its weights are in its forecaster."""

    params: Params
    rounds: Mapping[str, int]  # of each booster


def refit(
    given: Forecaster, recipe: Recipe, rows: pd.DataFrame, stores: pd.DataFrame, progress: Progress
) -> Forecaster:  # fmt: skip
    """The forecaster that the recipe fits on these rows, with the weights and the calibration of the given one.

    A refit on the rows of the first training gives an equal forecaster. Raises BadData if the stores differ.
    """
    attributes, horizon = store_attributes(stores), given.horizon_days
    if not np.array_equal(attributes.store_ids, given.attributes.store_ids):
        raise BadData(
            f"the store table has {len(stores)} stores, and not those {len(given.attributes.store_ids)} that are known",
            hint="to add or remove stores, train again: dvc repro",
        )
    history = panel(rows, attributes.store_ids)
    steps = Steps(progress, 1 + len(MEMBERS))
    steps.next("features")
    cutoffs = training_cutoffs(history, history.last, recipe.params)
    states = states_at(history, {*cutoffs, history.last}, attributes, horizon)
    windows = {cutoff: rows_after(history, states[cutoff], attributes, horizon) for cutoff in cutoffs}
    session = Session(history, recipe.params, steps, windows)
    fits = fit_all(recipe.rounds, session.training_rows(history.last), session)
    steps.next("done")
    members = {name: replace(member, booster=fits[name].booster) for name, member in given.boosters.items()}
    return replace(given, attributes=attributes, state=states[history.last], boosters=members)
