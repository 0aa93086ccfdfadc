"""Permutation importance: what the blend loses when a feature is dealt out at random."""

import numpy as np

from lockgate.features.recipe import Matrix
from lockgate.features.scale import LOG
from lockgate.features.store_panel.matrix import FEATURES
from lockgate.features.training_rows import TrainingRows
from lockgate.forecaster.ensemble import Member
from lockgate.models.loss import Loss
from lockgate.training import permutation_importance

LOSS = Loss.of("rmspe")
RNG = np.random.default_rng(31)
ROWS = 500
PROMO = FEATURES.index("promo")


class KnowsPromo:
    """Adds to log sales what the feature promo says."""

    def raw(self, values, threads):
        return 0.3 * values[:, PROMO].astype(np.float64)


def window():
    values = RNG.integers(0, 2, size=(ROWS, len(FEATURES))).astype(np.float32)
    offset = np.full(ROWS, 8.0)
    rows, sold = np.arange(ROWS), 8.0 + 0.3 * values[:, PROMO]
    return TrainingRows(
        Matrix(values, FEATURES, {"ridge": offset}, LOG), sold, rows, rows, shared_residual=np.zeros(ROWS), history=rows
    )


def rises(weights):
    return permutation_importance.importances(
        {"a": Member(KnowsPromo(), "ridge", "log")}, weights, window(), LOSS, seed=1
    )


def test_only_the_feature_that_is_used_is_worth_something():
    found = rises({"a": 1.0, "ridge": 0.0})
    assert tuple(found) == FEATURES
    assert found["promo"] > 0.15
    assert {name for name, rise in found.items() if rise != 0} == {"promo"}


def test_a_member_without_weight_makes_no_feature_worth_anything():
    assert set(rises({"a": 0.0, "ridge": 1.0}).values()) == {0.0}


def test_the_window_is_not_changed():
    block = window()
    before = block.matrix.values.copy()
    permutation_importance.importances(
        {"a": Member(KnowsPromo(), "ridge", "log")}, {"a": 1.0, "ridge": 0.0}, block, LOSS, seed=1
    )
    assert np.array_equal(block.matrix.values, before)
