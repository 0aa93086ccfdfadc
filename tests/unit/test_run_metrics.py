"""Metrics of runs have a group before the slash, equal for all versions and problems, and MLflow takes their names."""

import pytest
from mlflow.utils.validation import _validate_metric_name

from lockgate.reports import run_metrics

NAN = float("nan")


def test_a_training_has_the_scores_of_all_folds_by_member_and_what_it_chose():
    recorded = {
        "inner_median_absolute_error_random_forest": 1.0, "inner_coverage_80": 0.79, "weight_random_forest": 0.6,
        "rounds_xgboost": 90, "training_rows": 5000,
    }  # fmt: skip
    scores = [
        {"member": "random_forest", "fold": "all", "median_absolute_error": 1.0, "mae": NAN, "samples": 10},
        {"member": "random_forest", "fold": "1", "median_absolute_error": 7.0, "mae": 2.0, "samples": 5},
    ]
    assert run_metrics.of_training(recorded, scores) == {
        "inner_folds/median_absolute_error/random_forest": 1.0,
        "inner_folds/coverage_80": 0.79,
        "weights/random_forest": 0.6,
        "rounds/xgboost": 90.0,
        "training/rows": 5000.0,
    }


def test_a_verdict_has_each_forecast_in_a_group_of_its_own():
    found = {
        "pr_auc": 0.7, "pr_auc_low": 0.6, "pr_auc_high": 0.8, "pr_auc_naive": 0.3, "pr_auc_linear": 0.5,
        "pr_auc_serving": NAN, "over_serving_low": -0.1, "log_loss": 0.4, "holdout_uses": 2.0,
    }  # fmt: skip
    assert run_metrics.of_verdict(found) == {
        "holdout/pr_auc": 0.7, "holdout/pr_auc_low": 0.6, "holdout/pr_auc_high": 0.8, "naive/pr_auc": 0.3,
        "linear/pr_auc": 0.5, "serving/worse_by_low": -0.1, "holdout/log_loss": 0.4, "holdout_use/other_versions": 2.0,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["Promo 1", "a/b", "größe <5>", "x" * 400, "50 %\n"])
def test_the_name_of_a_slice_is_one_that_mlflow_takes(name):
    [logged] = run_metrics.of_slices("rmspe", {name: 0.1, "unknown": NAN})
    _validate_metric_name(logged)
    assert logged.startswith("slices/rmspe/")
    assert logged.count("/") == 2


@pytest.mark.parametrize(
    ("earlier", "now"),
    [
        ("weight_xgboost", "weights/xgboost"), ("rounds_catboost", "rounds/catboost"),
        ("training_rows", "training/rows"), ("holdout/rmspe", "holdout/rmspe"),
    ],
)  # fmt: skip
def test_a_metric_of_an_earlier_release_is_read_by_its_present_name(earlier, now):
    assert run_metrics.current_name(earlier) == now
    assert run_metrics.current_name(now) == now
