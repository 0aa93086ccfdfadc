"""Two forecasts of the same rows: who is better overall, and on which slice not."""

import numpy as np
import pandas as pd
import pytest

from lockgate.evaluation import paired_test
from lockgate.problem.metrics import rmspe

STORES, DAYS = 40, 42
ROWS = pd.DataFrame(
    {
        "Store": np.repeat(np.arange(1, STORES + 1), DAYS),
        "Date": np.tile(pd.date_range("2015-06-20", periods=DAYS, unit="s"), STORES),
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
LABELS = paired_test.labels(HISTORY, TABLE, ROWS)
RNG = np.random.default_rng(3)
THEIRS = 1000.0 * (1 + RNG.normal(0, 0.1, len(ROWS)))


def test_rows_are_sliced_by_store_promo_week_and_size():
    assert LABELS.iloc[0].tolist() == ["store type a", "assortment a", "no promo", "week 1", "small stores"]
    assert LABELS.iloc[DAYS - 1].tolist() == ["store type a", "assortment a", "promo", "week 6", "small stores"]
    assert LABELS.iloc[38 * DAYS].tolist() == ["store type b", "assortment a", "no promo", "week 1", "large stores"]


def test_a_store_without_past_sales_is_neither_small_nor_large():
    assert LABELS["size"].iloc[-DAYS:].isna().all()


def test_equal_forecasts_differ_nowhere():
    found = paired_test.contest(ROWS, THEIRS, THEIRS, LABELS)
    assert (found.ours, found.theirs, found.rows) == (found.theirs, rmspe(ROWS["Sales"], THEIRS), len(ROWS))
    assert {found.difference.interval(), *(found.interval(part) for part in found.slices)} == {(0.0, 0.0)}


def test_slices_with_too_few_rows_or_stores_are_left_out_by_name():
    found = paired_test.contest(ROWS, THEIRS, THEIRS, LABELS)
    assert found.left_out == ("store type b",)
    assert [(part.name, part.rows) for part in found.slices[:4]] == [
        ("store type a", 35 * DAYS),
        ("assortment a", 20 * DAYS),
        ("assortment c", 20 * DAYS),
        ("no promo", STORES * DAYS // 2),
    ]


def test_the_slice_on_which_ours_is_worse_is_the_worst():
    in_week_3 = (LABELS["week"] == "week 3").to_numpy()
    ours = np.where(in_week_3, 1000 + 1.5 * (THEIRS - 1000), THEIRS)
    worst = paired_test.contest(ROWS, ours, THEIRS, LABELS).worst
    assert (worst.name, worst.rows) == ("week 3", 7 * STORES)
    assert worst.difference.value == pytest.approx(0.05, abs=0.005)


def test_days_without_sales_do_not_count():
    closed = ROWS.assign(Sales=np.where(ROWS["Promo"] == 1, 0.0, 1000.0))
    found = paired_test.contest(closed, THEIRS, THEIRS, LABELS)
    assert (found.rows, {"promo"} & set(found.left_out)) == (len(ROWS) // 2, set())
    assert "promo" not in {part.name for part in found.slices}


def test_without_rows_nothing_is_measured():
    found = paired_test.contest(ROWS[:0], THEIRS[:0], THEIRS[:0], LABELS[:0])
    assert (found.rows, found.slices, found.worst) == (0, (), None)
    assert np.isnan([found.ours, found.theirs, found.difference.value]).all()


def test_row_order_changes_nothing():
    ours = THEIRS * 1.01
    shuffled = RNG.permutation(len(ROWS))
    found = paired_test.contest(ROWS, ours, THEIRS, LABELS)
    again = paired_test.contest(ROWS.iloc[shuffled], ours[shuffled], THEIRS[shuffled], LABELS.iloc[shuffled])
    assert again.difference.error == pytest.approx(found.difference.error, rel=1e-9)
    assert [part.name for part in again.slices] == [part.name for part in found.slices]
