"""Two versions side by side, in numbers that a hand can check."""

import numpy as np
import pandas as pd
import pytest
from paired_rows import CHURN, ENGINES, PAIRS, pairs

from lockgate.comparison.agreement import PairedScores, RowDifference, Score, SliceAgreement, Spread, agreement
from lockgate.comparison.pairs import Pairs
from lockgate.comparison.parts import Background, parts
from lockgate.problem.metrics import METRICS
from lockgate.problem.target_values import target_values
from lockgate.reports.record_diff import (
    DifferentValue,
    ImportanceChange,
    MetricPair,
    RecordDiff,
    diff,
    importance_changes,
    metric_pairs,
)

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


def test_forecasts_are_weighed_on_the_rows_that_where_does_not_leave_out():
    found = agreement(PAIRS, RMSPE)
    assert (found.rows, found.outside, found.other_class) == (4, 1, None)
    assert found.spread == Spread(
        rows=3,
        mean=pytest.approx(-0.02),
        mean_absolute=pytest.approx(0.14 / 3),
        quantiles=pytest.approx(
            {0.0: -0.1, 0.01: -0.098, 0.05: -0.09, 0.25: -0.05, 0.5: 0, 0.75: 0.02, 0.95: 0.036, 0.99: 0.0392, 1: 0.04}
        ),
        near=pytest.approx({0.01: 1 / 3, 0.05: 2 / 3, 0.1: 1.0}),
    )


def test_both_are_scored_on_the_rows_with_a_target():
    assert agreement(PAIRS, RMSPE).scored == PairedScores(
        first=Score(2, {"rmspe": 0.0, "mae": 0.0, "bias": 0.0}),
        second=Score(2, pytest.approx({"rmspe": np.sqrt((0.04**2 + 0.1**2) / 2), "mae": 12.0, "bias": 284 / 300 - 1})),
    )


def test_they_are_scored_in_the_metric_of_the_problem_and_rows_outside_where_do_not_count():
    """A closed store sells 0 and is forecast 0: three open rows, of which one has no sales on record."""
    found = agreement(PAIRS, METRICS["rmse"]).scored
    expected = {"rmse": np.sqrt((4**2 + 20**2) / 2), "mae": 12.0, "bias": 284 / 300 - 1}
    assert found.second == Score(2, pytest.approx(expected))
    assert found.first.scores["rmse"] == 0.0


def test_slices_say_where_the_two_differ():
    found = {(part.by, part.value): part for part in agreement(PAIRS, RMSPE).slices}
    assert list(found) == [
        ("StoreType", "a"), ("StoreType", "c"), ("Assortment", "b"), ("Promo", "0"), ("Promo", "1"), ("week", "1"),
        ("size", "small"), ("weekday", "1 Monday"), ("weekday", "2 Tuesday"),
    ]  # fmt: skip
    tuesday = PairedScores(
        Score(1, {"rmspe": 0.0, "mae": 0.0, "bias": 0.0}),
        Score(1, pytest.approx({"rmspe": 0.1, "mae": 20.0, "bias": -0.1})),
    )
    shown = found["weekday", "2 Tuesday"]
    assert shown == SliceAgreement("weekday", "2 Tuesday", 1, pytest.approx(-0.1), pytest.approx(0.1), tuesday)
    assert found["StoreType", "c"] == SliceAgreement("StoreType", "c", 1, 0.0, 0.0, None)


def test_the_rows_that_differ_most_come_first():
    found = agreement(PAIRS, RMSPE).farthest
    assert found[0] == RowDifference({"Store": "1", "Date": "2015-06-23"}, 200.0, 180.0, pytest.approx(-0.1), 200.0)
    assert [(each.row, each.actual) for each in found[1:]] == [
        ({"Store": "1", "Date": "2015-06-22"}, 100.0),
        ({"Store": "2", "Date": "2015-06-22"}, None),
    ]


def test_a_forecast_of_0_is_a_finite_difference():
    found = agreement(pairs(first=[0.0] * 4, second=[0.0, 0.0, 50.0, 0.0]), RMSPE)
    assert (found.spread.rows, found.spread.mean) == (3, 50.0 / 3)


def test_small_numbers_differ_by_their_share_too():
    """A forecast of kilometres per second of 0.002 counts as this, and not as 1."""
    found = agreement(pairs(first=[0.002] * 4, second=[0.003] * 4), RMSPE)
    assert found.spread.mean == pytest.approx(0.5)


def test_where_every_row_is_outside_there_is_nothing_to_weigh():
    found = agreement(pairs(rows=PAIRS.rows.assign(Open=0, Sales=NAN), first=[0.0] * 4, second=[0.0] * 4), RMSPE)
    assert (found.outside, found.spread, found.slices, found.farthest, found.scored) == (4, None, (), (), None)


def test_the_pairs_are_not_changed():
    before = PAIRS.rows.copy(deep=True)
    agreement(PAIRS, RMSPE)
    pd.testing.assert_frame_equal(PAIRS.rows, before)


def churn(first, second):
    rows = pd.DataFrame(
        {"Plan": ["a", "b", "a", "b"], "Months": [1, 2, 3, 40], "Churn": ["Yes", "No", None, "No"]}, index=range(4)
    )
    parts_of_rows = parts(CHURN, rows, Background())
    return Pairs(CHURN, rows, target_values(CHURN, rows["Churn"]), np.array(first), np.array(second), parts_of_rows)


def test_probabilities_differ_in_points_and_rows_of_another_class_are_counted():
    found = agreement(churn([0.9, 0.5, 0.2, 0.1], [0.7, 0.4, 0.2, 0.1]), METRICS["mae"])
    assert (found.is_relative, found.other_class, found.outside) == (False, 1, 0)
    assert found.spread.mean == pytest.approx(-0.075)
    assert found.farthest[0] == RowDifference({"row": "0"}, 0.9, 0.7, pytest.approx(-0.2), "Yes")
    assert found.scored.first == Score(3, pytest.approx({"mae": (0.1 + 0.5 + 0.1) / 3, "accuracy": 2 / 3}))
    assert found.scored.second.scores["accuracy"] == 1.0
    assert [(part.by, part.value, part.rows) for part in found.slices] == [
        ("Plan", "a", 2), ("Plan", "b", 2), ("Months", "above 2.5", 2), ("Months", "up to 2.5", 2),
    ]  # fmt: skip


def test_many_classes_differ_by_the_probability_that_moved():
    first = np.array([[0.6, 0.3, 0.1], [0.2, 0.4, 0.4]])
    second = np.array([[0.3, 0.6, 0.1], [0.2, 0.4, 0.4]])
    many = CHURN.model_copy(update={"task": "multiclass", "positive": ""})
    rows = pd.DataFrame({"Churn": ["No", "Maybe"], "Plan": ["a", "b"], "Months": [1, 2]})
    assert target_values(many, rows["Churn"], ("Yes", "No", "Maybe")).tolist() == [1.0, 2.0]
    found = agreement(Pairs(many, rows, np.full(2, NAN), first, second), METRICS["mae"])
    assert (found.other_class, found.spread.mean) == (1, pytest.approx(0.15))
    assert found.farthest[0] == RowDifference({"row": "0"}, 0.6, 0.3, pytest.approx(0.3), None)


def test_a_state_is_compared_by_its_keys_and_its_running_time():
    rows = pd.DataFrame({"fleet": ["x", "x"], "unit": [7, 7], "cycle": [1, 2], "heat": [0.1, 0.2], "left": [1, 0]})
    found = agreement(
        Pairs(
            ENGINES,
            rows,
            target_values(ENGINES, rows["left"]),
            np.array([3.0, 2.0]),
            np.array([3.0, 1.0]),
            parts(ENGINES, rows, Background()),
        ),
        METRICS["rmse"],
    )
    assert found.farthest[0].row == {"fleet": "x", "unit": "7", "cycle": "2"}
    assert [(part.by, part.value, part.rows) for part in found.slices] == [("fleet", "x", 2)]


def test_a_key_that_is_a_number_is_shown_as_in_the_data():
    single = ENGINES.model_copy(update={"keys": ("unit",), "slices": ()})
    rows = pd.DataFrame({"unit": [7, 7], "cycle": [1, 2], "heat": [0.1, 0.2], "left": [1.0, 0.0]})
    first, second = np.array([3.0, 2.0]), np.array([3.0, 1.0])
    found = agreement(Pairs(single, rows, target_values(single, rows["left"]), first, second, ()), METRICS["rmse"])
    assert found.farthest[0].row == {"unit": "7", "cycle": "2"}


def test_classes_are_compared_as_the_description_names_them():
    flags = CHURN.model_copy(update={"positive": "1"})
    for values in ([1, 0], [1.0, 0.0], ["1", "0"], [True, False]):
        assert target_values(flags, pd.Series(values)).tolist() == [1.0, 0.0]
    assert np.isnan(target_values(flags, pd.Series([1.0, NAN]))[1])
