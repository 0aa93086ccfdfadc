"""Two forecasts of the same rows: who is better overall, and on which slice not."""

import numpy as np
import pandas as pd
import pytest

from lockgate.evaluation import paired_test, slices
from lockgate.evaluation.slices import IN_GATE
from lockgate.problem.metrics import METRICS, rmspe

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
HISTORY = pd.DataFrame({"Store": np.arange(1, STORES), "Sales": np.arange(1, STORES)})  # none of the last store
SLICED = slices.with_attributes(ROWS, TABLE, HISTORY)
RNG = np.random.default_rng(3)
REFERENCE = 1000.0 * (1 + RNG.normal(0, 0.1, len(ROWS)))


def names_of(row):
    """The slices that a row is in."""
    return [part.name for part, chosen in slices.split(SLICED, tuple(slices.WAYS)) if chosen[row]]


def test_rows_are_sliced_by_store_day_week_and_size():
    first = ["store type a", "assortment a", "no promo", "weekday 6", "week 1", "small stores"]
    assert names_of(0) == first
    assert names_of(DAYS - 1) == [*first[:2], "promo", "weekday 5", "week 6", "small stores"]
    assert names_of(38 * DAYS) == ["store type b", *first[1:5], "large stores"]


def test_a_row_with_an_unknown_value_is_in_no_slice_of_that_way():
    assert not {"small stores", "large stores"} & set(names_of(len(ROWS) - 1))


def test_a_store_without_past_sales_is_neither_small_nor_large():
    assert SLICED["size"].iloc[-DAYS:].isna().all()


def test_equal_forecasts_differ_nowhere():
    found = paired_test.compare(RMSPE, SLICED, REFERENCE, REFERENCE, IN_GATE)
    assert (found.candidate_score, found.reference_score, found.rows) == (
        found.reference_score,
        rmspe(ROWS["Sales"], REFERENCE),
        len(ROWS),
    )
    assert {found.difference.interval(), *(found.interval(part) for part in found.slices)} == {(0.0, 0.0)}


def test_slices_with_too_few_rows_or_stores_are_left_out_by_name():
    found = paired_test.compare(RMSPE, SLICED, REFERENCE, REFERENCE, IN_GATE)
    assert found.left_out == ("store type b",)
    assert [(part.name, part.rows) for part in found.slices[:4]] == [
        ("store type a", 35 * DAYS),
        ("assortment a", 20 * DAYS),
        ("assortment c", 20 * DAYS),
        ("no promo", STORES * DAYS // 2),
    ]


def test_the_slice_on_which_the_candidate_is_worse_is_the_worst():
    in_week_3 = (SLICED["week"] == 3).to_numpy()
    candidate = np.where(in_week_3, 1000 + 1.5 * (REFERENCE - 1000), REFERENCE)
    worst = paired_test.compare(RMSPE, SLICED, candidate, REFERENCE, IN_GATE).worst
    assert (worst.name, worst.rows) == ("week 3", 7 * STORES)
    assert worst.difference.value == pytest.approx(0.05, abs=0.005)


def test_days_without_sales_do_not_count():
    closed = SLICED.assign(Sales=np.where(ROWS["Promo"] == 1, 0.0, 1000.0))
    found = paired_test.compare(RMSPE, closed, REFERENCE, REFERENCE, IN_GATE)
    assert (found.rows, {"promo"} & set(found.left_out)) == (len(ROWS) // 2, set())
    assert "promo" not in {part.name for part in found.slices}


def test_closed_days_do_not_count_in_any_metric_and_open_days_without_sales_count_where_the_metric_takes_them():
    rows = SLICED.assign(Open=np.arange(len(ROWS)) % 4 != 0, Sales=np.where(np.arange(len(ROWS)) % 4 == 1, 0.0, 1000.0))
    found = {
        name: paired_test.compare(metric, rows, REFERENCE, REFERENCE).rows / len(rows)
        for name, metric in OF_NUMBERS.items()
    }
    assert found == dict.fromkeys(OF_NUMBERS, 0.75) | {"rmspe": 0.5, "mape": 0.5}


@pytest.mark.parametrize("metric", OF_NUMBERS.values(), ids=OF_NUMBERS)
def test_a_worse_candidate_is_worse_overall_and_on_each_slice_in_each_metric(metric):
    rows = SLICED.assign(Sales=RNG.uniform(500, 1500, len(ROWS)))
    sales = rows["Sales"].to_numpy()
    reference = sales * (1 + RNG.normal(0, 0.1, len(rows)))
    found = paired_test.compare(metric, rows, sales + 1.5 * (reference - sales), reference, IN_GATE)
    assert found.difference.interval()[0] > 0
    assert len(found.slices) >= 10
    assert all(part.difference.value > 0 for part in found.slices)
    turned = paired_test.compare(metric, rows, reference, sales + 1.5 * (reference - sales), IN_GATE)
    assert turned.worst.difference.value < 0


def test_without_rows_nothing_is_measured():
    found = paired_test.compare(RMSPE, SLICED[:0], REFERENCE[:0], REFERENCE[:0], IN_GATE)
    assert (found.rows, found.slices, found.worst) == (0, (), None)
    assert np.isnan([found.candidate_score, found.reference_score, found.difference.value]).all()


def test_row_order_changes_nothing():
    candidate = REFERENCE * 1.01
    shuffled = RNG.permutation(len(ROWS))
    found = paired_test.compare(RMSPE, SLICED, candidate, REFERENCE, IN_GATE)
    again = paired_test.compare(RMSPE, SLICED.iloc[shuffled], candidate[shuffled], REFERENCE[shuffled], IN_GATE)
    assert again.difference.error == pytest.approx(found.difference.error, rel=1e-9)
    assert [part.name for part in again.slices] == [part.name for part in found.slices]
