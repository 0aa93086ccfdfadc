"""Metrics and the weighted ridge agree with scikit-learn's, the independent reference."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from lockgate.features.store_panel import shared_effects
from lockgate.problem import metrics


def test_rmspe_and_mae_agree_with_scikit_learn():
    rng = np.random.default_rng(1)
    sold, forecast = rng.uniform(10, 1000, 500), rng.uniform(10, 1000, 500)
    assert metrics.rmspe(sold, forecast) == pytest.approx(root_mean_squared_error(np.ones(500), forecast / sold))
    assert metrics.METRICS["mae"].score(sold, forecast) == pytest.approx(mean_absolute_error(sold, forecast))


def test_shared_effects_agree_with_the_ridge_of_scikit_learn():
    """A penalty for each column is one penalty for all columns that are divided by the roots of their penalties."""
    rng = np.random.default_rng(2)
    regressors, penalty = rng.standard_normal((200, 6)), rng.uniform(0.1, 10.0, 6)
    means = shared_effects.DayMeans(8.0, rng.standard_normal(200), rng.integers(1, 50, 200))
    level, slopes = shared_effects.fit(regressors, penalty, means)
    age = np.arange(199, -1, -1)
    weight = 0.5 ** (age / shared_effects.HALF_LIFE_DAYS) * means.sellers / means.sellers.max()
    reference = Ridge(alpha=1.0).fit(regressors / np.sqrt(penalty), means.log_sales, sample_weight=weight)
    assert slopes == pytest.approx(reference.coef_ / np.sqrt(penalty))
    assert level == pytest.approx(8.0 + reference.intercept_)
