"""Intervals of an RMSPE that know that rows of a store, and of a week, are alike."""

import numpy as np
import pytest

from lockgate.forecast import bootstrap

RNG = np.random.default_rng(21)
STORES, DAYS = 60, 42
STORE, DAY = np.repeat(np.arange(STORES), DAYS), np.tile(np.arange(DAYS) + 16_000, STORES)


def interval(errors, seed=1):
    return bootstrap.rmspe_interval(bootstrap.sums(errors, STORE, DAY), seed)


def width(errors):
    low, high = interval(errors)
    return high - low


def test_sums_are_those_of_each_store_in_each_week():
    found = bootstrap.sums(np.array([0.1, 0.2, 0.3]), np.array([5, 5, 9]), np.array([100, 106, 107]))
    assert found.rows.tolist() == [[2, 0], [0, 1]]
    assert found.squares == pytest.approx(np.array([[0.05, 0], [0, 0.09]]))


def test_the_interval_holds_the_rmspe_and_is_the_same_for_the_same_seed():
    errors = RNG.normal(0, 0.1, size=len(STORE))
    low, high = interval(errors)
    assert low < np.sqrt(np.mean(errors**2)) < high
    assert interval(errors) == (low, high)
    assert interval(errors, seed=2) != (low, high)


def test_errors_that_are_all_alike_leave_no_doubt():
    assert interval(np.full(len(STORE), 0.1)) == pytest.approx((0.1, 0.1))


def test_a_week_that_was_hard_for_all_widens_the_interval_more_than_the_same_errors_scattered():
    hard = np.where(DAY.min() + bootstrap.WEEK > DAY, 0.3, 0.05)
    assert width(hard) > 3 * width(RNG.permutation(hard))


def test_a_few_hard_stores_widen_the_interval_more_than_the_same_errors_scattered():
    hard = np.where(STORE < 6, 0.3, 0.05)
    assert width(hard) > 2 * width(RNG.permutation(hard))


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
