"""Two versions side by side, in numbers that a hand can check."""

import numpy as np
import pandas as pd
import pytest
from paired_rows import PAIRS

from lockgate.comparison.agreement import PairedScores, RowDifference, Score, SliceAgreement, Spread, agreement
from lockgate.comparison.record_diff import (
    DifferentValue,
    ImportanceChange,
    MetricPair,
    RecordDiff,
    diff,
    importance_changes,
    metric_pairs,
)
from lockgate.problem.metrics import METRICS

NAN = float("nan")
RMSPE = METRICS["rmspe"]


def test_values_that_differ_are_named_and_equal_ones_are_counted():
    found = diff({"seed": "1", "depth": "3", "old": "x"}, {"seed": "2", "depth": "3", "new": "y"})
    assert found == RecordDiff(
        (DifferentValue("new", None, "y"), DifferentValue("old", "x", None), DifferentValue("seed", "1", "2")), equal=1
    )


def test_metrics_keep_their_order_and_what_only_the_second_has_comes_last():
    found = metric_pairs(
        {("verdict", "rmspe"): 0.1, ("verdict", "mae"): 5.0}, {("a", "b"): 1.0, ("verdict", "rmspe"): 0.2}
    )
    assert found == (
        MetricPair("verdict", "rmspe", 0.1, 0.2),
        MetricPair("verdict", "mae", 5.0, None),
        MetricPair("a", "b", None, 1.0),
    )


def test_importances_come_with_the_largest_change_first_and_0_for_what_a_member_lacks():
    found = importance_changes(
        {("cat", "day"): 0.5, ("cat", "promo"): 0.5}, {("cat", "day"): 0.4, ("cat", "month"): 0.6}
    )
    assert found == (
        ImportanceChange("cat", "month", 0.0, 0.6),
        ImportanceChange("cat", "promo", 0.5, 0.0),
        ImportanceChange("cat", "day", 0.5, 0.4),
    )


def test_forecasts_are_weighed_on_the_rows_for_which_not_both_say_0():
    found = agreement(PAIRS, RMSPE)
    assert (found.rows, found.both_zero) == (4, 1)
    assert found.spread == Spread(
        rows=3,
        mean=pytest.approx(-0.02),
        mean_absolute=pytest.approx(0.14 / 3),
        quantiles=pytest.approx(
            {0.0: -0.1, 0.01: -0.098, 0.05: -0.09, 0.25: -0.05, 0.5: 0, 0.75: 0.02, 0.95: 0.036, 0.99: 0.0392, 1: 0.04}
        ),
        near=pytest.approx({0.01: 1 / 3, 0.05: 2 / 3, 0.1: 1.0}),
    )


def test_both_are_scored_on_the_rows_with_sales():
    assert agreement(PAIRS, RMSPE).scored == PairedScores(
        first=Score(2, "rmspe", 0.0, 0.0, 0.0),
        second=Score(2, "rmspe", pytest.approx(np.sqrt((0.04**2 + 0.1**2) / 2)), 12.0, pytest.approx(284 / 300 - 1)),
    )


def test_they_are_scored_in_the_metric_of_the_problem_and_closed_days_do_not_count():
    """A closed store sells 0 and is forecast 0: three open rows, of which one has no sales on record."""
    found = agreement(PAIRS, METRICS["rmse"]).scored
    assert found.second == Score(
        2, "rmse", pytest.approx(np.sqrt((4**2 + 20**2) / 2)), 12.0, pytest.approx(284 / 300 - 1)
    )
    assert found.first.score == 0.0


def test_slices_say_where_the_two_differ():
    found = {(part.by, part.value): part for part in agreement(PAIRS, RMSPE).slices}
    assert list(found) == [
        ("store type", "a"), ("store type", "c"), ("assortment", "b"), ("promo", "0"), ("promo", "1"), ("week", "1"),
        ("size", "small"), ("weekday", "1"), ("weekday", "2"),
    ]  # fmt: skip
    tuesday = PairedScores(
        Score(1, "rmspe", 0.0, 0.0, 0.0), Score(1, "rmspe", pytest.approx(0.1), 20.0, pytest.approx(-0.1))
    )
    assert found["weekday", "2"] == SliceAgreement("weekday", "2", 1, pytest.approx(-0.1), pytest.approx(0.1), tuesday)
    assert found["store type", "c"] == SliceAgreement("store type", "c", 1, 0.0, 0.0, None)


def test_the_rows_that_differ_most_come_first():
    found = agreement(PAIRS, RMSPE).farthest
    assert found[0] == RowDifference(1, "2015-06-23", 200.0, 180.0, pytest.approx(-0.1), 200.0)
    assert [(row.store, row.date, row.sales) for row in found[1:]] == [
        (1, "2015-06-22", 100.0),
        (2, "2015-06-22", None),
    ]


def test_a_forecast_of_0_against_sales_is_a_finite_difference():
    found = agreement(PAIRS.assign(first=0.0, second=[0.0, 0.0, 0.0, 50.0]), RMSPE)
    assert found.spread is not None
    assert (found.spread.rows, found.spread.mean) == (1, 50.0)


def test_where_both_say_0_to_everything_there_is_nothing_to_weigh():
    found = agreement(PAIRS.assign(first=0.0, second=0.0, Sales=NAN), RMSPE)
    assert (found.both_zero, found.spread, found.slices, found.farthest, found.scored) == (4, None, (), (), None)


def test_the_pairs_are_not_changed():
    before = PAIRS.copy(deep=True)
    agreement(PAIRS, RMSPE)
    pd.testing.assert_frame_equal(PAIRS, before)
