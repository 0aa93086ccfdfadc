"""A feature depends on the history up to the cutoff and on the row itself, and on nothing else."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import small_chain

from lockgate.features.known_inputs import KnownInputs
from lockgate.features.panel import panel_rows
from lockgate.features.recipe import RIDGE, Table
from lockgate.features.store_panel import history as features_history
from lockgate.features.store_panel import matrix as features_matrix
from lockgate.features.store_panel import store_ridge
from lockgate.features.store_panel.matrix import GROUP_MEAN
from lockgate.features.store_panel.observance import observance
from lockgate.features.store_panel.store_attributes import promo2_active, store_attributes, store_table

HORIZON = 42
RNG = np.random.default_rng(11)


@pytest.fixture(scope="module")
def attributes():
    return store_attributes(small_chain.chain().stores)


@pytest.fixture(scope="module")
def history(attributes):
    return small_chain.history()


def matrix(history, cutoff, attributes):
    rows = panel_rows(history.between(cutoff + 1, cutoff + HORIZON))
    state = features_history.history_states(history, [cutoff], attributes)[0]
    return features_matrix.matrix(features_matrix.forecast_window(state, attributes, HORIZON), rows)


def test_no_feature_changes_if_noise_replaces_all_sales_after_the_cutoff(history, attributes):
    cutoff = history.last - HORIZON
    future = slice(cutoff + 1 - history.first, None)
    noisy = history.target.copy()
    noisy[:, future] = RNG.normal(20, 5, size=noisy[:, future].shape)
    before, after = matrix(history, cutoff, attributes), matrix(replace(history, target=noisy), cutoff, attributes)
    assert np.array_equal(before.values, after.values, equal_nan=True)
    assert np.array_equal(before.offsets[RIDGE], after.offsets[RIDGE])
    assert np.array_equal(before.offsets[GROUP_MEAN], after.offsets[GROUP_MEAN])


def test_a_history_state_does_not_depend_on_plans_after_its_cutoff(history, attributes):
    cutoff = history.last - HORIZON
    future = slice(cutoff + 1 - history.first, None)
    changed = {name: grid.copy() for name, grid in history.covariates.items()}
    for array in changed.values():
        array[:, future] = 1
    before = features_history.history_states(history, [cutoff], attributes)[0]
    after = features_history.history_states(replace(history, covariates=changed), [cutoff], attributes)[0]
    assert np.array_equal(before.ridge.coefficients, after.ridge.coefficients)
    assert np.array_equal(before.ridge.effects, after.ridge.effects)
    assert np.array_equal(before.group_statistics, after.group_statistics, equal_nan=True)
    assert np.array_equal(before.observed, after.observed)


def test_the_past_does_reach_the_features(history, attributes):
    """The control of the first test: noise on the last day up to the cutoff changes features."""
    cutoff = history.last - HORIZON
    noisy = history.target.copy()
    noisy[:, cutoff - history.first] = 5.0
    changed = matrix(replace(history, target=noisy), cutoff, attributes)
    assert not np.array_equal(matrix(history, cutoff, attributes).values, changed.values, equal_nan=True)


def test_a_cutoff_has_the_same_history_state_alone_and_with_others(history, attributes):
    """A training computes the states of many cutoffs at once, a forecast computes one."""
    cutoffs = [history.last - 84, history.last - 42, history.last]
    together = features_history.history_states(history, cutoffs, attributes)[-1]
    alone = features_history.history_states(history, cutoffs[-1:], attributes)[0]
    assert np.array_equal(together.group_statistics, alone.group_statistics, equal_nan=True)
    x = np.ones((len(attributes.store_ids), together.ridge.coefficients.shape[1]))
    stores, effects = np.arange(len(x)), np.ones((len(x), 1))
    expected = alone.ridge.predict(x, stores, effects)
    assert together.ridge.predict(x, stores, effects) == pytest.approx(expected, rel=1e-6)


def test_the_past_decides_how_far_stores_may_have_years_of_their_own(history, attributes):
    """Stores whose years differ and stores whose years are alike are held to the chain's more or less."""
    days = np.arange(history.first, history.last + 1)
    year = 2 * np.pi * days / 365.25
    turned = np.arange(len(attributes.store_ids)) * 2 * np.pi / len(attributes.store_ids)
    noise = RNG.normal(0, 0.02, size=history.target.shape)
    alike = 8 + 0.2 * np.sin(year) + noise
    own = 8 + 0.2 * np.sin(year[None, :] + turned[:, None]) + noise

    def own_years(log_sales):
        """How far stores' coefficients of the year's first waves spread, as a share of what they do in truth."""
        fitted = store_ridge.fit(replace(history, target=log_sales), [history.last], attributes)[0]
        first_wave = int(np.flatnonzero(store_ridge.OF_YEAR)[0])
        return fitted.coefficients[:, first_wave].std() / (0.2 * np.sqrt(0.5))

    assert own_years(own) > 0.8
    assert own_years(alike) < 0.05


def test_every_named_feature_is_a_column_of_plain_numbers(history, attributes):
    found = matrix(history, history.last - HORIZON, attributes)
    assert found.values.shape == (len(attributes.store_ids) * HORIZON, len(features_matrix.FEATURES))
    assert found.values.dtype == np.float32
    assert not np.isinf(found.values).any()
    assert np.isfinite(found.offsets[RIDGE]).all()
    assert np.isfinite(found.offsets[GROUP_MEAN]).all()


def test_customers_are_no_feature():
    assert not [name for name in features_matrix.FEATURES if "customer" in name.lower()]


def test_group_statistics_are_means_spreads_and_medians_of_the_same_weekday_and_promo(history):
    """Against the same sums made with pandas from the raw rows."""
    rows = small_chain.parts().rows
    recent = rows[(rows["Date"] > rows["Date"].max() - pd.Timedelta(days=364)) & (rows["Sales"] > 0)]
    monday_promo = recent[(recent["Store"] == 5) & (recent["Date"].dt.day_of_week == 0) & (recent["Promo"] == 1)]
    logs = np.log(monday_promo["Sales"])
    found = dict(zip(features_history.STATISTICS, features_history.group_statistics(history)[4, 0, 1], strict=True))
    expected = (logs.mean(), logs.std(ddof=0), logs.median())
    names = ("mean_364", "spread_364", "median_364")
    assert [found[name] for name in names] == pytest.approx(expected, rel=1e-6)


def test_a_store_keeps_the_holidays_that_its_history_shows():
    """Never flagged on its day: not kept; not in the history: kept if nationwide."""
    days = pd.date_range("2015-04-01", "2015-06-10")
    rows = pd.DataFrame({"Store": 1, "Date": days, "Sales": 100, "Open": 1, "Promo": 0, "StateHoliday": "0"})
    rows["SchoolHoliday"] = 0
    rows.loc[rows["Date"] == "2015-04-03", "StateHoliday"] = "b"
    one = small_chain.chain().stores.query("Store == 1")
    kept = observance(Table.of(small_chain.params().problem, rows, one).history)[0]
    named = dict(zip(features_matrix.calendar.HOLIDAYS, kept.tolist(), strict=True))
    assert (named["good_friday"], named["labour_day"], named["unity_day"], named["epiphany"]) == (
        True,
        False,
        True,
        False,
    )


def test_promo2_is_active_in_its_months_once_it_has_begun():
    store = {"StoreType": "a", "Assortment": "a", "CompetitionDistance": 10.0, "CompetitionOpenSinceMonth": np.nan}
    store |= {"CompetitionOpenSinceYear": np.nan, "Promo2": 1, "Promo2SinceWeek": 10.0, "Promo2SinceYear": 2014.0}
    table = store_attributes(pd.DataFrame([{"Store": 1, "PromoInterval": "Mar,Jun,Sept,Dec", **store}]))
    dates = np.array(["2013-09-10", "2014-09-10", "2014-10-10"], dtype="datetime64[D]")
    rows = KnownInputs(np.zeros(3, dtype=np.int64), dates.astype(np.int64), {})
    assert promo2_active(table, rows, np.array([9, 9, 10])).tolist() == [False, True, False]


def test_attributes_give_back_the_store_table_that_they_are_made_of(attributes):
    again = store_attributes(store_table(attributes))
    assert [
        name
        for name, array in attributes.arrays().items()
        if not np.array_equal(array, again.arrays()[name], equal_nan=True)
    ] == []
