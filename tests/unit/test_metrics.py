"""Scores that a hand can check."""

import math
import subprocess
import sys

import numpy as np
import pytest
import sklearn.metrics

from lockgate.problem import metrics
from lockgate.problem.metrics import METRICS, Ranking, Sums

SCORES = [metrics.rmspe, metrics.bias, *(metric.score for metric in METRICS.values())]
RNG = np.random.default_rng(5)
ACTUAL = RNG.uniform(10, 100, 300)
FORECAST = ACTUAL + RNG.normal(0, 10, 300)
OF_NUMBERS = {name: metric.with_scale(4.0) for name, metric in METRICS.items() if metric.tasks == ("regression",)}
OF_TWO = {name: metric for name, metric in METRICS.items() if "binary" in metric.tasks}
OF_MORE = {name: metric for name, metric in METRICS.items() if "multiclass" in metric.tasks}
LINEAR = {name: metric for name, metric in OF_NUMBERS.items() if name not in ("smape", "rmsle", "rul_score")}
HAPPENED = (RNG.uniform(size=300) < 0.3).astype(float)
CHANCE = np.round(np.clip(0.4 + 0.1 * (HAPPENED - 0.3) + RNG.normal(0, 0.2, 300), 0.01, 0.99), 2)  # with ties
CLASS = RNG.integers(0, 3, 300).astype(float)
CHANCES = RNG.dirichlet([1, 1, 1], 300) + 0.3 * np.eye(3)[CLASS.astype(int)]
CHANCES /= CHANCES.sum(axis=1, keepdims=True)


def test_rmspe_is_the_root_of_the_mean_squared_share():
    assert metrics.rmspe([100, 200], [110, 180]) == pytest.approx(0.1)


def test_rows_without_sales_do_not_count():
    assert metrics.rmspe([100, 0], [110, 5]) == pytest.approx(0.1)


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
        ("mase", 9 / 4),
        ("smape", (10 / 105 + 20 / 190 + 2 + 1 / 4.5) / 4),
        ("rmsle", math.sqrt((math.log(111 / 101) ** 2 + math.log(181 / 201) ** 2 + math.log(6) ** 2) / 3)),
        ("rul_score", (math.e + math.exp(20 / 13) + math.exp(0.5) + math.exp(1 / 13) - 4) / 4),  # 10 late, 20 early
        ("pinball_90", (1 + 18 + 0.5 + 0.9) / 4),
    ],
)
def test_each_metric_is_what_a_hand_computes_from_the_rows_that_count(name, expected):
    assert OF_NUMBERS[name].score([100, 200, 0, -4], [110, 180, 5, -5]) == pytest.approx(expected)


def test_a_row_without_a_target_does_not_count():
    assert METRICS["mae"].score([100, math.nan], [110, 5]) == 10


def test_bias_is_the_sum_of_the_forecasts_over_that_of_the_target():
    assert metrics.bias([100, 100], [110, 120]) == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("roc_auc", (2 + 0.5 + 2) / 6),
        ("pr_auc", (1 + 2 / 3) / 2),  # the second positive one is equal to a negative one: 2 of 3
        ("log_loss", -(math.log(0.9) + 2 * math.log(0.4) + math.log(0.6) + math.log(0.9)) / 5),
        ("brier", (0.1**2 + 0.6**2 + 0.6**2 + 0.4**2 + 0.1**2) / 5),
        ("accuracy", 3 / 5),
        ("balanced_accuracy", (1 / 2 + 2 / 3) / 2),
        ("f1", 2 * 1 / (2 + 2)),
        ("precision_at_20", 1.0),
        ("recall_at_20", 0.5),
    ],
)
def test_each_metric_of_two_classes_is_what_a_hand_computes(name, expected):
    """In the order of the forecasts: positive 0.9, negative 0.6, positive 0.4 with negative 0.4, negative 0.1."""
    forecast = [0.9, 0.6, 0.4, 0.4, 0.1]
    expected = {
        "roc_auc": (3 + 1.5) / 6,
        "pr_auc": (1 + 2 / 4) / 2,
        "log_loss": -(math.log(0.9) + math.log(0.4) + math.log(0.4) + math.log(0.6) + math.log(0.9)) / 5,
        "brier": (0.1**2 + 0.6**2 + 0.6**2 + 0.4**2 + 0.1**2) / 5,
    }.get(name, expected)
    assert METRICS[name].score([1, 0, 1, 0, 0], forecast) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("roc_auc", lambda: sklearn.metrics.roc_auc_score(HAPPENED, CHANCE)),
        ("pr_auc", lambda: sklearn.metrics.average_precision_score(HAPPENED, CHANCE)),
        ("log_loss", lambda: sklearn.metrics.log_loss(HAPPENED, CHANCE)),
        ("brier", lambda: sklearn.metrics.brier_score_loss(HAPPENED, CHANCE)),
    ],
)
def test_the_scores_of_probabilities_are_those_of_scikit_learn(name, function):
    assert METRICS[name].score(HAPPENED, CHANCE) == pytest.approx(function())


def test_the_log_loss_of_several_classes_is_that_of_scikit_learn():
    assert METRICS["log_loss"].score(CLASS, CHANCES) == pytest.approx(sklearn.metrics.log_loss(CLASS, CHANCES))


def test_equal_forecasts_at_the_boundary_of_the_top_count_in_proportion():
    """The top 20 % of 10 rows are 2 of the 4 rows with 0.9, of which 1 is positive."""
    actual, forecast = [1, 0, 0, 0, 1, 1, 0, 0, 0, 0], [0.9] * 4 + [0.1] * 6
    assert METRICS["precision_at_20"].score(actual, forecast) == pytest.approx(1 / 4)
    assert METRICS["recall_at_20"].score(actual, forecast) == pytest.approx(0.5 / 3)
    assert METRICS["recall_at_20"].score(actual[::-1], forecast[::-1]) == pytest.approx(0.5 / 3)


@pytest.mark.parametrize("name", [name for name, metric in OF_TWO.items() if isinstance(metric.statistic, Ranking)])
def test_rows_of_a_single_class_have_no_ranking(name):
    if not name.startswith("precision"):
        assert math.isnan(METRICS[name].score([0, 0, 0], [0.1, 0.2, 0.3]))


def test_a_scaled_error_without_its_scale_is_no_number():
    assert math.isnan(METRICS["mase"].score(ACTUAL, FORECAST))
    assert math.isnan(METRICS["mase"].with_scale(0.0).score(ACTUAL, FORECAST))
    assert METRICS["mae"].with_scale(7.0) is METRICS["mae"]


def test_a_late_forecast_of_the_remaining_life_is_worse_than_an_early_one():
    metric = METRICS["rul_score"]
    assert metric.worse_by(metric.score([100], [120]), metric.score([100], [80])) > 0


@pytest.mark.parametrize("metric", OF_TWO.values(), ids=OF_TWO)
def test_probabilities_nearer_to_what_happened_have_a_better_score(metric):
    better = CHANCE + 0.9 * (HAPPENED - CHANCE)
    assert metric.worse_by(metric.score(HAPPENED, better), metric.score(HAPPENED, CHANCE)) < 0


@pytest.mark.parametrize("metric", OF_MORE.values(), ids=OF_MORE)
def test_a_certain_and_right_forecast_of_several_classes_is_perfect(metric):
    assert metric.score(CLASS, np.eye(3)[CLASS.astype(int)]) == pytest.approx(metric.perfect, abs=1e-12)
    assert metric.worse_by(metric.score(CLASS, CHANCES), metric.perfect) > 0


@pytest.mark.parametrize("metric", LINEAR.values(), ids=LINEAR)
def test_a_worse_forecast_has_a_worse_score_in_the_direction_of_the_table(metric):
    good, bad = metric.score(ACTUAL, FORECAST), metric.score(ACTUAL, ACTUAL + 2 * (FORECAST - ACTUAL))
    assert metric.worse_by(bad, good) > 0 > metric.worse_by(good, bad)
    assert metric.error(bad) == pytest.approx(2 * metric.error(good))
    assert metric.with_error(metric.error(good)) == pytest.approx(good)
    assert (bad < good) == (metric.better == "higher")
    assert metric.worse_score(good, metric.worse_by(bad, good)) == pytest.approx(bad)


@pytest.mark.parametrize("metric", OF_NUMBERS.values(), ids=OF_NUMBERS)
def test_a_forecast_without_errors_has_the_perfect_score(metric):
    assert metric.score(ACTUAL, ACTUAL) == metric.perfect
    assert metric.is_valid(metric.perfect)
    assert not any(map(metric.is_valid, (metric.worse_score(metric.perfect, -0.01), math.nan, math.inf)))


def test_these_metrics_are_better_when_higher_and_the_others_when_lower():
    higher = {name for name, metric in METRICS.items() if metric.better == "higher"}
    assert {name for name in higher if "_at_" not in name} == {
        "r2", "roc_auc", "pr_auc", "accuracy", "balanced_accuracy", "f1", "f1_macro",
    }  # fmt: skip
    assert {METRICS[name].perfect for name in higher} == {1.0}
    assert {metric.perfect for name, metric in METRICS.items() if name not in higher} == {0.0}


@pytest.mark.parametrize("metric", LINEAR.values(), ids=LINEAR)
def test_a_metric_of_a_larger_unit_is_the_same_share_or_grows_with_the_unit(metric):
    larger = METRICS[metric.name].with_scale(4000.0)
    ratio = larger.error(larger.score(1000 * ACTUAL, 1000 * FORECAST)) / metric.error(metric.score(ACTUAL, FORECAST))
    assert ratio == pytest.approx(1 if metric.relative else 1000)


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if isinstance(metric.statistic, Sums)])
def test_the_sums_of_the_bootstrap_give_the_score(name):
    for metrics_of_task, actual, forecast in (
        (OF_NUMBERS, ACTUAL, FORECAST), (OF_TWO, HAPPENED, CHANCE), (OF_MORE, CLASS, CHANCES)
    ):  # fmt: skip
        if metric := metrics_of_task.get(name):
            terms = metric.statistic.terms(actual, forecast)
            found = metric.statistic.score(len(actual), *map(np.sum, terms))
            assert found == pytest.approx(metric.score(actual, forecast))


def test_capped_errors_do_not_follow_a_single_wild_row():
    assert metrics.capped(np.array([-0.9, -0.2, 0.1, 99.0])).tolist() == [-0.5, -0.2, 0.1, 0.5]


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
