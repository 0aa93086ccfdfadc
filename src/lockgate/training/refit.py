"""A forecaster learns the same things again from more rows: nothing about it is chosen anew."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lockgate.errors import BadData
from lockgate.features.known_inputs import traits
from lockgate.features.panel import panel
from lockgate.features.training_rows import block, survey
from lockgate.forecaster.ensemble import Forecaster
from lockgate.problem.params import Params
from lockgate.training.train import BOOSTERS, Progress, Session, Steps, learn, taught_from


@dataclass(frozen=True)
class Recipe:
    """What a training had chosen, beside the weights that its forecaster carries."""

    params: Params
    rounds: Mapping[str, int]  # of each booster


def refit(
    given: Forecaster, recipe: Recipe, rows: pd.DataFrame, stores: pd.DataFrame, progress: Progress
) -> Forecaster:  # fmt: skip
    """The forecaster that the recipe makes of these rows, with the weights and the calibration of the one given.

    Refit on the rows that it came from, it is the one given. BadData if the stores are not those that it knows.
    """
    store_traits, horizon = traits(stores), given.horizon_days
    if not np.array_equal(store_traits.store_ids, given.traits.store_ids):
        raise BadData(
            f"the store table has {len(stores)} stores, and not those {len(given.traits.store_ids)} that are known",
            hint="stores that come or go need a training: dvc repro",
        )
    history = panel(rows, store_traits.store_ids)
    steps = Steps(progress, 1 + len(BOOSTERS))
    steps.next("features")
    origins = taught_from(history, history.last, recipe.params)
    seen = survey(history, {*origins, history.last}, store_traits, horizon)
    blocks = {origin: block(history, seen[origin], store_traits, horizon) for origin in origins}
    session = Session(history, recipe.params, steps, blocks)
    fits = learn(recipe.rounds, session.taught(history.last), session)
    steps.next("done")
    members = {name: replace(member, booster=fits[name].booster) for name, member in given.boosters.items()}
    return replace(given, traits=store_traits, profile=seen[history.last], boosters=members)
