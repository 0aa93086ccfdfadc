"""The calendar against dates that anybody can look up."""

import numpy as np

from lockgate.features import calendar


def holidays(year):
    days = calendar.holiday_days(np.array([year]))[:, 0].astype("datetime64[D]").astype(str)
    return dict(zip(calendar.HOLIDAYS, days.tolist(), strict=True))


def test_easter_of_known_years():
    years = np.array([1961, 2000, 2008, 2013, 2014, 2015, 2024, 2038])
    found = calendar.easter_sundays(years).astype("datetime64[D]").astype(str).tolist()
    assert found == [
        *("1961-04-02", "2000-04-23", "2008-03-23", "2013-03-31"),
        *("2014-04-20", "2015-04-05", "2024-03-31", "2038-04-25"),
    ]


def test_holidays_that_move_with_easter():
    found = holidays(2015)
    assert {
        name: found[name] for name in ("good_friday", "ascension", "whit_monday", "corpus_christi", "repentance")
    } == {
        "good_friday": "2015-04-03",
        "ascension": "2015-05-14",
        "whit_monday": "2015-05-25",
        "corpus_christi": "2015-06-04",
        "repentance": "2015-11-18",
    }


def test_a_day_knows_its_place_in_week_month_and_year():
    first = int(np.datetime64("2015-02-27", "D").astype(int))
    table = calendar.day_table(first, first + 2)
    assert table.weekday.tolist() == [4, 5, 6]
    assert (table.day_of_month.tolist(), table.month.tolist()) == ([27, 28, 1], [2, 2, 3])
    assert (table.days_in_month.tolist(), table.day_of_year.tolist()) == ([28, 28, 31], [58, 59, 60])
    assert table.easter.tolist() == [-37, -36, -35]


def test_distances_to_holidays_reach_over_new_year():
    first = int(np.datetime64("2014-12-30", "D").astype(int))
    table = calendar.day_table(first, first + 3)
    new_year, boxing_day = calendar.HOLIDAYS.index("new_year"), calendar.HOLIDAYS.index("boxing_day")
    assert table.until[:, new_year].tolist() == [2, 1, 0, 364]
    assert table.since[:, boxing_day].tolist() == [4, 5, 6, 7]


def test_a_day_says_the_same_in_any_table():
    first = int(np.datetime64("2015-05-09", "D").astype(int))
    wide, narrow = calendar.day_table(first - 400, first + 400), calendar.day_table(first, first)
    assert wide.until[400].tolist() == narrow.until[0].tolist()
    assert wide.since[400].tolist() == narrow.since[0].tolist()


def test_working_days_are_counted_from_both_ends_of_their_month_whatever_the_span():
    """May 2015: the 1st is a holiday, and so are the 14th (Ascension) and the 25th (Whit Monday)."""
    days = np.arange(np.datetime64("2015-05-01"), np.datetime64("2015-06-01"))
    from_start, from_end = calendar.working_day_ranks(*days[[0, -1]].astype(np.int64).tolist())
    named = dict(zip(days.astype(str).tolist(), zip(from_start.tolist(), from_end.tolist(), strict=True), strict=True))
    assert (named["2015-05-01"], named["2015-05-02"], named["2015-05-14"]) == ((0, 0), (0, 0), (0, 0))
    assert (named["2015-05-04"], named["2015-05-15"], named["2015-05-29"]) == ((1, 18), (9, 10), (18, 1))
    few = calendar.working_day_ranks(*days[[9, 20]].astype(np.int64).tolist())
    assert few[0].tolist() == from_start[9:21].tolist()
    assert few[1].tolist() == from_end[9:21].tolist()
