"""What stores do differently on the same day is learned of each of them, from the few such days that there are."""

import numpy as np
import pytest

from lockgate.features import calendar
from lockgate.features.panel import Panel, panel_rows
from lockgate.features.store_panel import shared_effects, store_ridge
from lockgate.features.store_panel.observance import observance
from lockgate.features.store_panel.store_attributes import LONG_AGO, NEVER, StoreAttributes

RNG = np.random.default_rng(4)
STORES = 20
SOME = np.arange(STORES) < STORES // 2
FIRST, ORIGIN, LAST = (int(np.datetime64(day).astype(np.int64)) for day in ("2013-01-01", "2015-02-10", "2015-06-05"))
TRAITS = StoreAttributes(
    store_ids=np.arange(STORES, dtype=np.int32),
    kind=np.zeros(STORES, dtype=np.int8),
    assortment=np.zeros(STORES, dtype=np.int8),
    distance=np.full(STORES, np.nan),
    competition_since=np.full(STORES, LONG_AGO),
    promo2_since=np.full(STORES, NEVER),
    promo2_months=np.zeros((STORES, 12), dtype=np.int8),
)
HOLIDAYS = calendar.holiday_days(np.arange(2013, 2016))[calendar.NATIONWIDE]


def expected(log_sales, day, origin=ORIGIN):
    """Log sales of every store on a day, learned from those (stores, days) up to the origin."""
    span = FIRST + np.arange(log_sales.shape[1])
    none = np.zeros(log_sales.shape, dtype=np.int8)
    holiday = none + np.isin(span, HOLIDAYS).astype(np.int8)
    plans = {"Promo": none, "SchoolHoliday": none, "StateHoliday": holiday}
    history = Panel(FIRST, log_sales, plans, np.ones(log_sales.shape, dtype=bool))
    past = history.between(FIRST, origin)
    (fitted,) = store_ridge.fit(past, [origin], TRAITS)
    table = calendar.day_table(day, day)
    rows = panel_rows(history.between(day, day))
    x = store_ridge.regressors(rows, table, store_ridge.day_regressors(table), (TRAITS, observance(past)))
    return fitted.predict(x, rows.key, np.repeat(shared_effects.effects(table), STORES, axis=0))


def noisy():
    return 8.0 + 0.01 * RNG.normal(size=(STORES, LAST - FIRST + 1))


def test_carnival_is_a_matter_of_the_store():
    log_sales = noisy()
    mondays = calendar.easter_sundays(np.arange(2013, 2016)) - 48
    log_sales[np.ix_(SOME, mondays - FIRST)] -= 0.8
    found = expected(log_sales, int(mondays[-1]))
    assert np.abs(found[SOME] - 7.2).max() < 0.15
    assert np.abs(found[~SOME] - 8.0).max() < 0.15


def test_the_short_days_before_christmas_and_new_year_are_a_matter_of_the_store():
    log_sales = noisy()
    for eve in ("2013-12-24", "2013-12-31", "2014-12-24", "2014-12-31"):
        log_sales[SOME, int(np.datetime64(eve).astype(int)) - FIRST] -= 0.8
    for eve in ("2014-12-24", "2014-12-31"):
        found = expected(
            log_sales, int(np.datetime64(eve).astype(int)), origin=int(np.datetime64("2014-11-30").astype(int))
        )
        assert np.abs(found[SOME] - 7.2).max() < 0.2
        assert np.abs(found[~SOME] - 8.0).max() < 0.2


def test_a_store_is_forecast_at_the_level_of_its_last_weeks_not_of_its_years():
    log_sales = noisy()
    moved = ORIGIN - 56 - FIRST
    log_sales[0, moved:] -= 0.15
    found = expected(log_sales, ORIGIN + 1)
    assert found[0] == pytest.approx(7.85, abs=0.04)
    assert np.abs(found[1:] - 8.0).max() < 0.03


def test_a_slow_growth_of_one_store_is_carried_to_its_end_and_not_on():
    """Two years are no evidence that what grew by a fifth a year will go on."""
    log_sales = noisy()
    log_sales[0] += 0.2 * (FIRST + np.arange(log_sales.shape[1]) - ORIGIN) / 365.25
    assert expected(log_sales, ORIGIN + 1)[0] == pytest.approx(8.0, abs=0.03)
    assert 7.97 < expected(log_sales, ORIGIN + 100)[0] < 8.05
