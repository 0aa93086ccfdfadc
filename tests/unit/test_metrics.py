"""Scores that a hand can check."""

import inspect
import math
import subprocess
import sys

import pytest

from lockgate.problem import metrics

SCORES = [
    score
    for name, score in inspect.getmembers(metrics, inspect.isfunction)
    if not name.startswith("_") and list(inspect.signature(score).parameters) == ["actual", "forecast"]
]


def test_every_metric_is_among_the_scores():
    assert {metrics.rmspe, metrics.capped_rmspe, metrics.mae, metrics.bias} <= set(SCORES)


def test_rmspe_is_the_root_of_the_mean_squared_share():
    assert metrics.rmspe([100, 200], [110, 180]) == pytest.approx(0.1)


def test_rows_without_sales_do_not_count():
    assert metrics.rmspe([100, 0], [110, 5]) == pytest.approx(0.1)
    assert metrics.mae([100, 0], [110, 5]) == 10
    assert metrics.bias([100, 0], [110, 5]) == pytest.approx(0.1)


def test_a_capped_score_does_not_follow_a_single_wild_row():
    assert metrics.capped_rmspe([100, 100], [110, 10_000]) == pytest.approx(math.sqrt((0.1**2 + 0.5**2) / 2))
    assert metrics.capped_rmspe([100, 200], [110, 180]) == pytest.approx(metrics.rmspe([100, 200], [110, 180]))


@pytest.mark.parametrize("score", SCORES)
def test_nothing_to_score_is_nan_and_never_a_good_score(score):
    assert math.isnan(score([], []))
    assert math.isnan(score([0, 0], [1, 2]))


@pytest.mark.parametrize("score", SCORES)
def test_a_forecast_that_is_nan_makes_the_score_nan(score):
    assert math.isnan(score([100, 100], [100, math.nan]))


def test_different_lengths_are_a_bug():
    with pytest.raises(ValueError, match="2"):
        metrics.rmspe([1, 2], [1])


def test_metrics_are_light_to_import():
    """Neither pandas nor a booster is needed to score."""
    heavy = "{'pandas', 'lightgbm', 'xgboost', 'catboost', 'mlflow', 'sqlalchemy'}"
    command = f"import sys, lockgate.problem.metrics; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout == "[]\n"
