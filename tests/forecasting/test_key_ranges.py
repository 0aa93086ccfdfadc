"""A recipe fitted on one range of keys after the other, given what all keys share, equals the fit on all at once."""

import pickle
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import panel_tables
import pytest
import small_chain

from lockgate.errors import BadData
from lockgate.features import training_rows
from lockgate.features.recipe import RIDGE, Table
from lockgate.features.recipes import recipe_of
from lockgate.features.shared import LOWEST_TARGET, NUMBER_OF_KEYS, Shared
from lockgate.forecaster.ensemble import Forecaster
from lockgate.models.conformal import Calibration
from lockgate.training.partitions import layout, outline

TABLES = ("chain", "day", "week", "month", "odd number of keys")
RANGES = 3
NO_INTERVALS = Calibration(np.empty(0), np.empty(0))
WORSE = 1.3  # at most, from two to six keys instead of twice as many


@cache
def table(name: str) -> Table:
    if name == "chain":
        return small_chain.table()
    if name == "odd number of keys":
        return replace(panel_tables.table("week").take(np.arange(5)), places=None)
    return panel_tables.table(name)


@cache
def cutoffs(name: str) -> tuple[int, ...]:
    last, horizon = table(name).last, table(name).problem.horizon
    return (last - 2 * horizon, last - horizon, last - 1, last)


@cache
def recorded(name: str):
    """States and training windows of all keys, and what all keys share."""
    shared = Shared()
    return *fitted(table(name), name, shared), shared.replayed()


def fitted(part: Table, name: str, shared: Shared):
    problem = part.problem
    states = recipe_of(problem).fit(part, cutoffs(name), problem.horizon, shared)
    before = [cutoff for cutoff in cutoffs(name) if cutoff + problem.horizon <= part.last]
    return states, {cutoff: training_rows.rows_after(part, states[cutoff], shared) for cutoff in before}


def ranges(name: str) -> list[Table]:
    keys = np.arange(len(table(name).series))
    return [table(name).take(part) for part in np.array_split(keys, min(RANGES, len(keys)))]


@cache
def replayed(name: str):
    """The same of each range of keys, from what all of them share as another process gets it."""
    shared = pickle.loads(pickle.dumps(recorded(name)[2]))
    return [fitted(part, name, shared) for part in ranges(name)]


def joined(name: str, cutoff: int):
    return recipe_of(table(name).problem).join([states[cutoff] for states, _ in replayed(name)])


def different(some, others) -> list[str]:
    assert some.keys() == others.keys()
    return [name for name in some if not same(some[name], others[name])]


def same(one, other) -> bool:
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


@pytest.mark.parametrize("name", TABLES)
def test_the_states_of_ranges_of_keys_joined_are_the_state_of_all_keys_bit_for_bit(name):
    states, _, _ = recorded(name)
    for cutoff in cutoffs(name):
        assert different(states[cutoff].arrays(), joined(name, cutoff).arrays()) == []


@pytest.mark.parametrize("name", TABLES)
def test_the_training_windows_of_ranges_of_keys_are_those_of_all_keys_bit_for_bit(name):
    _, windows, _ = recorded(name)
    for cutoff, window in windows.items():
        parts = [of_range[cutoff] for _, of_range in replayed(name)]
        assert same(np.concatenate([part.matrix.values for part in parts]), window.matrix.values)
        for column in ("target", "shared_residual", "period", "history"):
            assert same(np.concatenate([getattr(part, column) for part in parts]), getattr(window, column)), column
        for offset, values in window.matrix.offsets.items():
            assert same(np.concatenate([part.matrix.offsets[offset] for part in parts]), values), offset


@pytest.mark.parametrize("name", TABLES)
def test_a_forecaster_of_the_joined_state_forecasts_the_same_bit_for_bit(name):
    """Here the ridge alone: the matrices of the boosters are compared above."""
    whole, last = table(name), table(name).last
    forecasts = []
    for state in (recorded(name)[0][last], joined(name, last)):
        found = Forecaster(whole.problem, recipe_of(whole.problem), state, {}, {RIDGE: 1.0}, NO_INTERVALS)
        forecasts.append(found.predict(asked(whole)))
    assert same(*forecasts)
    assert np.isfinite(forecasts[0]).all()


def asked(whole: Table) -> pd.DataFrame:
    """Rows of the first period after the table, with the covariates of its last period."""
    problem = whole.problem
    rows = small_chain.chain().rows if problem.name == "rossmann" else panel_tables.rows(problem.period.name)[0]
    last = rows.groupby(list(problem.keys)).tail(1)
    known = last[whole.series.places(last) >= 0].drop(columns=problem.target)
    time = problem.period.start(np.array([whole.last + 1]))[0]
    return known.assign(**{problem.time_name: np.datetime_as_string(time, unit="D")}).astype({problem.time_name: str})


@pytest.mark.parametrize("name", ["chain", "day", "week"])
def test_what_a_sample_of_the_keys_shares_serves_all_keys(name):
    """Also keys that the sample does not have: their forecasts are about as good as those of one fit."""
    sample, shared = table(name).take(np.arange(0, len(table(name).series), 2)), Shared()
    fitted(sample, name, shared)
    of_ranges = [fitted(part, name, shared.replayed()) for part in ranges(name)]
    for cutoff, whole in recorded(name)[1].items():
        offset = np.concatenate([windows[cutoff].matrix.offsets["ridge"] for _, windows in of_ranges])
        assert len(offset) == len(whole.target)
        assert (
            np.abs(whole.target - offset).mean() < WORSE * np.abs(whole.target - whole.matrix.offsets["ridge"]).mean()
        )


@pytest.mark.parametrize("name", ["chain", "day", "week"])
def test_a_state_is_fitted_again_from_the_sample_of_its_training(name):
    """As the leakage check does it, at the last period alone."""
    whole = table(name)
    sample = np.arange(0, len(whole.series), 2)
    shared = Shared().with_values(
        {NUMBER_OF_KEYS: len(whole.series), LOWEST_TARGET: float(np.nanmin(whole.history.target))}
    )
    fitted(whole.take(sample), name, shared)
    trained = fitted(whole, name, shared.replayed())[0][whole.last]
    recipe, horizon = recipe_of(whole.problem), whole.problem.horizon
    again = recipe.fit(
        whole,
        [whole.last],
        horizon,
        recipe.shared_of(whole.take(sample), len(whole.series), float(np.nanmin(whole.history.target)), horizon),
    )[whole.last]
    assert different(trained.arrays(), again.arrays()) == []


@pytest.mark.parametrize("name", ["chain", "day", "week"])
def test_what_all_keys_share_is_no_larger_for_more_keys(name):
    few, many = Shared(), recorded(name)[2]
    fitted(table(name).take(np.arange(0, len(table(name).series), 2)), name, few)
    of_peers = [key for key in many.values if "peers" in key]  # one entry for a type and assortment that the keys have
    for key in few.values.keys() & many.values.keys() - set(of_peers):
        assert len(pickle.dumps(few.values[key])) == len(pickle.dumps(many.values[key])), key
    assert all(len(many.values[key]) <= 4 * 3 + 4 + 1 for key in of_peers)


def test_the_place_of_a_key_among_all_keys_is_its_feature_in_every_range():
    problem = panel_tables.problem("week", features=["panel", "key"])
    whole = replace(panel_tables.table("week"), problem=problem)
    shared, last = Shared(), whole.last
    recipe = recipe_of(problem)
    recipe.fit(whole, [last - 6], 6, shared)
    part = whole.take(np.arange(2, 5))
    state = recipe.fit(part, [last - 6], 6, shared.replayed())[last - 6]
    keys = state.transform(part.known_inputs(last - 5, last)).values[:, recipe.names.index("key")]
    assert np.unique(keys).tolist() == [2.0, 3.0, 4.0]


def test_a_target_of_zero_that_the_sample_does_not_have_is_learned_too():
    """The log of the target has a shift then; the lowest target of all keys is known beforehand."""
    problem, (rows, static) = panel_tables.problem("month"), panel_tables.rows("month")
    zeros = rows.assign(y=rows["y"].where((rows["segment"] != "small") | (np.arange(len(rows)) % 10 > 0), 0.0).abs())
    parts = [zeros[zeros["segment"] == key] for key in ("large", "small")]
    outlines = [outline(place, lambda file: parts[file], problem) for place in range(2)]
    lowest = layout(problem, outlines, static).lowest
    assert (outlines[0].lowest > 0, lowest) == (True, 0.0)
    whole, shared = Table.of(problem, zeros, static), Shared().with_values({LOWEST_TARGET: lowest})
    recipe = recipe_of(problem)
    recipe.fit(whole.take(np.array([0])), [whole.last - 6], 6, shared)
    state = recipe.fit(whole, [whole.last - 6], 6, shared.replayed())[whole.last - 6]
    assert np.isfinite(state.scale.scaled(np.zeros((2, 1)))).all()


def test_a_value_that_was_not_recorded_is_named():
    part = ranges("day")[0]
    with pytest.raises(LookupError, match="no value of all keys is recorded for: losses at"):
        recipe_of(part.problem).fit(part, [part.last - 10], 14, recorded("day")[2])


def test_states_that_do_not_fit_together_are_not_joined():
    states, _, _ = recorded("day")
    recipe, (early, *_, late) = recipe_of(table("day").problem), cutoffs("day")
    with pytest.raises(BadData, match="different cutoffs or horizons"):
        recipe.join([states[early], states[late]])
    alone = recipe.fit(ranges("day")[0], [late], 14)[late]
    with pytest.raises(BadData, match="differ in the array"):
        recipe.join([alone, replayed("day")[1][0][late]])
