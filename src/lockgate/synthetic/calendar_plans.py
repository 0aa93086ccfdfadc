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


@dataclass(frozen=True)
class StorePlans:
    """What is drawn for each store, and the promotions; the plans of some stores can be laid out alone."""

    days: Ints
    promo: Flags  # (days,)
    region: Ints  # (stores,), as the following
    absent: Flags
    refurbished: Flags
    closed_from: Ints  # place of the day on which a refurbishment begins
    closed_until: Ints
    every_day: Flags
    late: int  # the store without a row on the first day

    def of(self, stores: slice) -> CalendarPlans:
        """Calendar and plans of some stores."""
        region, day = self.region[stores], np.arange(len(self.days))
        holiday, absent = _holiday_letters(self.days)[region], _absences(self.days, self.absent[stores])
        first, until = (bound[stores][:, None] for bound in (self.closed_from, self.closed_until))
        refurbished = absent | (self.refurbished[stores][:, None] & (day >= first) & (day < until))
        rest = (calendar.weekdays(self.days) == 6) | (holiday != "0")
        present = ~absent
        present[np.arange(len(self.region))[stores] == self.late, 0] = False
        return CalendarPlans(
            days=self.days,
            promo=self.promo,
            holiday=holiday,
            school=_school_holidays(self.days)[region],
            is_open=~refurbished & (~rest | self.every_day[stores][:, None]),
            present=present,
            refurbished=refurbished,
        )


def draw_plans(days: Ints, stores: int, rng: Generator) -> CalendarPlans:
    """Draw calendar and plans for this number of stores."""
    return draw_store_plans(days, stores, rng).of(slice(None))


def draw_store_plans(days: Ints, stores: int, rng: Generator) -> StorePlans:
    """Draw what the calendar and plans of this number of stores depend on."""
    region = rng.choice(len(REGIONS), size=stores, p=[share for share, *_ in REGIONS])
    absent = rng.permutation(stores) < round(ABSENT_SHARE * stores)
    refurbished = rng.permutation(stores) < max(1, round(REFURBISHED_SHARE * stores))  # once, for two to ten weeks
    first = rng.integers(60, len(days) - 80, size=stores)
    until = first + rng.integers(14, 70, size=stores)
    every_day = rng.permutation(stores) < max(1, round(SUNDAY_SHARE * stores))
    late = int(rng.integers(stores))  # like the real store 988
    return StorePlans(days, _promo(days, rng), region, absent, refurbished, first, until, every_day, late)


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


def _absences(days: Ints, absent: Flags) -> Flags:
    dates = days.astype("datetime64[D]")
    return absent[:, None] & ((dates >= ABSENT_FIRST) & (dates <= ABSENT_LAST))
