"""Training rows stand where the rows to be forecast will stand."""

from dataclasses import replace

import numpy as np
import pytest
import small_chain

from lockgate.features import shared_effects, training_rows
from lockgate.features.known_inputs import traits
from lockgate.features.panel import panel

HORIZON = 42
RNG = np.random.default_rng(12)


@pytest.fixture(scope="module")
def stores():
    return traits(small_chain.chain().stores)


@pytest.fixture(scope="module")
def history(stores):
    return panel(small_chain.parts().rows, stores.store_ids)


def made(history, stores, origins):
    seen = training_rows.survey(history, origins, stores, HORIZON)
    return {origin: training_rows.block(history, profile, stores, HORIZON) for origin, profile in seen.items()}


@pytest.fixture(scope="module")
def block(history, stores):
    origin = history.last - HORIZON
    return made(history, stores, [origin])[origin]


def test_blocks_lie_side_by_side_up_to_the_last_day_and_leave_a_history_before_the_first(history):
    found = training_rows.origins(history, history.last, HORIZON, min_history_days=182)
    assert found[-1] == history.last - HORIZON
    assert set(np.diff(found).tolist()) == {HORIZON}
    assert 182 <= found[0] - history.first + 1 < 182 + HORIZON


def test_a_row_lies_after_its_origin_and_within_the_horizon(history, block):
    assert (block.day.min(), block.day.max()) == (history.last - HORIZON + 1, history.last)


def test_a_block_is_the_same_whatever_other_blocks_are_made(history, stores, block):
    """Blocks of the same grid share the ridges' work; those of another grid share nothing."""
    origin = history.last - HORIZON
    among = made(history, stores, [origin - 84, origin - 63, origin - 42, origin])
    assert sorted(among) == [origin - 84, origin - 63, origin - 42, origin]
    assert among[origin].matrix.ridge == pytest.approx(block.matrix.ridge, rel=1e-6)
    assert np.array_equal(among[origin].log_sales, block.log_sales)


def test_open_days_without_a_sale_are_not_learned_from(stores, block):
    rows = small_chain.parts().rows
    empty = rows.copy()
    last_sold = empty.index[(empty["Store"] == 3) & (empty["Sales"] > 0)][-1]
    empty.loc[last_sold, "Sales"] = 0
    history = panel(empty, stores.store_ids)
    fewer = made(history, stores, [history.last - HORIZON])[history.last - HORIZON]
    assert len(block.log_sales) - len(fewer.log_sales) == 1


def test_what_the_whole_chain_did_on_a_day_is_its_surprise_and_what_one_store_did_is_not(block):
    """A day on which every store sells a fifth more than expected is one; a store that does so alone makes none."""
    day = block.day == block.day[0]
    whole = shared_effects.surprises(block.day, np.where(day, 0.2, 0.0))
    assert whole[day] == pytest.approx(0.2 * day.sum() / (day.sum() + shared_effects.ROWS_OF_DOUBT))
    assert whole[~day] == pytest.approx(0.0)
    alone = shared_effects.surprises(block.day, np.where(np.arange(len(day)) == 0, 0.2, 0.0))
    assert 0 < alone.max() < 0.02


def test_one_store_that_hardly_sold_does_not_make_the_chains_day(block):
    odd = shared_effects.surprises(block.day, np.where(np.arange(len(block.day)) == 0, -5.0, 0.0))
    assert -0.5 / (1 + shared_effects.ROWS_OF_DOUBT) <= odd.min() < 0


def test_a_blocks_surprise_is_what_its_own_ridge_did_not_expect(block):
    """So that a day that is seen from two origins has two, and each row keeps its own."""
    missed = block.log_sales - block.matrix.ridge
    assert np.array_equal(block.surprise, shared_effects.surprises(block.day, missed))
    later = replace(block, surprise=block.surprise + 1.0)
    assert np.array_equal(training_rows.join([block, later]).surprise, np.concatenate([block.surprise, later.surprise]))


@pytest.mark.parametrize(
    ("history_days", "calm", "hidden"),
    [
        (training_rows.SEASONED_DAYS, True, 1.0),
        (training_rows.SEASONED_DAYS, False, 0.0),
        (training_rows.SEASONED_DAYS - 1, True, 1.0),
        (training_rows.SEASONED_DAYS - 1, False, 1.0),
    ],
)
def test_surprises_are_hidden_from_calm_boosters_and_those_of_a_young_ridge_from_all(block, history_days, calm, hidden):
    """Nothing else of the rows changes."""
    seen = replace(block, history_days=np.full(len(block.day), history_days))
    lesson = training_rows.lesson(seen, calm=calm)
    assert np.array_equal(lesson.log_sales, block.log_sales - hidden * block.surprise)
    assert replace(lesson, log_sales=seen.log_sales) == seen


def test_a_block_knows_how_long_its_origin_looks_back(history, block):
    assert set(block.history_days.tolist()) == {history.last - HORIZON - history.first + 1}
