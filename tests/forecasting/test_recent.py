"""Stores without a past, with a short one, with a gap in it; and a holiday on a weekday that it never fell on."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import small_chain
from rossmann import PROBLEM

from lockgate.bundle import store as bundle_store
from lockgate.features import calendar
from lockgate.lifecycle.stages import Stage
from lockgate.operations import predict
from lockgate.operations.answering_version import AnsweringVersion
from lockgate.operations.forecast_chunks import Counts
from lockgate.operations.load_version import Opened
from lockgate.problem import metrics

NEW, YOUNG, GONE, SHUT = 3, 4, 5, 7  # stores of the small chain, by what happens to them here
PEERS = (1, 6, SHUT)  # of the type and assortment of NEW
LAST = small_chain.parts().rows["Date"].max()


@pytest.fixture(scope="module")
def forecaster():
    """Trained on a chain in which NEW never sold, YOUNG opened 30 days ago, GONE has no rows for half a year, and SHUT
    is closed since six weeks."""
    rows = small_chain.parts().rows
    store, age = rows["Store"], (LAST - rows["Date"]).dt.days
    dropped = (store == NEW) | ((store == YOUNG) & (age >= 30)) | ((store == GONE) & (age < 180))
    shut = (store == SHUT) & (age < 42)
    return small_chain.train(
        rows.assign(Open=rows["Open"].where(~shut, 0), Sales=rows["Sales"].where(~shut, 0))[~dropped]
    )[0]


def open_rows(*stores):
    rows = small_chain.parts().holdout
    return rows[rows["Store"].isin(stores) & (rows["Sales"] > 0)]


def error(forecaster, store):
    rows = open_rows(store)
    return metrics.rmspe(rows["Sales"], forecaster.predict(rows))


def test_a_new_store_is_forecast_like_the_stores_of_its_type_and_assortment(forecaster):
    """By each member it lies within the range of its peers, and not at its edge; on no day is it far outside."""
    peers = open_rows(*PEERS)
    by_day = peers.assign(forecast=forecaster.predict(peers)).groupby("Date")["forecast"].agg(["min", "max"])
    rows = open_rows(NEW)
    low, high = by_day.loc[rows["Date"]].to_numpy().T
    found = forecaster.predict_members(rows)
    assert len(rows) > 30
    assert (found > 0.95 * low[:, None]).all()
    assert (found < 1.1 * high[:, None]).all()
    assert (found.mean(axis=0) > 1.1 * low.mean()).all()
    assert (found.mean(axis=0) < 0.96 * high.mean()).all()


def test_a_store_that_opened_a_month_ago_is_forecast_at_its_own_level(forecaster):
    """It misses by less than it would at the level of its only peer, store 9."""
    rows = open_rows(YOUNG)
    like_its_peer = metrics.rmspe(rows["Sales"], forecaster.predict(rows.assign(Store=9)))
    assert error(forecaster, YOUNG) < min(like_its_peer, 0.15)


def test_a_store_back_after_half_a_year_is_forecast_as_it_sold_before(forecaster):
    """Worse than with a whole past, and far better than at the level of another store of its type and assortment."""
    rows = open_rows(GONE)
    like_a_peer = metrics.rmspe(rows["Sales"], forecaster.predict(rows.assign(Store=8)))
    assert error(forecaster, GONE) < min(like_a_peer, 0.25)


def test_weeks_of_being_closed_are_not_taken_for_bad_sales(forecaster):
    """Closed days before the origin hardly change what is expected of the open ones after it."""
    usual = small_chain.forecaster().predict(open_rows(SHUT))
    assert np.abs(forecaster.predict(open_rows(SHUT)) / usual - 1).mean() < 0.05
    assert error(forecaster, SHUT) < 0.1


def test_a_store_that_closes_in_the_window_sells_nothing_and_then_as_if_it_had_not(forecaster):
    rows = open_rows(6).assign(Open=1)
    closed = (rows["Date"] < rows["Date"].min() + pd.Timedelta(days=21)).to_numpy()
    found = forecaster.predict(rows.assign(Open=np.where(closed, 0, 1)))
    assert found[closed].tolist() == [0.0] * closed.sum()
    assert found[~closed].tolist() == forecaster.predict(rows)[~closed].tolist()


def remarks_on(forecaster, rows: pd.DataFrame) -> list[str]:
    """What the reader of the forecasts of these rows is told."""
    counts = Counts()
    counts.add(forecaster.check(rows), pd.DataFrame())
    version = AnsweringVersion("model", Opened(1, "", forecaster), Stage.PRODUCTION)
    return list(predict.remarks(version, PROBLEM, counts))


def test_rows_of_stores_with_little_or_no_history_are_counted_and_reported_in_one_remark(forecaster):
    """New, young, gone and shut stores; a store that is several of these counts once."""
    rows = small_chain.asked()
    checked = forecaster.check(rows)
    count = int((rows["Store"].isin([NEW, YOUNG, GONE, SHUT]) & (rows["Open"] == 1)).sum())
    assert checked.little_history == count > 0
    assert remarks_on(forecaster, rows) == [f"{count} rows are of values of Store with little or no history"]


def test_closed_rows_and_stores_with_a_past_need_no_remark(forecaster):
    rows = small_chain.asked()
    for quiet in (rows.assign(Open=0), rows[~rows["Store"].isin([NEW, YOUNG, GONE, SHUT])]):
        assert remarks_on(forecaster, quiet) == []


def test_what_it_says_of_pasts_survives_the_bundle(forecaster, tmp_path):
    digest = bundle_store.save(forecaster, tmp_path / "bundle")
    again, rows = bundle_store.load(tmp_path / "bundle", digest), small_chain.asked()
    assert again.check(rows) == forecaster.check(rows)


def test_a_holiday_on_a_weekday_that_it_never_fell_on_is_known_by_its_date():
    """Assumption was a Friday in all of the past and is a Saturday now: its eve is the Friday, where it is kept."""
    base = small_chain.forecaster()
    place = calendar.HOLIDAYS.index("assumption")
    keeps, ignores = (np.array(base.state.history.observed) for _ in range(2))
    keeps[:, place], ignores[:, place] = True, False
    eve = pd.DataFrame(
        {
            "Store": base.state.attributes.store_ids,
            "Date": "2015-08-14",
            "Promo": 0,
            "StateHoliday": "0",
            "SchoolHoliday": 1,
        }
    )
    histories = (replace(base.state.history, observed=observed) for observed in (keeps, ignores))
    kept, ignored = (replace(base, state=replace(base.state, history=each)).predict(eve) for each in histories)
    rush = kept / ignored
    assert calendar.weekdays(calendar.day_numbers(np.array(["2014-08-15", "2015-08-15"], dtype="M8[D]"))).tolist() == [
        4,
        5,
    ]
    assert (rush > 1.0).all()
    assert (rush < 1.5).all()


def test_an_open_store_on_any_holiday_of_any_weekday_sells_a_number_near_its_usual_one():
    base = small_chain.forecaster()
    dates = [str(np.datetime64(small_chain.trained_until(base)) + days) for days in range(1, 85)]
    rows = pd.DataFrame({"Store": 6, "Date": dates, "Promo": 0, "StateHoliday": "0", "SchoolHoliday": 0})
    usual = base.predict(rows)
    for letter in "abc":
        ratio = base.predict(rows.assign(StateHoliday=letter)) / usual
        assert ratio.min() > 0.4
        assert ratio.max() < 2.5
