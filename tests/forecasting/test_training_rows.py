"""Training rows stand where the rows to be forecast will stand."""

from dataclasses import replace

import numpy as np
import pytest
import small_chain

from lockgate.features import shared_residual, training_rows
from lockgate.features.recipe import RIDGE
from lockgate.features.store_panel.recipe import STORE_PANEL

HORIZON = 42
RNG = np.random.default_rng(12)


@pytest.fixture(scope="module")
def table():
    return small_chain.table()


def made(table, origins):
    seen = STORE_PANEL.fit(table, origins, HORIZON)
    return {origin: training_rows.rows_after(table, state) for origin, state in seen.items()}


@pytest.fixture(scope="module")
def window(table):
    origin = table.last - HORIZON
    return made(table, [origin])[origin]


def test_windows_lie_side_by_side_up_to_the_last_day_and_leave_a_history_before_the_first(table):
    found = training_rows.cutoffs(table, table.last, HORIZON, min_history=182)
    assert found[-1] == table.last - HORIZON
    assert set(np.diff(found).tolist()) == {HORIZON}
    assert 182 <= found[0] - table.first + 1 < 182 + HORIZON


def test_a_row_lies_after_its_origin_and_within_the_horizon(table, window):
    assert (window.period.min(), window.period.max()) == (table.last - HORIZON + 1, table.last)


def test_a_window_is_the_same_whatever_other_windows_are_made(table, window):
    """Windows a horizon apart share the ridges' work; windows of another shift share nothing."""
    origin = table.last - HORIZON
    among = made(table, [origin - 84, origin - 63, origin - 42, origin])
    assert sorted(among) == [origin - 84, origin - 63, origin - 42, origin]
    assert among[origin].matrix.offsets[RIDGE] == pytest.approx(window.matrix.offsets[RIDGE], rel=1e-6)
    assert np.array_equal(among[origin].target, window.target)


def test_open_days_without_a_sale_are_not_learned_from(window):
    rows = small_chain.parts().rows
    empty = rows.copy()
    last_sold = empty.index[(empty["Store"] == 3) & (empty["Sales"] > 0)][-1]
    empty.loc[last_sold, "Sales"] = 0
    table = small_chain.table(empty)
    fewer = made(table, [table.last - HORIZON])[table.last - HORIZON]
    assert len(window.target) - len(fewer.target) == 1


def residual_of_rows(window, residuals):
    place = window.period - window.period.min()
    return shared_residual.shared_residuals(place, residuals, HORIZON)[place]


def test_a_residual_of_all_stores_is_the_daily_residual_and_the_residual_of_one_store_is_not(window):
    """A day on which every store sells a fifth more than expected is one; a store that does so alone makes none."""
    day = window.period == window.period[0]
    whole = residual_of_rows(window, np.where(day, 0.2, 0.0))
    assert whole[day] == pytest.approx(0.2 * day.sum() / (day.sum() + shared_residual.PRIOR_ROWS))
    assert whole[~day] == pytest.approx(0.0)
    alone = residual_of_rows(window, np.where(np.arange(len(day)) == 0, 0.2, 0.0))
    assert 0 < alone.max() < 0.02


def test_one_store_that_hardly_sold_does_not_make_the_chains_day(window):
    odd = residual_of_rows(window, np.where(np.arange(len(window.period)) == 0, -5.0, 0.0))
    assert -0.5 / (1 + shared_residual.PRIOR_ROWS) <= odd.min() < 0


def test_the_daily_residual_of_a_window_is_the_residual_of_its_own_ridge(window):
    """A day in the windows of two cutoffs has two residuals, one for each cutoff."""
    missed = window.target - window.matrix.offsets[RIDGE]
    assert np.array_equal(window.shared_residual, residual_of_rows(window, missed))
    later = replace(window, shared_residual=window.shared_residual + 1.0)
    assert np.array_equal(
        training_rows.join([window, later]).shared_residual,
        np.concatenate([window.shared_residual, later.shared_residual]),
    )


@pytest.mark.parametrize(
    ("history", "remove_shared_residual", "hidden"),
    [
        (training_rows.FULL_SEASON["day"], True, 1.0),
        (training_rows.FULL_SEASON["day"], False, 0.0),
        (training_rows.FULL_SEASON["day"] - 1, True, 1.0),
        (training_rows.FULL_SEASON["day"] - 1, False, 1.0),
    ],
)
def test_the_daily_residual_is_removed_where_a_booster_asks_for_it_and_always_after_a_short_history(
    window, history, remove_shared_residual, hidden
):
    """Nothing else of the rows changes."""
    seen = replace(window, history=np.full(len(window.period), history))
    target = training_rows.training_target(seen, "day", remove_shared_residual=remove_shared_residual)
    assert np.array_equal(target.target, window.target - hidden * window.shared_residual)
    assert replace(target, target=seen.target) == seen


def test_a_block_knows_how_long_its_origin_looks_back(table, window):
    assert set(window.history.tolist()) == {table.last - HORIZON - table.first + 1}
