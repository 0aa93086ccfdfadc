"""What each feature is worth to the blend: how much worse it forecasts when that feature is dealt out at random.

Gains count what a booster used to learn; this counts what helps on days that it has not seen.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lockgate.features.matrix import FEATURES, Matrix
from lockgate.features.training_rows import TrainingRows
from lockgate.forecaster.ensemble import Member
from lockgate.models import blend
from lockgate.problem import metrics

Floats = NDArray[np.float64]

ROWS = 8_000  # so many rows, drawn from the window, tell enough


def importances(
    members: Mapping[str, Member], weights: Mapping[str, float], window: TrainingRows, seed: int
) -> dict[str, float]:
    """By feature, the rise of the blend's capped RMSPE on a window when the feature's values change places among rows.

    The ridge, and the log sales from which the boosters start, stay as they are. About 0, or below: it buys nothing.
    """
    rng = np.random.default_rng(seed)
    some = np.sort(rng.permutation(len(window.log_sales))[:ROWS])
    matrix = Matrix(window.matrix.values[some], window.matrix.ridge[some], window.matrix.group_mean[some])
    sold, order = np.exp(window.log_sales[some]), rng.permutation(len(some))
    shares = np.array(list(weights.values()))

    def score(values: NDArray[np.float32]) -> float:
        changed = replace(matrix, values=values)
        parts = [*(member.forecast(changed, 1) for member in members.values()), np.exp(matrix.ridge)]
        return metrics.capped_rmspe(sold, blend.blend(np.column_stack(parts), shares))

    whole = score(matrix.values)
    return {name: score(_dealt(matrix.values, place, order)) - whole for place, name in enumerate(FEATURES)}


def _dealt(values: NDArray[np.float32], place: int, order: NDArray[np.int64]) -> NDArray[np.float32]:
    dealt = values.copy()
    dealt[:, place] = values[order, place]
    return dealt
