"""Permutation importance: how much the blend's error grows if the values of a feature are permuted among the rows.

Gain counts how a booster uses a feature in training; permutation importance is measured on days it has not learned.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lockgate.features.recipe import RIDGE
from lockgate.features.training_rows import TrainingRows
from lockgate.forecaster.ensemble import Member
from lockgate.models import blend
from lockgate.problem import metrics

Floats = NDArray[np.float64]

ROWS = 8_000  # rows drawn from the window


def importances(
    members: Mapping[str, Member], weights: Mapping[str, float], window: TrainingRows, seed: int
) -> dict[str, float]:
    """By feature, the increase of the blend's capped RMSPE on a window if the feature's values are permuted.

    Ridge and offsets are not permuted. A value of about 0 or below: the feature does not help.
    """
    rng = np.random.default_rng(seed)
    some = np.sort(rng.permutation(len(window.log_sales))[:ROWS])
    matrix = window.matrix.take(some)
    sold, order = np.exp(window.log_sales[some]), rng.permutation(len(some))
    shares = np.array(list(weights.values()))

    def score(values: NDArray[np.float32]) -> float:
        changed = replace(matrix, values=values)
        parts = [*(member.forecast(changed, 1) for member in members.values()), np.exp(matrix.offsets[RIDGE])]
        return metrics.capped_rmspe(sold, blend.blend(np.column_stack(parts), shares))

    whole = score(matrix.values)
    return {name: score(_permuted(matrix.values, place, order)) - whole for place, name in enumerate(matrix.names)}


def _permuted(values: NDArray[np.float32], place: int, order: NDArray[np.int64]) -> NDArray[np.float32]:
    permuted = values.copy()
    permuted[:, place] = values[order, place]
    return permuted
