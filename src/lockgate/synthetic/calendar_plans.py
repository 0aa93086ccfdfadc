"""Calendar and plans of the generated chain: promotions, holidays, school holidays, closed days and missing rows.

Arrays are stores x days (or regions x days). All of them are known in advance, as in the real chain.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from lockgate.features import calendar

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

# (share of the stores, regional holidays, first day of the year of the summer holidays, autumn holidays too)
REGIONS = (
    (0.30, ("corpus_christi", "all_saints"), 180, 283),
    (0.25, (), 174, 276),
    (0.20, ("epiphany", "corpus_christi", "all_saints"), 209, 301),
    (0.15, ("reformation",), 195, 290),
    (0.10, ("epiphany", "corpus_christi", "assumption", "all_saints"), 213, 301),
)
EASTER_DAYS = ("good_friday", "easter_monday")
CHRISTMAS_DAYS = ("christmas", "boxing_day")
SUMMER_DAYS, AUTUMN_DAYS = 44, 13
SUNDAY_SHARE = 0.05  # stores at stations and airports, open every day
ABSENT_SHARE = 0.16  # stores without rows for half a year, as in the real data
ABSENT_FIRST, ABSENT_LAST = np.datetime64("2014-07-01"), np.datetime64("2014-12-31")
REFURBISHED_SHARE = 0.12


@dataclass(frozen=True)
class CalendarPlans:
    """Known inputs of each store and day."""

    days: Ints  # (days,) numbers since 1970-01-01
    promo: Flags  # (days,) the same in the whole chain
    holiday: NDArray[np.str_]  # (stores, days) letters of StateHoliday
    school: Flags
    is_open: Flags
    present: Flags  # there is a row
    refurbished: Flags  # closed for weeks, or absent


def draw_plans(days: Ints, stores: int, rng: Generator) -> CalendarPlans:
    """Draw calendar and plans for this number of stores."""
    region = rng.choice(len(REGIONS), size=stores, p=[share for share, *_ in REGIONS])
    holiday = _holiday_letters(days)[region]
    absent = _absences(days, stores, rng)
    refurbished = absent | _refurbishments(len(days), stores, rng)
    every_day = rng.permutation(stores) < max(1, round(SUNDAY_SHARE * stores))
    rest = (calendar.weekdays(days) == 6) | (holiday != "0")
    present = ~absent
    present[rng.integers(stores), 0] = False  # like the real store 988, which has no row on the first day
    return CalendarPlans(
        days=days,
        promo=_promo(days, rng),
        holiday=holiday,
        school=_school_holidays(days)[region],
        is_open=~refurbished & (~rest | every_day[:, None]),
        present=present,
        refurbished=refurbished,
    )


def _promo(days: Ints, rng: Generator) -> Flags:
    """Monday to Friday of about every second week; sometimes with a week more or less between."""
    week = (days + 3) // 7  # Monday begins a week
    pauses = rng.choice([1, 2, 3], size=len(days) // 7 + 2, p=[0.12, 0.76, 0.12])
    promoted = np.isin(week - week[0], np.cumsum(pauses) - pauses[0])
    return promoted & (calendar.weekdays(days) < 5)


def _holiday_letters(days: Ints) -> NDArray[np.str_]:
    years = np.unique(days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970)
    letters = np.full((len(REGIONS), len(days)), "0", dtype="U1")
    for name, nationwide, dates in zip(
        calendar.HOLIDAYS, calendar.NATIONWIDE, calendar.holiday_days(years), strict=True
    ):
        letter = "b" if name in EASTER_DAYS else "c" if name in CHRISTMAS_DAYS else "a"
        kept = np.array([nationwide or name in regional for _, regional, *_ in REGIONS])
        letters[np.ix_(kept, np.isin(days, dates))] = letter
    return letters


def _school_holidays(days: Ints) -> Flags:
    table = calendar.day_table(int(days[0]), int(days[-1]))
    day = table.day_of_year
    christmas = (day >= 357) | (day <= 5)
    easter = (table.easter >= -13) & (table.easter <= 5)
    free = []
    for number, (_, _, summer, autumn) in enumerate(REGIONS):
        begins = summer + 7 * ((table.year + number) % 3 - 1)  # the regions take turns
        away = (day >= begins) & (day < begins + SUMMER_DAYS)
        free.append(christmas | easter | away | ((day >= autumn) & (day < autumn + AUTUMN_DAYS)))
    return np.stack(free) & (table.weekday < 5)


def _absences(days: Ints, stores: int, rng: Generator) -> Flags:
    dates = days.astype("datetime64[D]")
    chosen = rng.permutation(stores) < round(ABSENT_SHARE * stores)
    return chosen[:, None] & ((dates >= ABSENT_FIRST) & (dates <= ABSENT_LAST))


def _refurbishments(days: int, stores: int, rng: Generator) -> Flags:
    """Some stores are closed once, for two to ten weeks."""
    chosen = rng.permutation(stores) < max(1, round(REFURBISHED_SHARE * stores))
    first = rng.integers(60, days - 80, size=stores)
    length = rng.integers(14, 70, size=stores)
    day = np.arange(days)
    return chosen[:, None] & (day >= first[:, None]) & (day < (first + length)[:, None])
