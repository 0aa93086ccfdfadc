"""Intervals of a score that know that rows of a store, and of a week, are alike."""

import numpy as np
import pytest

from lockgate.evaluation import bootstrap
from lockgate.evaluation.bootstrap import Difference, Rows
from lockgate.problem.metrics import METRICS

RNG = np.random.default_rng(21)
STORES, DAYS = 60, 42
STORE, DAY = np.repeat(np.arange(STORES), DAYS), np.tile(np.arange(DAYS) + 16_000, STORES)


WEEK = 7
RMSPE = METRICS["rmspe"]
ROWS = Rows(np.ones(len(STORE)), STORE, DAY, WEEK)
OF_NUMBERS = {
    name: metric.with_scale(50.0)
    for name, metric in METRICS.items()
    if metric.tasks == ("regression",) and name != "rul_score"  # a single error of 200 decides its mean
}
OF_TWO = {name: metric for name, metric in METRICS.items() if "binary" in metric.tasks}


def interval(errors, seed=1):
    return bootstrap.interval(RMSPE, ROWS, 1 + errors, seed)


def width(errors):
    low, high = interval(errors)
    return high - low


TARGET = RNG.uniform(100, 1000, len(STORE))


@pytest.mark.parametrize("metric", OF_NUMBERS.values(), ids=OF_NUMBERS)
def test_a_draw_scores_the_rows_as_often_as_it_has_them(metric):
    """The score of a draw is that of a table in which each row is repeated."""
    forecast = TARGET * (1 + RNG.normal(0, 0.1, len(STORE)))
    rows = Rows(TARGET, STORE, DAY, WEEK)
    [drawn] = bootstrap._scores(metric, rows, [forecast], WEEK, seed=1)
    draws = bootstrap._Draws.of(rows, WEEK, seed=1)
    for place in (0, 1, 2):
        times = (draws.of_key[place][draws.key] * draws.of_block[place][draws.block]).astype(int)
        assert drawn[place] == pytest.approx(metric.score(np.repeat(TARGET, times), np.repeat(forecast, times)))


@pytest.mark.parametrize("metric", OF_NUMBERS.values(), ids=OF_NUMBERS)
def test_a_worse_candidate_is_worse_by_more_than_0_in_each_metric_and_a_better_one_by_less(metric):
    rows, reference = Rows(TARGET, STORE, DAY, WEEK), TARGET * (1 + RNG.normal(0, 0.1, len(STORE)))
    worse, better = (TARGET + times * (reference - TARGET) for times in (1.5, 0.5))
    assert bootstrap.difference(metric, rows, worse, reference, 1).interval()[0] > 0
    assert bootstrap.difference(metric, rows, better, reference, 1).interval()[1] < 0


@pytest.mark.parametrize("metric", OF_NUMBERS.values(), ids=OF_NUMBERS)
def test_the_interval_of_each_metric_holds_its_score(metric):
    rows, forecast = Rows(TARGET, STORE, DAY, WEEK), TARGET * (1 + RNG.normal(0, 0.1, len(STORE)))
    low, high = bootstrap.interval(metric, rows, forecast, 1)
    assert low < metric.score(TARGET, forecast) < high


HAPPENED = (RNG.uniform(size=len(STORE)) < 0.3).astype(float)
CHANCE = np.round(np.clip(0.4 + 0.1 * (HAPPENED - 0.3) + RNG.normal(0, 0.2, len(STORE)), 0.01, 0.99), 2)


@pytest.mark.parametrize("metric", OF_TWO.values(), ids=OF_TWO)
def test_a_draw_of_two_classes_scores_the_rows_as_often_as_it_has_them(metric):
    rows = Rows(HAPPENED, np.arange(len(HAPPENED)), np.zeros(len(HAPPENED), dtype=int))
    [drawn] = bootstrap._scores(metric, rows, [CHANCE], 1, seed=1)
    draws = bootstrap._Draws.of(rows, 1, seed=1)
    for place in (0, 1, 999):
        times = draws.of_key[place][draws.key].astype(int)
        assert drawn[place] == pytest.approx(metric.score(np.repeat(HAPPENED, times), np.repeat(CHANCE, times)))


@pytest.mark.parametrize("metric", OF_TWO.values(), ids=OF_TWO)
def test_the_interval_of_two_classes_holds_the_score_and_better_probabilities_are_better(metric):
    rows = Rows(HAPPENED, np.arange(len(HAPPENED)), np.zeros(len(HAPPENED), dtype=int))
    low, high = bootstrap.interval(metric, rows, CHANCE, 1)
    assert low < metric.score(HAPPENED, CHANCE) < high
    better = CHANCE + 0.9 * (HAPPENED - CHANCE)
    assert bootstrap.difference(metric, rows, better, CHANCE, 1).interval()[1] < 0


def test_more_keys_than_are_drawn_are_put_together_at_random_with_about_the_same_interval():
    rng = np.random.default_rng(4)
    count = 4 * bootstrap.MOST_KEYS
    rows = Rows(np.ones(count), np.arange(count), np.zeros(count, dtype=int))
    low, high = bootstrap.interval(METRICS["mae"], rows, 1 + rng.exponential(1.0, count), 1)
    assert high - low == pytest.approx(2 * 1.96 / np.sqrt(count), rel=0.15)


@pytest.mark.parametrize("metric", ["roc_auc", "pr_auc", "recall_at_10", "median_absolute_error"])
def test_the_draws_are_the_same_however_many_are_computed_at_a_time(metric, monkeypatch):
    """Also where forecasts are equal: the weights of their rows are added together."""
    rng = np.random.default_rng(5)
    actual = (rng.random(3000) < 0.3).astype(np.float64)
    rows = Rows(actual, np.arange(3000) // 20, np.arange(3000) % 20, 5)
    forecast = np.clip(0.2 + 0.3 * actual + 0.2 * rng.standard_normal(3000), 0.01, 0.99).round(2)
    found = []
    for cells in (1, 100_000, 10_000_000):
        monkeypatch.setattr(bootstrap, "CELLS", cells)
        found.append(bootstrap.interval(METRICS[metric], rows, forecast, 3))
    assert found[0] == found[1] == found[2]


def test_a_table_of_a_single_class_has_no_interval():
    rows = Rows(np.zeros(50), np.arange(50), np.zeros(50, dtype=int))
    assert np.isnan(bootstrap.interval(METRICS["roc_auc"], rows, np.linspace(0, 1, 50), 1)).all()


def test_the_interval_holds_the_rmspe_and_is_the_same_for_the_same_seed():
    errors = RNG.normal(0, 0.1, size=len(STORE))
    low, high = interval(errors)
    assert low < np.sqrt(np.mean(errors**2)) < high
    assert interval(errors) == (low, high)
    assert interval(errors, seed=2) != (low, high)


def test_errors_that_are_all_alike_leave_no_doubt():
    assert interval(np.full(len(STORE), 0.1)) == pytest.approx((0.1, 0.1))


def test_a_week_that_was_hard_for_all_widens_the_interval_more_than_the_same_errors_scattered():
    hard = np.where(DAY.min() + WEEK > DAY, 0.3, 0.05)
    assert width(hard) > 3 * width(RNG.permutation(hard))


def test_a_few_hard_stores_widen_the_interval_more_than_the_same_errors_scattered():
    hard = np.where(STORE < 6, 0.3, 0.05)
    assert width(hard) > 2 * width(RNG.permutation(hard))


def paired(errors, other, seed=1, rows=slice(None)):
    return bootstrap.difference(RMSPE, ROWS.where(rows), 1 + errors[rows], 1 + other[rows], seed)


def test_the_difference_of_a_forecast_to_itself_is_nothing_without_any_doubt():
    errors = RNG.normal(0, 0.1, size=len(STORE))
    assert paired(errors, errors) == Difference(0.0, 0.0)
    assert paired(errors, errors).interval() == (0.0, 0.0)


def test_the_difference_turns_its_sign_with_the_order_and_is_the_same_for_the_same_seed():
    errors = RNG.normal(0, 0.1, size=len(STORE))
    worse = errors + RNG.normal(0, 0.02, size=len(STORE))
    found, turned = paired(worse, errors), paired(errors, worse)
    assert (turned.value, turned.error) == (-found.value, found.error)
    assert paired(worse, errors) == found != paired(worse, errors, seed=2)
    assert found.value == pytest.approx(np.sqrt(np.mean(worse**2)) - np.sqrt(np.mean(errors**2)))


def test_what_is_hard_for_both_does_not_widen_the_difference():
    """The pairs are a hundred times as sure of the difference as either is of itself."""
    hard = np.where(DAY.min() + WEEK > DAY, 0.3, 0.05)
    low, high = paired(hard * 1.001, hard).interval()
    assert width(hard) > 100 * (high - low)


def test_intervals_of_many_comparisons_are_wider_each():
    assert Difference(0.0, 1.0).interval() == pytest.approx((-1.96, 1.96), abs=0.01)
    assert Difference(0.5, 1.0).interval(17) == pytest.approx((0.5 - 2.974, 0.5 + 2.974), abs=0.01)


def test_the_days_of_a_single_week_are_drawn_one_by_one():
    """All stores alike on each day: drawn as one week there would be no doubt at all."""
    week = DAY.min() + 7 > DAY
    of_day = np.linspace(0.05, 0.15, 42)[DAY - DAY.min()]
    assert paired(of_day, np.full(len(DAY), 0.1), rows=week).error > 0.001


@pytest.mark.parametrize("error", [np.nan, np.inf])
def test_an_error_that_is_no_number_makes_the_difference_none(error):
    errors = np.full(len(STORE), 0.1)
    found = paired(np.where(STORE == 7, error, errors), errors)
    assert np.isnan([found.value, found.error]).all()


def test_without_rows_there_is_no_difference():
    found = paired(np.zeros(len(STORE)), np.zeros(len(STORE)), rows=slice(0))
    assert np.isnan([found.value, found.error]).all()


def test_about_as_many_differences_are_held_as_claimed():
    """Both share what is hard, and each has something of its own for each store and each row."""
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        shared = rng.normal(0, 0.08, len(STORE))
        ours, theirs = (shared + rng.normal(0, 0.02, STORES)[STORE] + rng.normal(0, 0.02, len(STORE)) for _ in range(2))
        low, high = paired(ours, theirs, seed).interval()
        held += low < 0 < high
    assert held >= 92


def test_about_as_many_intervals_hold_the_truth_as_they_claim():
    """Errors with a share of each store and of each day; weeks are few, so that a little less than 95 % is held."""
    held = 0
    truth = np.sqrt(0.05**2 + 0.05**2 + 0.07**2)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        errors = rng.normal(0, 0.05, STORES)[STORE] + rng.normal(0, 0.05, DAYS)[DAY - DAY.min()]
        low, high = interval(errors + rng.normal(0, 0.07, len(STORE)), seed)
        held += low < truth < high
    assert held >= 47
