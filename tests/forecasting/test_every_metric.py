"""Every metric of every task: a training follows it, and the gate's comparisons have the right sign."""

from functools import cache

import numpy as np
import panel_tables
import plain_tables
import pytest

from lockgate.data import split
from lockgate.engine.engine import InProcess, silent
from lockgate.errors import BadConfiguration
from lockgate.evaluation.paired_test import Actual
from lockgate.models import baselines
from lockgate.models.loss import Loss
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import Params
from lockgate.training import train as training
from lockgate.training.backtest import Plan, backtest
from lockgate.training.report import BLEND
from lockgate.training.table import member_names

RANKED = {f"{name}_at_{share}" for name in ("precision", "recall") for share in (1, 5)}  # of 60 rows: one to three
CASES = [
    (task, name)
    for task in ("regression", "binary", "multiclass")
    for name, metric in METRICS.items()
    if task in metric.tasks and not metric.needs_scale
]
ABSOLUTE = ("mae", "mape", "wape", "median_absolute_error", "smape", "mase")


def made(params, rows, static):
    """Training rows, holdout and the fitted forecaster with its report."""
    parts = split.split(params.problem, rows)
    forecaster, report = training.train(parts.rows, static, params, lambda *_: None)
    return parts, forecaster, report


@cache
def of_table(task, metric):
    params = plain_tables.params(task, metric=metric, members=["lightgbm"])
    return params, *made(params, plain_tables.rows(task, 300), None)


@cache
def of_panel(metric):
    problem = panel_tables.problem("month", metric=metric, members=("lightgbm", "linear"))
    training_params = {"max_rounds": 15, "patience": 5}
    gate = {"limit": 0.5, "over_serving": 0.1, "over_slice": 0.1}
    params = Params.model_validate({"problem": problem, "training": training_params, "gate": gate, "threads": 1})
    return params, *made(params, *panel_tables.rows("month"))


def spoiled(forecast, task):
    """Forecasts in another order, and too high; for classes, the probabilities of the wrong ones."""
    if task == "regression":
        return np.random.default_rng(1).permutation(forecast) + np.std(forecast)
    return 1 - forecast if forecast.ndim == 1 else np.roll(forecast, 1, axis=1)


def checked(params, parts, forecaster, report):
    """The candidate is better than the baseline and than its own spoiled forecasts, by every way to compare."""
    problem, holdout = params.problem, parts.holdout
    metric, classes = METRICS[problem.metric], getattr(forecaster, "classes", ())
    inputs = holdout.drop(columns=problem.target)
    forecast = forecaster.predict(inputs)
    actual = Actual.of(problem, metric, holdout, classes, parts.rows)
    found = actual.compare(forecast, spoiled(forecast, problem.task))
    low, high = actual.interval(forecast)
    assert metric.is_valid(found.candidate_score)
    assert min(low, high) <= found.candidate_score <= max(low, high)
    assert found.difference.value < 0, "the spoiled forecast must be worse"
    assert found.difference.value == metric.worse_by(found.candidate_score, found.reference_score)
    naive = actual.score(baselines.baseline(problem, parts.rows, holdout, classes))
    assert metric.name in RANKED or metric.worse_by(found.candidate_score, naive) < 0
    assert np.isfinite([score.scores[metric.name] for score in report.scores if score.member == BLEND]).all()


@pytest.mark.parametrize(("task", "metric"), CASES)
def test_a_table_learns_in_each_metric_of_its_task(task, metric):
    checked(*of_table(task, metric))


@pytest.mark.parametrize("metric", [name for name, metric in METRICS.items() if "regression" in metric.tasks])
def test_a_panel_learns_in_each_metric_of_numbers(metric):
    checked(*of_panel(metric))


@pytest.mark.parametrize("metric", METRICS)
def test_the_objective_follows_the_metric(metric):
    found, expected = METRICS[metric], "squared"
    if "regression" not in found.tasks:
        expected = "log_loss"
    elif metric in ABSOLUTE:
        expected = "absolute"
    elif metric.startswith("pinball"):
        expected = "quantile"
        assert Loss.of(metric).level == found.level == int(metric.removeprefix("pinball_")) / 100
    assert found.objective == expected
    if "regression" in found.tasks:
        assert Loss.of(metric).objective == expected


@pytest.mark.parametrize("metric", ["pinball_10", "pinball_90"])
@pytest.mark.parametrize("member", ["lightgbm", "xgboost", "catboost"])
def test_each_booster_learns_the_quantile_of_a_pinball_loss(member, metric):
    params = plain_tables.params("regression", metric=metric, members=[member])
    rows = plain_tables.rows("regression", 1500)
    forecaster, _ = training.train(rows.iloc[:1000], None, params, lambda *_: None)
    later = rows.iloc[1000:]
    share = np.mean(later["price"].to_numpy() < forecaster.predict(later.drop(columns="price")))
    assert abs(share - METRICS[metric].level) < 0.08


@pytest.mark.parametrize("metric", ["pinball_10", "pinball_90"])
def test_a_panel_learns_the_quantile_of_a_pinball_loss(metric):
    _, parts, forecaster, _ = of_panel(metric)
    share = np.mean(parts.holdout["y"].to_numpy() < forecaster.predict(parts.holdout.drop(columns="y")))
    assert (share < 0.5) == (metric == "pinball_10")


def test_a_backtest_scores_in_mase_by_the_changes_before_each_cutoff():
    params, parts, _, _ = of_panel("mase")
    marks = backtest(parts.rows, panel_tables.rows("month")[1], params, Plan(2, 6), InProcess(), silent)
    assert all(mark.low <= mark.score <= mark.high for mark in marks)
    blend, naive = marks[0], marks[len(marks) // 2 - 1]
    cutoff = np.datetime64(blend.origin + "-01") if len(blend.origin) == 7 else np.datetime64(blend.origin)
    known = parts.rows[parts.rows["time"] <= cutoff]
    window = parts.rows[(parts.rows["time"] > cutoff)]
    scale = baselines.naive_errors(params.problem, known, window)
    errors = np.abs(window["y"] - baselines.baseline(params.problem, known, window))
    assert naive.score == pytest.approx(np.mean(errors / scale))


def test_a_backtest_leaves_out_the_rows_of_a_key_that_begins_after_the_cutoff():
    params, parts, _, _ = of_panel("wape")
    rows, static = parts.rows, panel_tables.rows("month")[1]
    whole = backtest(rows, static, params, Plan(2, 6), InProcess(), silent)
    begins = np.datetime64(whole[-1].origin)  # the earlier cutoff, a month
    young = rows[(rows["segment"] != "small") | (rows["time"] > begins)]
    marks = backtest(young.reset_index(drop=True), static, params, Plan(2, 6), InProcess(), silent)
    assert [mark.origin for mark in marks] == [mark.origin for mark in whole]
    asked = rows[(rows["time"] > begins) & (rows["segment"] != "small")]["time"].unique()
    assert marks[0].rows == whole[0].rows
    assert 0 < marks[-1].rows < whole[-1].rows
    assert marks[-1].rows <= len(asked)


def test_members_that_forecast_a_mean_are_left_out_of_a_quantile_and_refused_where_they_are_named():
    problem = plain_tables.params("regression", metric="pinball_90").problem
    assert member_names(problem) == ("lightgbm", "xgboost", "catboost")
    with pytest.raises(
        BadConfiguration, match="member linear forecasts a mean, and metric pinball_90 needs a quantile"
    ):
        member_names(problem.model_copy(update={"members": ("linear",)}))
