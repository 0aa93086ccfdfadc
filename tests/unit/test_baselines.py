"""The bar that a candidate must clear."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lockgate.evaluation.paired_test import Actual
from lockgate.models import baselines
from lockgate.problem.description import Problem
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import load_params

PROBLEM = load_params(Path(__file__).parents[2] / "params.yaml").problem

HISTORY = pd.DataFrame(
    {
        "Store": [1, 1, 1, 1, 2],
        "Date": pd.to_datetime(["2015-01-05", "2015-01-12", "2015-01-19", "2013-01-07", "2015-01-06"]),
        "Sales": [100, 300, 0, 9000, 50],
        "Open": [1, 1, 0, 1, 1],
        "Promo": [0, 0, 0, 0, 1],
    }
)


def seasonal_naive(history, rows):
    return pd.Series(baselines.baseline(PROBLEM, history, rows), index=rows.index)


def asked(store, date, promo=0, opened=1):
    return pd.DataFrame(
        {"Store": [store], "Date": pd.to_datetime([date]), "Open": [opened], "Promo": [promo]}, index=[7]
    )


def test_it_is_the_median_of_the_same_store_weekday_and_promo_of_the_last_364_days():
    assert seasonal_naive(HISTORY, asked(1, "2015-02-02")).to_dict() == {7: 200.0}


def test_a_combination_never_seen_takes_the_stores_median_and_a_new_store_the_chains():
    assert seasonal_naive(HISTORY, asked(2, "2015-02-02")).to_list() == [50.0]
    assert seasonal_naive(HISTORY, asked(3, "2015-02-02")).to_list() == [100.0]


def test_a_closed_day_is_zero():
    assert seasonal_naive(HISTORY, asked(1, "2015-02-02", opened=0)).to_list() == [0.0]


MONTHS = Problem.model_validate(
    {
        "name": "demand",
        "sources": [{"file": "demand.csv"}],
        "target": "units",
        "keys": ["segment"],
        "time": {"column": "month", "period": "month"},
        "horizon": 3,
        "columns": {"segment": {"type": "category"}, "month": {"type": "date"}, "units": {"type": "number"}},
        "metric": "mase",
    }
)
PAST = pd.DataFrame(
    {
        "segment": ["a"] * 24,
        "month": pd.date_range("2020-01-01", periods=24, freq="MS"),
        "units": np.arange(24.0),
    }
)
NEXT = pd.DataFrame({"segment": ["a", "b"], "month": pd.to_datetime(["2022-02-01", "2022-02-01"])})
CHURN = Problem.model_validate(
    {
        "name": "churn",
        "task": "multiclass",
        "sources": [{"file": "churn.csv"}],
        "target": "plan",
        "known_covariates": ["city"],
        "columns": {"city": {"type": "category"}, "plan": {"type": "category"}},
        "metric": "log_loss",
    }
)
PRICES = Problem.model_validate(
    {
        "name": "prices",
        "sources": [{"file": "prices.csv"}],
        "target": "price",
        "known_covariates": ["brand"],
        "columns": {"brand": {"type": "category"}, "price": {"type": "number"}},
        "metric": "mae",
    }
)


def named(problem, name):
    return problem.model_copy(update={"baseline": name})


def test_the_seasonal_naive_forecast_of_a_month_is_that_of_the_month_a_year_earlier():
    assert MONTHS.baseline_name == "seasonal_naive"
    assert baselines.baseline(MONTHS, PAST, NEXT).tolist() == [13.0, 17.5]


def test_the_naive_forecast_is_the_last_value_of_the_key_and_the_median_of_all_for_a_new_key():
    shuffled = PAST.sample(frac=1, random_state=1)
    assert baselines.baseline(named(MONTHS, "naive"), shuffled, NEXT).tolist() == [23.0, 11.5]


def test_the_scale_of_mase_is_the_mean_change_over_a_season_of_each_key_and_that_of_all_for_a_key_without_one():
    """Segment a grows by 12 a year, c by 24; b is new, and d never changes."""
    rows = pd.DataFrame({"segment": list("cabd")})
    history = pd.concat([PAST, PAST.assign(segment="c", units=2 * PAST["units"]), PAST.assign(segment="d", units=7.0)])
    assert baselines.naive_errors(MONTHS, history, rows).tolist() == [24.0, 12.0, 12.0, 12.0]
    assert baselines.naive_errors(MONTHS, PAST, rows).tolist() == [12.0] * 4
    assert np.isnan(baselines.naive_errors(MONTHS, PAST[:12], rows)).all()


def test_mase_divides_the_errors_of_each_key_by_the_scale_of_its_training_rows():
    """Errors of 6 are half of the scale of a, and a quarter of that of c; a slice keeps its own scales."""
    problem = MONTHS.model_copy(update={"metric": "mase"})
    history = pd.concat([PAST, PAST.assign(segment="c", units=2 * PAST["units"])])
    rows = NEXT.assign(segment=["a", "c"], units=[24.0, 48.0])
    actual = Actual.of(problem, METRICS["mase"], rows, history=history)
    assert actual.score(np.array([30.0, 42.0])) == (0.5 + 0.25) / 2
    found = actual.compare(np.array([30.0, 42.0]), np.array([24.0, 48.0]))
    assert (found.candidate_score, found.reference_score, found.difference.value) == (0.375, 0.0, 0.375)
    assert actual.rows.where(np.array([False, True])).score(METRICS["mase"], np.array([42.0])) == 0.25
    low, high = actual.interval(np.array([30.0, 42.0]))
    assert (low, high) == (0.25, 0.5)
    assert np.isnan(Actual.of(problem, METRICS["mase"], rows).score(np.array([30.0, 42.0])))


@pytest.mark.parametrize(("name", "expected"), [("mean", [4.0, 4.0]), ("group_median", [1.5, 2.0]), ("", [4.0, 4.0])])
def test_baselines_of_a_table_of_numbers(name, expected):
    past = pd.DataFrame({"brand": ["x", "x", "y"], "price": [1.0, 2.0, 9.0]})
    found = baselines.baseline(named(PRICES, name), past, pd.DataFrame({"brand": ["x", "z"]}))
    assert found.tolist() == expected


def test_the_baseline_of_classes_is_the_share_of_each_class():
    past = pd.DataFrame({"city": ["x", "x", "y", "y"], "plan": ["a", "b", "a", "a"]})
    found = baselines.baseline(CHURN, past, pd.DataFrame({"city": ["x", "y"]}), ("a", "b"))
    assert found.tolist() == [[0.75, 0.25]] * 2
