"""The laws of a recipe: its states and matrices depend on the table, the cutoff, the horizon and the row alone."""

from dataclasses import replace

import numpy as np
import pytest
import small_chain

from lockgate.features.recipe import SERVED_HORIZONS, Matrix
from lockgate.features.store_panel.recipe import STORE_PANEL

ODD_HORIZON = 28  # no multiple of the days between the rolling origins of the ridge


@pytest.fixture(scope="module")
def table():
    return small_chain.table()


def days_ahead(table, state):
    """The plans of the last days of a table, as if they were those of the days that a version serves."""
    days = SERVED_HORIZONS * state.horizon
    rows = table.known_inputs(table.last - days + 1, table.last)
    return replace(rows, period=rows.period + state.cutoff + days - table.last)


def same(one: Matrix, other: Matrix) -> bool:
    columns = [(one.values, other.values), *((one.offsets[name], other.offsets[name]) for name in one.offsets)]
    return one.names == other.names and all(np.array_equal(*pair, equal_nan=True) for pair in columns)


@pytest.mark.parametrize("horizon", [42, ODD_HORIZON])
def test_a_state_has_the_same_arrays_alone_and_with_the_states_of_earlier_cutoffs(table, horizon):
    earlier = range(table.last - horizon, table.first + 300, -horizon)
    alone = STORE_PANEL.fit(table, [table.last], horizon)[table.last].arrays()
    among = STORE_PANEL.fit(table, [*earlier, table.last], horizon)[table.last].arrays()
    assert alone.keys() == among.keys()
    assert [name for name in alone if not np.array_equal(alone[name], among[name], equal_nan=True)] == []


def test_fit_gives_the_cutoffs_that_were_asked_for(table):
    cutoffs = [table.last, table.last - 21, table.last - ODD_HORIZON]
    states = STORE_PANEL.fit(table, cutoffs, ODD_HORIZON)
    assert {cutoff: (state.cutoff, state.horizon) for cutoff, state in states.items()} == {
        cutoff: (cutoff, ODD_HORIZON) for cutoff in cutoffs
    }


def test_a_state_of_its_own_arrays_gives_the_same_matrix(table):
    state = STORE_PANEL.fit(table, [table.last], 42)[table.last]
    restored = STORE_PANEL.restore(state.arrays(), state.cutoff, state.horizon)
    rows = days_ahead(table, state)
    assert same(state.transform(rows), restored.transform(rows))
    assert np.array_equal(state.little_history, restored.little_history)


def test_a_row_has_the_same_features_alone_and_with_others(table):
    state = STORE_PANEL.fit(table, [table.last], 42)[table.last]
    rows = days_ahead(table, state)
    matrix = state.transform(rows)
    assert matrix.values.shape == (len(rows), len(STORE_PANEL.names))
    for place in np.array([[0], [len(rows) // 2], [len(rows) - 1]]):
        assert same(state.transform(rows.take(place)), matrix.take(place))
