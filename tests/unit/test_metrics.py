"""Scores that a hand can check."""

import math
import subprocess
import sys

import numpy as np
import pytest

from lockgate.problem import metrics
from lockgate.problem.metrics import METRICS, Sums

SCORES = [metrics.rmspe, metrics.capped_rmspe, metrics.bias, *(metric.score for metric in METRICS.values())]
RNG = np.random.default_rng(5)
ACTUAL = RNG.uniform(10, 100, 300)
FORECAST = ACTUAL + RNG.normal(0, 10, 300)


def test_rmspe_is_the_root_of_the_mean_squared_share():
    assert metrics.rmspe([100, 200], [110, 180]) == pytest.approx(0.1)


def test_rows_without_sales_do_not_count():
    assert metrics.rmspe([100, 0], [110, 5]) == pytest.approx(0.1)
    assert metrics.capped_rmspe([100, 0], [110, 5]) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rmspe", 0.1),  # of the two rows above 0
        ("rmse", math.sqrt((10**2 + 20**2 + 5**2 + 1**2) / 4)),
        ("mae", 9.0),
        ("mape", (0.1 + 0.1 + 0.25) / 3),  # of the rows that are not 0
        ("wape", 36 / 304),
        ("r2", 1 - 526 / (100**2 + 200**2 + 4**2 - 296**2 / 4)),
        ("median_absolute_error", 7.5),
    ],
)
def test_each_metric_is_what_a_hand_computes_from_the_rows_that_count(name, expected):
    assert METRICS[name].score([100, 200, 0, -4], [110, 180, 5, -5]) == pytest.approx(expected)


def test_a_row_without_a_target_does_not_count():
    assert METRICS["mae"].score([100, math.nan], [110, 5]) == 10


def test_bias_is_the_sum_of_the_forecasts_over_that_of_the_target():
    assert metrics.bias([100, 100], [110, 120]) == pytest.approx(0.15)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_worse_forecast_has_a_worse_score_in_the_direction_of_the_table(metric):
    good, bad = metric.score(ACTUAL, FORECAST), metric.score(ACTUAL, ACTUAL + 2 * (FORECAST - ACTUAL))
    assert metric.worse_by(bad, good) > 0 > metric.worse_by(good, bad)
    assert metric.error(bad) == pytest.approx(2 * metric.error(good))
    assert metric.with_error(metric.error(good)) == pytest.approx(good)
    assert (bad < good) == (metric.better == "higher")
    assert metric.worse_score(good, metric.worse_by(bad, good)) == pytest.approx(bad)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_forecast_without_errors_has_the_perfect_score(metric):
    assert metric.score(ACTUAL, ACTUAL) == metric.perfect
    assert metric.is_valid(metric.perfect)
    assert not any(map(metric.is_valid, (metric.worse_score(metric.perfect, -0.01), math.nan, math.inf)))


def test_only_r2_is_better_when_higher():
    assert [name for name, metric in METRICS.items() if metric.better == "higher"] == ["r2"]


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_metric_of_a_larger_unit_is_the_same_share_or_grows_with_the_unit(metric):
    ratio = metric.error(metric.score(1000 * ACTUAL, 1000 * FORECAST)) / metric.error(metric.score(ACTUAL, FORECAST))
    assert ratio == pytest.approx(1 if metric.relative else 1000)


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if isinstance(metric.statistic, Sums)])
def test_the_sums_of_the_bootstrap_give_the_score(name):
    metric = METRICS[name]
    terms = metric.statistic.terms(ACTUAL, FORECAST)
    assert metric.statistic.score(len(ACTUAL), *map(np.sum, terms)) == pytest.approx(metric.score(ACTUAL, FORECAST))


def test_a_capped_score_does_not_follow_a_single_wild_row():
    assert metrics.capped_rmspe([100, 100], [110, 10_000]) == pytest.approx(math.sqrt((0.1**2 + 0.5**2) / 2))
    assert metrics.capped_rmspe([100, 200], [110, 180]) == pytest.approx(metrics.rmspe([100, 200], [110, 180]))


@pytest.mark.parametrize("score", SCORES)
def test_nothing_to_score_is_nan_and_never_a_good_score(score):
    assert math.isnan(score([], []))


@pytest.mark.parametrize(
    "score", [metrics.rmspe, metrics.bias, *(METRICS[name].score for name in ("rmspe", "mape", "wape"))]
)
def test_a_share_of_nothing_is_nan(score):
    assert math.isnan(score([0, 0], [1, 2]))


@pytest.mark.parametrize("score", SCORES)
def test_a_forecast_that_is_nan_makes_the_score_nan(score):
    assert math.isnan(score([100, 100], [100, math.nan]))


def test_different_lengths_are_a_bug():
    with pytest.raises(ValueError, match="2"):
        metrics.rmspe([1, 2], [1])


def test_metrics_are_light_to_import():
    """Every command reads the table of metrics."""
    heavy = "{'numpy', 'sklearn', 'pandas', 'lightgbm', 'xgboost', 'catboost', 'mlflow', 'sqlalchemy'}"
    command = f"import sys, lockgate.problem.metrics; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout == "[]\n"
