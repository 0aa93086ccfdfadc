"""What the whole chain does on a day is learned from days, however many stores there are."""

import numpy as np
import pytest

from lockgate.features import calendar
from lockgate.features.store_panel import shared_effects

RNG = np.random.default_rng(8)
FIRST, LAST = (int(np.datetime64(day).astype(np.int64)) for day in ("2013-01-01", "2014-12-31"))
PLACES = dict(
    zip(shared_effects.GROUPS, np.cumsum([0, *(count for count, _ in shared_effects.GROUPS.values())]), strict=False)
)


def effects():
    return shared_effects.effects(calendar.day_table(FIRST, LAST))


def days_of(column):
    return (FIRST + np.flatnonzero(effects()[:, column])).astype("datetime64[D]").astype(str).tolist()


def test_each_effect_has_a_penalty_and_a_column():
    assert effects().shape == (LAST - FIRST + 1, shared_effects.EFFECTS)
    assert shared_effects.PENALTY.shape == (shared_effects.EFFECTS,)


def test_the_eves_of_a_holiday_are_its_own_and_of_easter_monday_the_days_before_easter():
    first = PLACES["around holidays"]
    names = [name for name in shared_effects.NATIONWIDE if name not in shared_effects.AFTER_ANOTHER]
    assert days_of(first + 5 * names.index("labour_day")) == ["2013-04-30", "2014-04-30"]
    assert days_of(first + 5 * names.index("ascension") + 3) == ["2013-05-10", "2014-05-30"]
    assert days_of(first + 5 * names.index("easter_monday")) == ["2013-03-30", "2014-04-19"]


def test_carnival_moves_with_easter():
    monday = PLACES["carnival"] + shared_effects.CARNIVAL.index(-48)
    assert days_of(monday) == ["2013-02-11", "2014-03-03"]


def test_the_last_working_day_of_a_month_is_neither_a_weekend_nor_a_holiday():
    last = days_of(PLACES["working days"])
    assert last[2:5] == ["2013-03-28", "2013-04-30", "2013-05-31"]
    assert len(last) == 24


def test_means_of_days_are_relative_to_the_stores_that_sold():
    """A day on which only the large store is open is no day of large sales."""
    log_sales = np.array([[10.0, 10.0, 10.0], [8.0, 8.0, np.nan], [np.nan] * 3])
    means = shared_effects.day_means(log_sales)
    assert means.level == 9.0
    assert means.log_sales.tolist() == [0.0, 0.0, 0.0]
    assert means.sellers.tolist() == [2, 2, 1]


def test_no_store_that_sold_is_a_chain_without_effects():
    level, slopes = shared_effects.fit(
        effects(), shared_effects.PENALTY, shared_effects.day_means(np.full((2, LAST - FIRST + 1), np.nan))
    )
    assert level == 0
    assert not slopes.any()


def test_an_effect_is_found_and_one_day_of_evidence_is_not_taken_at_its_word():
    days, monday = effects(), PLACES["carnival"] + shared_effects.CARNIVAL.index(-48)
    log_sales = 8.0 - 0.5 * days[:, monday] + RNG.normal(0, 0.001, size=(30, len(days)))
    level, slopes = shared_effects.fit(days, shared_effects.PENALTY, shared_effects.day_means(log_sales))
    assert level == pytest.approx(8.0, abs=0.01)
    assert -0.45 < slopes[monday] < -0.25
    assert np.abs(np.delete(slopes, monday)).max() < 0.02


def test_twice_as_many_stores_of_the_same_days_tell_no_more_about_the_days():
    days = effects()
    log_sales = 8.0 + 0.05 * RNG.normal(size=len(days)) + np.zeros((4, 1))
    few, many = (
        shared_effects.fit(days, shared_effects.PENALTY, shared_effects.day_means(np.tile(log_sales, (n, 1))))
        for n in (1, 2)
    )
    assert many[0] == pytest.approx(few[0])
    assert many[1] == pytest.approx(few[1])
