"""Bounds hold as many sales as they promise, whatever the shape of the errors."""

from dataclasses import replace

import numpy as np
import pytest

from lockgate.errors import WrongUsage
from lockgate.models import conformal
from lockgate.models.conformal import Calibration, Interval, Residuals
from lockgate.problem import confidence

STORES, DAYS = 40, 42
SHAPES = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy tails": lambda rng, size: rng.standard_t(3, size=size),
    "lopsided": lambda rng, size: rng.exponential(size=size) - 0.7,
}


def folds(count, shape="normal", seed=0, window_shift=0.0):
    """Windows of a chain whose stores differ in spread by a factor of three."""
    rng = np.random.default_rng(seed)
    spread = np.linspace(0.06, 0.18, STORES)
    store = np.repeat(np.arange(STORES), DAYS)
    return [
        Residuals(store, spread[store] * SHAPES[shape](rng, len(store)) + rng.normal(0, window_shift), 400)
        for _ in range(count)
    ]


def held(calibration, later, share):
    low, high = calibration.distances(share)
    inside = [(low[fold.key] <= fold.scaled) & (fold.scaled <= high[fold.key]) for fold in later]
    return np.mean(inside)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize("shape", SHAPES)
def test_later_sales_lie_within_their_bounds_as_often_as_promised(shape, share):
    calibration = conformal.calibrate(folds(4, shape), STORES)
    assert held(calibration, folds(20, shape, seed=1), share) == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("share", [0.8, 0.95])
def test_windows_that_are_off_as_a_whole_are_allowed_for(share):
    """All stores of a window may sell less than was thought, by as much as a third of what they miss day by day."""
    found = []
    for seed in range(60):
        windows = folds(10, seed=seed, window_shift=0.04)
        found.append(held(conformal.calibrate(windows[:4], STORES), windows[4:], share))
    assert np.mean(found) == pytest.approx(share, abs=0.02)


def test_a_calm_store_and_a_wild_one_are_covered_nearly_alike():
    """With one width for all it would be 0.99 of the one's sales and 0.6 of the other's."""
    calibration = conformal.calibrate(folds(4), STORES)
    later = folds(40, seed=1)
    for own in (0, STORES - 1):
        rows = [Residuals(fold.key[fold.key == own], fold.scaled[fold.key == own], 400) for fold in later]
        assert held(calibration, rows, 0.8) == pytest.approx(0.8, abs=0.1)


def test_bounds_widen_with_the_confidence_and_enclose_the_forecast():
    calibration = conformal.calibrate(folds(3, "lopsided"), STORES)
    bounds = [calibration.distances(share) for share in np.linspace(0.001, confidence.MOST, 300)]
    lower, upper = (np.array(side) for side in zip(*bounds, strict=True))
    assert (np.diff(lower, axis=0) <= 0).all() and (np.diff(upper, axis=0) >= 0).all()
    assert (lower <= 0).all() and (upper >= 0).all()


def test_a_store_with_few_rows_is_taken_to_be_like_the_chain():
    fold = folds(1)[0]
    wild = Residuals(np.append(fold.key, STORES), np.append(fold.scaled, 5.0), 400)
    found = conformal.spreads([wild], STORES + 2)
    chain = np.abs(wild.scaled).mean()
    assert found[STORES + 1] == pytest.approx(chain)  # without any row
    assert chain < found[STORES] < 1.06 * chain  # one row that was missed by far


def test_a_store_with_many_rows_keeps_its_own_spread():
    found = conformal.spreads(folds(10), STORES)
    assert found[-1] / found[0] == pytest.approx(3, rel=0.25)


def test_folds_that_knew_as_much_count_the_same_however_many_rows_they_have():
    """A long calm fold and a short wild one: between the medians of both, not at that of the longer one."""
    store = np.zeros(9_000, dtype=np.int64)
    calm, wild = Residuals(store, np.full(9_000, -0.1), 400), Residuals(store[:1_000], np.full(1_000, 0.1), 400)
    low, high = conformal.calibrate([calm, wild], 1).distances(0.5)
    assert low[0] < -0.09 and high[0] > 0.09


def test_a_fold_that_knew_little_counts_little():
    """Windows long ago are forecast from less history, and worse."""
    long_ago = [replace(fold, scaled=3 * fold.scaled, history=100) for fold in folds(1)]
    later = folds(20, seed=2)
    assert held(conformal.calibrate([*folds(3, seed=1), *long_ago], STORES), later, 0.95) < 0.97
    alike = [replace(fold, history=400) for fold in long_ago]
    assert held(conformal.calibrate([*folds(3, seed=1), *alike], STORES), later, 0.95) > 0.98


def test_one_fold_is_enough_for_bounds_and_too_few_to_check_them():
    one = folds(1)
    assert held(conformal.calibrate(one, STORES), folds(20, seed=1), 0.8) == pytest.approx(0.8, abs=0.02)
    assert np.isnan(conformal.inner_coverage(one, STORES, 0.8))


def test_inner_coverage_asks_of_each_fold_what_the_others_say():
    alike = folds(4)
    assert conformal.inner_coverage(alike, STORES, 0.95) == pytest.approx(0.95, abs=0.02)
    stranger = Residuals(alike[0].key, alike[0].scaled + 3.0, 400)
    assert conformal.inner_coverage([alike[0], stranger], STORES, 0.5) < 0.6


def test_errors_that_are_all_zero_give_bounds_at_the_forecast():
    nothing = [Residuals(fold.key, np.zeros_like(fold.scaled), 400) for fold in folds(2)]
    lower, upper = conformal.calibrate(nothing, STORES).distances(0.95)
    assert lower.tolist() == upper.tolist() == [0.0] * STORES


@pytest.mark.parametrize("share", [0.0, -0.1, 1.0, 0.9991, 1.5, 95, float("nan"), float("inf")])
def test_a_confidence_without_bounds_is_refused(share):
    with pytest.raises(WrongUsage, match="the confidence is") as refusal:
        Calibration(np.ones(1), np.zeros(len(conformal.PROBABILITIES))).distances(share)
    assert "at most 0.999" in refusal.value.hint


def test_coverage_is_the_share_of_sales_within_their_bounds():
    found = Interval(np.array([2.0, 2.0, 0.0, 2.0]), np.array([1.0, 1.0, 0.0, 1.0]), np.array([3.0, 3.0, 0.0, 3.0]))
    assert conformal.coverage(np.array([1.0, 3.5, 0.0, 3.0]), found) == 0.75
    unknown = Interval(np.ones(1), np.full(1, np.nan), np.full(1, np.nan))
    assert np.isnan(conformal.coverage(np.ones(1), unknown))
    assert np.isnan(conformal.coverage(np.empty(0), Interval(np.empty(0), np.empty(0), np.empty(0))))
