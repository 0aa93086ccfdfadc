"""Times of a request: the forms of common clients, for each period."""

import datetime

import numpy as np
import pandas as pd
import pytest

from lockgate.forecaster.input_values import plain
from lockgate.forecaster.time_values import seconds
from lockgate.problem.columns import Date
from lockgate.problem.periods import Period

KIND = Date(datetime.date(1990, 1, 1), datetime.date(2100, 12, 31))
DAY = np.datetime64("2015-08-01T00:00:00")
BERLIN = datetime.timezone(datetime.timedelta(hours=2))
DAYS = [
    "2015-08-01", "2015-08-01T00:00", "2015-08-01 00:00:00", "2015-08-01T00:00:00.000Z", "2015-08-01T00:00:00+02:00",
    datetime.date(2015, 8, 1), datetime.datetime(2015, 8, 1, tzinfo=BERLIN), np.datetime64("2015-08-01"),
    pd.Timestamp("2015-08-01", tz="Europe/Berlin"),
]  # fmt: skip
NO_TIMES = [
    "2015-02-30",
    "soon",
    "",
    20150801,
    1438387200,
    True,
    None,
    float("nan"),
    pd.NaT,
    ["2015-08-01"],
    "20150801",
]


def of(period: str | None, *values: object, form: str = "") -> list[np.datetime64]:
    kind = Date(KIND.first, KIND.last, form)
    return list(seconds(kind, Period(period) if period else None, pd.Series(list(values), dtype=object).to_numpy()))


@pytest.mark.parametrize("period", ["hour", "day", "week", "month", None])
@pytest.mark.parametrize("value", DAYS, ids=repr)
def test_a_day_is_read_in_every_form_beside_any_other(period, value):
    assert of(period, value, "2016-01-01T00:00+05:00") == [DAY, np.datetime64("2016-01-01T00:00:00")]


@pytest.mark.parametrize("period", ["hour", "day", "week", "month", None])
@pytest.mark.parametrize("value", NO_TIMES, ids=repr)
def test_what_is_no_time_is_none(period, value):
    assert np.isnat(of(period, value)[0])


def test_only_hours_have_a_time_of_day_and_only_months_may_leave_the_day_out():
    clock = "2015-08-01T13:00:00Z"
    assert of("hour", clock) == [np.datetime64("2015-08-01T13:00:00")]
    assert [bool(np.isnat(of(period, clock)[0])) for period in ("day", "week", "month", None)] == [True] * 4
    assert of("month", "2015-08") == [DAY]
    assert np.isnat(of("day", "2015-08")[0])


def test_a_form_of_the_description_is_read_beside_iso():
    assert of("day", "01.08.2015", "2015-08-01", form="%d.%m.%Y") == [DAY, DAY]


def test_a_column_with_a_zone_has_the_day_of_its_own_clock():
    values = pd.Series(pd.to_datetime(["2015-08-01"]).tz_localize("Europe/Berlin"))
    assert list(seconds(KIND, Period("day"), plain(values))) == [DAY]


def test_a_covariate_whose_form_has_a_clock_has_a_time_of_day() -> None:
    moment = np.datetime64("2016-04-04T13:38:56")
    assert of(None, "2016-04-04 13:38:56", moment, form="%Y-%m-%d %H:%M:%S") == [moment, moment]
    assert np.isnat(of(None, moment)[0])
