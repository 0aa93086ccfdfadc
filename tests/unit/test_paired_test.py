"""Two forecasts of the same rows: who is better overall, and on which slice not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lockgate.evaluation import slices
from lockgate.evaluation.paired_test import Actual
from lockgate.evaluation.slices import Background
from lockgate.problem.description import Bins
from lockgate.problem.metrics import METRICS, rmspe
from lockgate.problem.params import load_params

PROBLEM = load_params(Path(__file__).parents[2] / "params.yaml").problem
RMSPE = METRICS["rmspe"]
OF_NUMBERS = {
    name: metric.with_scale(50.0)
    for name, metric in METRICS.items()
    if metric.tasks == ("regression",) and name != "rul_score"  # a single error of 200 decides its mean
}
STORES, DAYS = 40, 42
ROWS = pd.DataFrame(
    {
        "Store": np.repeat(np.arange(1, STORES + 1), DAYS),
        "Date": np.tile(pd.date_range("2015-06-20", periods=DAYS, unit="s"), STORES),
        "Open": 1,
        "Promo": np.tile(np.arange(DAYS) % 2, STORES),
        "Sales": 1000.0,
    }
)
TABLE = pd.DataFrame(
    {
        "Store": np.arange(1, STORES + 1),
        "StoreType": ["a"] * 35 + ["b"] * 5,
        "Assortment": ["a", "c"] * (STORES // 2),
    }
)
HISTORY = pd.DataFrame(
    {"Store": np.arange(1, STORES), "Open": 1, "Sales": np.arange(1, STORES)}
)  # none of the last store
DAY_BEFORE = int(PROBLEM.period.number(np.array(["2015-06-19"], dtype="datetime64[s]"))[0])
KNOWN = Background(TABLE, HISTORY, DAY_BEFORE)
RNG = np.random.default_rng(3)
REFERENCE = 1000.0 * (1 + RNG.normal(0, 0.1, len(ROWS)))


def compare(metric, rows, candidate, reference):
    """Test two forecasts of rows on the slices of the problem."""
    parts = slices.parts(PROBLEM, rows, KNOWN)
    return Actual.of(PROBLEM, metric, rows).compare(candidate, reference, parts)


def names_of(row):
    """The slices that a row is in."""
    return [part.name for part, chosen in slices.parts(PROBLEM, ROWS, KNOWN) if chosen[row]]


def test_rows_are_sliced_by_column_week_and_size():
    first = ["StoreType a", "Assortment a", "Promo 0", "week 1", "size small"]
    assert names_of(0) == first
    assert names_of(DAYS - 1) == [*first[:2], "Promo 1", "week 6", "size small"]
    assert names_of(38 * DAYS) == ["StoreType b", *first[1:4], "size large"]


def test_a_row_with_an_unknown_value_is_in_no_slice_of_that_way():
    assert not any(name.startswith("size") for name in names_of(len(ROWS) - 1))


def test_bins_are_quantiles_of_the_training_rows():
    problem = PROBLEM.model_copy(update={"slices": (Bins(column="Sales", bins=2),)})
    history = pd.DataFrame({"Store": [1, 1, 1], "Open": 1, "Sales": [1.0, 10.0, 90.0]})
    rows = ROWS[:4].assign(Sales=[10.0, 11.0, np.nan, 5.0])
    found = slices.parts(problem, rows, Background(None, history, None))
    assert [(part.name, chosen.tolist()) for part, chosen in found] == [
        ("Sales above 10", [False, True, False, False]),
        ("Sales up to 10", [True, False, False, True]),
    ]


def test_equal_forecasts_differ_nowhere():
    found = compare(RMSPE, ROWS, REFERENCE, REFERENCE)
    assert (found.candidate_score, found.reference_score, found.rows) == (
        found.reference_score,
        rmspe(ROWS["Sales"], REFERENCE),
        len(ROWS),
    )
    assert {found.difference.interval(), *(found.interval(part) for part in found.slices)} == {(0.0, 0.0)}


def test_slices_with_too_few_rows_or_stores_are_left_out_by_name():
    found = compare(RMSPE, ROWS, REFERENCE, REFERENCE)
    assert found.left_out == ("StoreType b",)
    assert [(part.name, part.rows) for part in found.slices[:4]] == [
        ("StoreType a", 35 * DAYS),
        ("Assortment a", 20 * DAYS),
        ("Assortment c", 20 * DAYS),
        ("Promo 0", STORES * DAYS // 2),
    ]


def test_the_slice_on_which_the_candidate_is_worse_is_the_worst():
    in_week_3 = np.arange(len(ROWS)) % DAYS // 7 == 2
    candidate = np.where(in_week_3, 1000 + 1.5 * (REFERENCE - 1000), REFERENCE)
    worst = compare(RMSPE, ROWS, candidate, REFERENCE).worst
    assert (worst.name, worst.rows) == ("week 3", 7 * STORES)
    assert worst.difference.value == pytest.approx(0.05, abs=0.005)


def test_days_without_sales_do_not_count():
    closed = ROWS.assign(Sales=np.where(ROWS["Promo"] == 1, 0.0, 1000.0))
    found = compare(RMSPE, closed, REFERENCE, REFERENCE)
    assert (found.rows, {"Promo 1"} & set(found.left_out)) == (len(ROWS) // 2, set())
    assert "Promo 1" not in {part.name for part in found.slices}


def test_closed_days_do_not_count_in_any_metric_and_open_days_without_sales_count_where_the_metric_takes_them():
    rows = ROWS.assign(Open=np.arange(len(ROWS)) % 4 != 0, Sales=np.where(np.arange(len(ROWS)) % 4 == 1, 0.0, 1000.0))
    found = {name: compare(metric, rows, REFERENCE, REFERENCE).rows / len(rows) for name, metric in OF_NUMBERS.items()}
    assert found == dict.fromkeys(OF_NUMBERS, 0.75) | {"rmspe": 0.5, "mape": 0.5}


@pytest.mark.parametrize("metric", OF_NUMBERS.values(), ids=OF_NUMBERS)
def test_a_worse_candidate_is_worse_overall_and_on_each_slice_in_each_metric(metric):
    rows = ROWS.assign(Sales=RNG.uniform(500, 1500, len(ROWS)))
    sales = rows["Sales"].to_numpy()
    reference = sales * (1 + RNG.normal(0, 0.1, len(rows)))
    found = compare(metric, rows, sales + 1.5 * (reference - sales), reference)
    assert found.difference.interval()[0] > 0
    assert len(found.slices) >= 10
    assert all(part.difference.value > 0 for part in found.slices)
    turned = compare(metric, rows, reference, sales + 1.5 * (reference - sales))
    assert turned.worst.difference.value < 0


def test_without_rows_nothing_is_measured():
    found = compare(RMSPE, ROWS[:0], REFERENCE[:0], REFERENCE[:0])
    assert (found.rows, found.slices, found.worst) == (0, (), None)
    assert np.isnan([found.candidate_score, found.reference_score, found.difference.value]).all()


def test_row_order_changes_nothing():
    candidate = REFERENCE * 1.01
    shuffled = RNG.permutation(len(ROWS))
    found = compare(RMSPE, ROWS, candidate, REFERENCE)
    again = compare(RMSPE, ROWS.iloc[shuffled], candidate[shuffled], REFERENCE[shuffled])
    assert again.difference.error == pytest.approx(found.difference.error, rel=1e-9)
    assert [part.name for part in again.slices] == [part.name for part in found.slices]
