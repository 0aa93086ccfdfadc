"""Training rows stand where the rows to be forecast will stand."""

from dataclasses import replace

import numpy as np
import pytest
import small_chain

from lockgate.features import daily_residual, training_rows
from lockgate.features.known_inputs import store_attributes
from lockgate.features.recipe import RIDGE, Table
from lockgate.features.store_panel.recipe import STORE_PANEL

HORIZON = 42
RNG = np.random.default_rng(12)


@pytest.fixture(scope="module")
def stores():
    return store_attributes(small_chain.chain().stores)


@pytest.fixture(scope="module")
def table(stores):
    return Table.of(small_chain.parts().rows, stores)


def made(table, origins):
    seen = STORE_PANEL.fit(table, origins, HORIZON)
    return {origin: training_rows.rows_after(table, state) for origin, state in seen.items()}


@pytest.fixture(scope="module")
def window(table):
    origin = table.last - HORIZON
    return made(table, [origin])[origin]


def test_windows_lie_side_by_side_up_to_the_last_day_and_leave_a_history_before_the_first(table):
    found = training_rows.cutoffs(table, table.last, HORIZON, min_history_days=182)
    assert found[-1] == table.last - HORIZON
    assert set(np.diff(found).tolist()) == {HORIZON}
    assert 182 <= found[0] - table.first + 1 < 182 + HORIZON


def test_a_row_lies_after_its_origin_and_within_the_horizon(table, window):
    assert (window.day.min(), window.day.max()) == (table.last - HORIZON + 1, table.last)


def test_a_window_is_the_same_whatever_other_windows_are_made(table, window):
    """Windows a horizon apart share the ridges' work; windows of another shift share nothing."""
    origin = table.last - HORIZON
    among = made(table, [origin - 84, origin - 63, origin - 42, origin])
    assert sorted(among) == [origin - 84, origin - 63, origin - 42, origin]
    assert among[origin].matrix.offsets[RIDGE] == pytest.approx(window.matrix.offsets[RIDGE], rel=1e-6)
    assert np.array_equal(among[origin].log_sales, window.log_sales)


def test_open_days_without_a_sale_are_not_learned_from(stores, window):
    rows = small_chain.parts().rows
    empty = rows.copy()
    last_sold = empty.index[(empty["Store"] == 3) & (empty["Sales"] > 0)][-1]
    empty.loc[last_sold, "Sales"] = 0
    table = Table.of(empty, stores)
    fewer = made(table, [table.last - HORIZON])[table.last - HORIZON]
    assert len(window.log_sales) - len(fewer.log_sales) == 1


def test_a_residual_of_all_stores_is_the_daily_residual_and_the_residual_of_one_store_is_not(window):
    """A day on which every store sells a fifth more than expected is one; a store that does so alone makes none."""
    day = window.day == window.day[0]
    whole = daily_residual.daily_residuals(window.day, np.where(day, 0.2, 0.0))
    assert whole[day] == pytest.approx(0.2 * day.sum() / (day.sum() + daily_residual.PRIOR_ROWS))
    assert whole[~day] == pytest.approx(0.0)
    alone = daily_residual.daily_residuals(window.day, np.where(np.arange(len(day)) == 0, 0.2, 0.0))
    assert 0 < alone.max() < 0.02


def test_one_store_that_hardly_sold_does_not_make_the_chains_day(window):
    odd = daily_residual.daily_residuals(window.day, np.where(np.arange(len(window.day)) == 0, -5.0, 0.0))
    assert -0.5 / (1 + daily_residual.PRIOR_ROWS) <= odd.min() < 0


def test_the_daily_residual_of_a_window_is_the_residual_of_its_own_ridge(window):
    """A day in the windows of two cutoffs has two residuals, one for each cutoff."""
    missed = window.log_sales - window.matrix.offsets[RIDGE]
    assert np.array_equal(window.daily_residual, daily_residual.daily_residuals(window.day, missed))
    later = replace(window, daily_residual=window.daily_residual + 1.0)
    assert np.array_equal(
        training_rows.join([window, later]).daily_residual,
        np.concatenate([window.daily_residual, later.daily_residual]),
    )


@pytest.mark.parametrize(
    ("history_days", "remove_daily_residual", "hidden"),
    [
        (training_rows.MIN_DAYS_FOR_RESIDUAL, True, 1.0),
        (training_rows.MIN_DAYS_FOR_RESIDUAL, False, 0.0),
        (training_rows.MIN_DAYS_FOR_RESIDUAL - 1, True, 1.0),
        (training_rows.MIN_DAYS_FOR_RESIDUAL - 1, False, 1.0),
    ],
)
def test_the_daily_residual_is_removed_where_a_booster_asks_for_it_and_always_after_a_short_history(
    window, history_days, remove_daily_residual, hidden
):
    """Nothing else of the rows changes."""
    seen = replace(window, history_days=np.full(len(window.day), history_days))
    target = training_rows.training_target(seen, remove_daily_residual=remove_daily_residual)
    assert np.array_equal(target.log_sales, window.log_sales - hidden * window.daily_residual)
    assert replace(target, log_sales=seen.log_sales) == seen


def test_a_block_knows_how_long_its_origin_looks_back(table, window):
    assert set(window.history_days.tolist()) == {table.last - HORIZON - table.first + 1}
