"""Training rows stand where the rows to be forecast will stand."""

from dataclasses import replace

import numpy as np
import pytest
import small_chain

from lockgate.features import training_rows
from lockgate.features.known_inputs import store_attributes
from lockgate.features.panel import panel
from lockgate.features.store_panel import shared_effects

HORIZON = 42
RNG = np.random.default_rng(12)


@pytest.fixture(scope="module")
def stores():
    return store_attributes(small_chain.chain().stores)


@pytest.fixture(scope="module")
def history(stores):
    return panel(small_chain.parts().rows, stores.store_ids)


def made(history, stores, origins):
    seen = training_rows.states_at(history, origins, stores, HORIZON)
    return {origin: training_rows.rows_after(history, state, stores, HORIZON) for origin, state in seen.items()}


@pytest.fixture(scope="module")
def window(history, stores):
    origin = history.last - HORIZON
    return made(history, stores, [origin])[origin]


def test_windows_lie_side_by_side_up_to_the_last_day_and_leave_a_history_before_the_first(history):
    found = training_rows.cutoffs(history, history.last, HORIZON, min_history_days=182)
    assert found[-1] == history.last - HORIZON
    assert set(np.diff(found).tolist()) == {HORIZON}
    assert 182 <= found[0] - history.first + 1 < 182 + HORIZON


def test_a_row_lies_after_its_origin_and_within_the_horizon(history, window):
    assert (window.day.min(), window.day.max()) == (history.last - HORIZON + 1, history.last)


def test_a_window_is_the_same_whatever_other_windows_are_made(history, stores, window):
    """Windows a horizon apart share the ridges' work; windows of another shift share nothing."""
    origin = history.last - HORIZON
    among = made(history, stores, [origin - 84, origin - 63, origin - 42, origin])
    assert sorted(among) == [origin - 84, origin - 63, origin - 42, origin]
    assert among[origin].matrix.ridge == pytest.approx(window.matrix.ridge, rel=1e-6)
    assert np.array_equal(among[origin].log_sales, window.log_sales)


def test_open_days_without_a_sale_are_not_learned_from(stores, window):
    rows = small_chain.parts().rows
    empty = rows.copy()
    last_sold = empty.index[(empty["Store"] == 3) & (empty["Sales"] > 0)][-1]
    empty.loc[last_sold, "Sales"] = 0
    history = panel(empty, stores.store_ids)
    fewer = made(history, stores, [history.last - HORIZON])[history.last - HORIZON]
    assert len(window.log_sales) - len(fewer.log_sales) == 1


def test_a_residual_of_all_stores_is_the_daily_residual_and_the_residual_of_one_store_is_not(window):
    """A day on which every store sells a fifth more than expected is one; a store that does so alone makes none."""
    day = window.day == window.day[0]
    whole = shared_effects.daily_residuals(window.day, np.where(day, 0.2, 0.0))
    assert whole[day] == pytest.approx(0.2 * day.sum() / (day.sum() + shared_effects.PRIOR_ROWS))
    assert whole[~day] == pytest.approx(0.0)
    alone = shared_effects.daily_residuals(window.day, np.where(np.arange(len(day)) == 0, 0.2, 0.0))
    assert 0 < alone.max() < 0.02


def test_one_store_that_hardly_sold_does_not_make_the_chains_day(window):
    odd = shared_effects.daily_residuals(window.day, np.where(np.arange(len(window.day)) == 0, -5.0, 0.0))
    assert -0.5 / (1 + shared_effects.PRIOR_ROWS) <= odd.min() < 0


def test_the_daily_residual_of_a_window_is_the_residual_of_its_own_ridge(window):
    """A day in the windows of two cutoffs has two residuals, one for each cutoff."""
    missed = window.log_sales - window.matrix.ridge
    assert np.array_equal(window.daily_residual, shared_effects.daily_residuals(window.day, missed))
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


def test_a_block_knows_how_long_its_origin_looks_back(history, window):
    assert set(window.history_days.tolist()) == {history.last - HORIZON - history.first + 1}
