"""Permutation importance: how much the blend's error grows if the values of a feature are permuted among the rows.

Gain counts how a booster uses a feature in training; permutation importance is measured on periods that it has not
learned.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lockgate.features.recipe import RIDGE
from lockgate.features.training_rows import TrainingRows
from lockgate.forecaster.ensemble import Member
from lockgate.models import blend
from lockgate.models.loss import Loss

Floats = NDArray[np.float64]

ROWS = 8_000  # rows drawn from the window


def importances(
    members: Mapping[str, Member], weights: Mapping[str, float], window: TrainingRows, loss: Loss, seed: int
) -> dict[str, float]:
    """By feature, the increase of the blend's error (Loss.score) on a window if the feature's values are permuted.

    Ridge and offsets are not permuted. A value of about 0 or below: the feature does not help.
    """
    rng = np.random.default_rng(seed)
    some = np.sort(rng.permutation(len(window.target))[:ROWS])
    matrix = window.matrix.take(some)
    actual, order = window.actual[some], rng.permutation(len(some))
    shares, linear = np.array(list(weights.values())), matrix.scale.target(matrix.offsets[RIDGE])

    def score(values: NDArray[np.float32]) -> float:
        changed = replace(matrix, values=values)
        parts = [*(member.forecast(changed, 1) for member in members.values()), linear]
        return loss.score(actual, blend.blend(np.column_stack(parts), shares))

    whole = score(matrix.values)
    return {name: score(_permuted(matrix.values, place, order)) - whole for place, name in enumerate(matrix.names)}


def _permuted(values: NDArray[np.float32], place: int, order: NDArray[np.int64]) -> NDArray[np.float32]:
    permuted = values.copy()
    permuted[:, place] = values[order, place]
    return permuted
