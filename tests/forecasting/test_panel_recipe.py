"""The laws of the declared recipe, over every period: a state depends on the table, the cutoff and the row alone."""

from dataclasses import replace

import numpy as np
import panel_tables
import pytest

from lockgate.errors import BadConfiguration
from lockgate.features.panel_recipe.declaration import declaration
from lockgate.features.recipe import RIDGE, SERVED_HORIZONS, Table
from lockgate.features.recipes import recipe_of

every_period = pytest.mark.parametrize("name", list(panel_tables.TABLES))


def states(table, cutoffs):
    return recipe_of(table.problem).fit(table, cutoffs, table.problem.horizon)


def rows_ahead(table, state):
    """The inputs of the last periods of a table, as if they were those that a version serves."""
    periods = SERVED_HORIZONS * state.horizon
    rows = table.known_inputs(table.last - periods + 1, table.last)
    return replace(rows, period=rows.period + state.cutoff + periods - table.last)


def columns(matrix):
    return {**{name: matrix.values[:, place] for place, name in enumerate(matrix.names)}, **matrix.offsets}


def different(one, other):
    """The names of the features and offsets that differ."""
    found, expected = columns(one), columns(other)
    return [name for name in expected if not np.array_equal(found[name], expected[name], equal_nan=True)]


@every_period
def test_a_state_is_the_same_alone_and_with_those_of_earlier_cutoffs(name):
    table = panel_tables.table(name)
    last, horizon = table.last, table.problem.horizon
    alone = states(table, [last])[last].arrays()
    among = states(table, [last - 2 * horizon, last - horizon, last - 1, last])[last].arrays()
    assert [array for array in alone if not _same(alone[array], among[array])] == []


def _same(one, other):
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


@every_period
def test_a_state_of_its_own_arrays_in_a_file_without_pickle_gives_the_same_matrix(name, tmp_path):
    table = panel_tables.table(name)
    state = states(table, [table.last])[table.last]
    np.savez(tmp_path / "arrays.npz", allow_pickle=False, **state.arrays())
    with np.load(tmp_path / "arrays.npz", allow_pickle=False) as archive:
        arrays = {array: archive[array] for array in archive.files}
    restored = recipe_of(table.problem).restore(arrays, state.cutoff, state.horizon)
    rows = rows_ahead(table, state)
    assert different(state.transform(rows), restored.transform(rows)) == []
    assert restored.categories == state.categories
    assert np.array_equal(restored.series.places(state.series.frame), np.arange(len(state.series)))


@every_period
def test_a_row_has_the_same_features_alone_and_with_others(name):
    table = panel_tables.table(name)
    state = states(table, [table.last])[table.last]
    rows = rows_ahead(table, state)
    matrix = state.transform(rows)
    for place in np.array([[0], [len(rows) // 2], [len(rows) - 1]]):
        assert different(state.transform(rows.take(place)), matrix.take(place)) == []


@every_period
def test_no_feature_depends_on_targets_after_the_cutoff_and_many_do_on_earlier_ones(name):
    table = panel_tables.table(name)
    cutoff = table.last - table.problem.horizon
    rows = table.known_inputs(cutoff + 1, table.last)
    before = states(table, [cutoff, table.last])[cutoff].transform(rows)
    noise = np.exp(np.random.default_rng(1).normal(5, 1, size=table.history.target.shape))
    later = table.with_target(cutoff + 1, noise[:, : table.last - cutoff])
    assert different(states(later, [cutoff, table.last])[cutoff].transform(rows), before) == []
    earlier = table.with_target(table.first, noise[:, : cutoff + 1 - table.first])
    assert len(different(states(earlier, [cutoff])[cutoff].transform(rows), before)) > 10


@every_period
def test_each_feature_is_a_plain_number_and_the_linear_forecast_is_finite(name):
    table = panel_tables.table(name)
    state = states(table, [table.last])[table.last]
    matrix = state.transform(rows_ahead(table, state))
    assert matrix.values.dtype == np.float32
    assert matrix.names == recipe_of(table.problem).names
    assert not np.isinf(matrix.values).any()
    assert np.isfinite(matrix.offsets[RIDGE]).all()


@pytest.mark.parametrize(("ahead", "age"), [(1, 3), (2, 3), (3, 3), (5, 5)])
def test_a_lag_is_the_newest_value_that_is_old_enough_and_known(ahead, age):
    """Lag 3: three periods before the row; for a row further ahead, the last value up to the cutoff."""
    table = panel_tables.table("month")
    cutoff = table.last - table.problem.horizon
    state = states(table, [cutoff])[cutoff]
    rows = table.known_inputs(cutoff + ahead, cutoff + ahead)
    found = columns(state.transform(rows))
    expected = state.scale.scaled(table.history.between(cutoff + ahead - age, cutoff + ahead - age).target)[:, 0]
    assert found["lag_3"] + found[RIDGE] == pytest.approx(expected, rel=1e-4)


def test_the_seasonal_lag_is_a_year_old():
    table = panel_tables.table("month")
    cutoff = table.last - table.problem.horizon
    state = states(table, [cutoff])[cutoff]
    found = columns(state.transform(table.known_inputs(cutoff + 2, cutoff + 2)))
    expected = state.scale.scaled(table.history.between(cutoff - 10, cutoff - 10).target)[:, 0]
    assert found["seasonal_12"] + found[RIDGE] == pytest.approx(expected, rel=1e-4)


def test_declared_features_are_those_of_the_matrix():
    problem = panel_tables.problem("month", features=[{"lags": [1, 6]}, {"rolling": [3]}, {"calendar": ["month_sin"]}])
    wanted = {"lag_1", "lag_6", "mean_3", "std_3", "min_3", "max_3", "residual_3", "month_sin"}
    assert set(recipe_of(problem).names) == {"ahead", "linear", "size"} | wanted


@pytest.mark.parametrize(
    ("features", "says", "hint"),
    [
        (["lagz"], "problem.features names lagz", "did you mean lags?"),
        ([{"lags": ["one"]}], r"problem.features.lags is \['one'\]", "periods, such as"),
        ([{"calendar": ["moon"]}], "problem.features.calendar names moon", "known: "),
        ([{"groups": 3}], "problem.features.groups takes no settings", "write: groups"),
    ],
)
def test_what_a_recipe_does_not_have_is_refused_by_name(features, says, hint):
    with pytest.raises(BadConfiguration, match=says) as refusal:
        declaration(panel_tables.problem("month", features=features))
    assert hint in refusal.value.hint


def test_a_key_without_history_is_forecast_at_the_mean_of_all_keys():
    rows, static = panel_tables.rows("day")
    problem = panel_tables.problem("day")
    table = Table.of(problem, rows, static)
    cutoff = table.last - problem.horizon
    young = table.history.target.copy()
    young[0] = np.nan
    table = table.with_target(table.first, young)
    state = states(table, [cutoff])[cutoff]
    forecast = state.scale.target(state.transform(table.known_inputs(cutoff + 1, cutoff + 1)).offsets[RIDGE])
    assert state.little_history[0]
    assert forecast[1:].min() / 2 < forecast[0] < forecast[1:].max() * 2
