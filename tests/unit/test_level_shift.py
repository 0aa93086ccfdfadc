"""The shift of forecasts of a target that is learned in logs."""

import numpy as np
import pytest

from lockgate.models import level_shift
from lockgate.problem.metrics import METRICS

ROWS = 6_000
RNG = np.random.default_rng(4)
LOGS = RNG.normal(10, 1, ROWS)
MEDIAN, SPREAD = np.exp(LOGS), np.interp(LOGS, [8, 12], [0.6, 0.1])  # low values are uncertain
ACTUAL = MEDIAN * np.exp(RNG.normal(0, SPREAD))
FOLD = np.arange(ROWS) % 5


def fit(metric, actual=ACTUAL):
    return level_shift.fit(actual, MEDIAN, FOLD, METRICS[metric])


def test_the_error_of_the_metric_is_less_on_rows_that_it_did_not_learn():
    for metric in ("mape", "rmspe"):
        score = METRICS[metric].score
        assert score(ACTUAL, fit(metric).out_of_fold) < 0.95 * score(ACTUAL, MEDIAN)


def test_forecasts_move_down_for_mape_and_up_for_the_mean():
    assert fit("mape").shift.moved(MEDIAN).mean() < MEDIAN.mean() < fit("rmse").shift.moved(MEDIAN).mean()


def test_uncertain_levels_move_further():
    factor = fit("mape").shift.moved(MEDIAN) / MEDIAN
    assert factor[LOGS < 9].mean() < 0.85 < 0.95 < factor[LOGS > 11].mean()


def test_a_metric_of_the_median_needs_no_shift():
    moved = fit("mae").shift.moved(MEDIAN)
    assert moved == pytest.approx(MEDIAN, rel=0.03)


def test_forecasts_without_an_error_do_not_move():
    found = fit("mape", MEDIAN)
    assert found.shift is level_shift.NO_SHIFT
    assert np.array_equal(found.out_of_fold, MEDIAN)


def test_a_row_is_moved_the_same_alone_and_in_any_batch():
    shift = fit("mape").shift
    whole = shift.moved(MEDIAN)
    assert all(np.array_equal(shift.moved(MEDIAN[[row]])[0], whole[row]) for row in range(20))
