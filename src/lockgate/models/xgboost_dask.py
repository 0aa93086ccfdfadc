"""XGBoost on the workers of a Dask cluster, by its own Dask interface; the result is the same kind of booster."""

from lockgate.models.booster import Budget, Fit
from lockgate.models.dask_blocks import Blocks
from lockgate.models.xgboost import MAX_BIN, settings, stored
from lockgate.problem.params import XgboostParams


def fit(params: XgboostParams, blocks: Blocks, budget: Budget) -> Fit:
    """Fit on blocks for `budget.rounds`. On one worker, the booster equals that of `xgboost.fit` on the joined blocks.

    Each worker uses the threads that Dask gives it, and not `budget.threads`. Raises XGBoostError if a worker is lost.
    """
    from xgboost import dask

    values, labels, weights = blocks.arrays()
    data = dask.DaskQuantileDMatrix(blocks.client, values, labels, weight=weights, max_bin=MAX_BIN)
    given = settings(params, budget, blocks)
    del given["nthread"]  # it would replace the number of Dask: workers that share cores would wait for each other
    found = dask.train(blocks.client, given, data, num_boost_round=budget.rounds, verbose_eval=False)
    model = found["booster"]
    return Fit(stored(model), (), lambda rounds: stored(model[:rounds]))
