"""Training rows stand where the rows to be forecast will stand."""

from dataclasses import replace

import numpy as np
import pytest
import small_chain

from lockgate.forecast import blocks
from lockgate.forecast.known import traits
from lockgate.forecast.panel import panel

HORIZON = 42
RNG = np.random.default_rng(12)


@pytest.fixture(scope="module")
def stores():
    return traits(small_chain.chain().stores)


@pytest.fixture(scope="module")
def history(stores):
    return panel(small_chain.parts().rows, stores.store_ids)


def made(history, stores, origins):
    seen = blocks.survey(history, origins, stores, HORIZON)
    return {origin: blocks.block(history, profile, stores, HORIZON) for origin, profile in seen.items()}


@pytest.fixture(scope="module")
def block(history, stores):
    origin = history.last - HORIZON
    return made(history, stores, [origin])[origin]


def test_blocks_lie_side_by_side_up_to_the_last_day_and_leave_a_history_before_the_first(history):
    found = blocks.origins(history, history.last, HORIZON, min_history_days=182)
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


def test_what_the_whole_chain_did_on_a_day_is_not_taught_and_how_stores_differ_is(block):
    """A day on which every store sells a fifth more than expected teaches little; what one store does stays."""
    day = block.day == block.day[0]
    expected = replace(block, log_sales=block.matrix.ridge.copy())
    shocked = replace(expected, log_sales=expected.log_sales + np.where(day, 0.2, 0.0))
    rest = blocks.calm(shocked).log_sales - expected.log_sales
    assert rest[day] == pytest.approx(0.2 * blocks.ROWS_OF_DOUBT / (day.sum() + blocks.ROWS_OF_DOUBT))
    assert rest[~day] == pytest.approx(0.0)
    single = replace(expected, log_sales=expected.log_sales + np.where(np.arange(len(day)) == 0, 0.2, 0.0))
    assert blocks.calm(single).log_sales[0] - expected.log_sales[0] == pytest.approx(0.2, rel=0.1)


def test_one_store_that_hardly_sold_does_not_make_the_chains_day(block):
    odd = replace(block, log_sales=block.matrix.ridge - np.where(np.arange(len(block.day)) == 0, 5.0, 0.0))
    moved = blocks.calm(odd).log_sales - odd.log_sales
    assert 0 < moved.max() <= 0.5 / (1 + blocks.ROWS_OF_DOUBT)
