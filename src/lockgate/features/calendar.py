"""The German calendar: weekdays, months, and distances to public holidays, computed from the date alone.

Days are whole numbers since 1970-01-01. HOLIDAYS are those of any federal state; which of them a store observes is
learned from its history (store_panel/observance.py). Why not a library's table: docs/decisions/the-german-calendar.md.
"""

from dataclasses import dataclass

import numpy as np
from dateutil.easter import easter
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]

# (name, nationwide, month, day) and (name, nationwide, days after Easter Sunday)
FIXED = (
    ("new_year", True, 1, 1),
    ("epiphany", False, 1, 6),
    ("labour_day", True, 5, 1),
    ("assumption", False, 8, 15),
    ("unity_day", True, 10, 3),
    ("reformation", False, 10, 31),
    ("all_saints", False, 11, 1),
    ("christmas", True, 12, 25),
    ("boxing_day", True, 12, 26),
)
MOVABLE = (
    ("good_friday", True, -2),
    ("easter_monday", True, 1),
    ("ascension", True, 39),
    ("whit_monday", True, 50),
    ("corpus_christi", False, 60),
)
HOLIDAYS = (*(entry[0] for entry in FIXED), *(entry[0] for entry in MOVABLE), "repentance")
NATIONWIDE = np.array([*(entry[1] for entry in FIXED), *(entry[1] for entry in MOVABLE), False])


@dataclass(frozen=True)
class DayTable:
    """The calendar of consecutive days; every array has one entry or row for each day from `first` on."""

    first: int
    weekday: Ints  # Monday is 0
    month: Ints
    day_of_month: Ints
    days_in_month: Ints
    year: Ints
    day_of_year: Ints
    easter: Ints  # days since Easter Sunday of the same year, negative before
    until: NDArray[np.int16]  # (days, holidays): days until the next holiday, 0 on it
    since: NDArray[np.int16]  # (days, holidays): days since the last holiday, 0 on it


def day_numbers(dates: ArrayLike) -> Ints:
    """Whole days since 1970-01-01 of datetime64 values."""
    return np.asarray(dates).astype("datetime64[D]").astype(np.int64)


def easter_sundays(years: Ints) -> Ints:
    """Day number of Easter Sunday in each (Gregorian) year."""
    distinct, place = np.unique(years, return_inverse=True)
    return day_numbers([easter(int(year)) for year in distinct])[place]


def holiday_days(years: Ints) -> Ints:
    """Day number of each holiday in each year, shape (holidays, years), in the order of HOLIDAYS."""
    easter = easter_sundays(years)
    fixed = [_day(years, month, day) for _, _, month, day in FIXED]
    movable = [easter + after for _, _, after in MOVABLE]
    november_22 = _day(years, 11, 22)
    repentance = november_22 - (november_22 - 6) % 7  # the Wednesday before 23 November; day 6 was a Wednesday
    return np.stack([*fixed, *movable, repentance])


def day_table(first: int, last: int) -> DayTable:
    """The calendar of the days first..last, both included."""
    days = np.arange(first, last + 1, dtype=np.int64)
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    years = dates.astype("datetime64[Y]").astype(np.int64) + 1970
    month_start = months.astype("datetime64[D]").astype(np.int64)
    next_month = (months + 1).astype("datetime64[D]").astype(np.int64)
    until, since = _holiday_distances(days, years)
    return DayTable(
        first=first,
        weekday=weekdays(days),
        month=months.astype(np.int64) % 12 + 1,
        day_of_month=days - month_start + 1,
        days_in_month=next_month - month_start,
        year=years,
        day_of_year=days - _day(years, 1, 1) + 1,
        easter=days - easter_sundays(years),
        until=until,
        since=since,
    )


def working_day_ranks(first: int, last: int) -> tuple[Ints, Ints]:
    """Number of each day first..last among the working days of its month, from the start and from the end: 1, 2, ...

    0 on weekends and nationwide holidays. Wages are paid and spent by working days.
    """
    months = np.array([first, last]).astype("datetime64[D]").astype("datetime64[M]") + np.array([0, 1])
    start, stop = months.astype("datetime64[D]").astype(np.int64).tolist()
    days = np.arange(start, stop)
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    years = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    rest = np.isin(days, holiday_days(np.unique(years))[NATIONWIDE])
    works = (weekdays(days) < 5) & ~rest
    before = np.cumsum(works)
    begins = np.searchsorted(month, month, side="left")
    ends = np.searchsorted(month, month, side="right") - 1
    from_start = before - before[begins] + works[begins]
    from_end = before[ends] - before + 1
    span = slice(first - start, last + 1 - start)
    return np.where(works, from_start, 0)[span], np.where(works, from_end, 0)[span]


def weekdays(days: Ints) -> Ints:
    """Weekday of day numbers, Monday is 0 (1970-01-01 was a Thursday)."""
    return (days + 3) % 7


def _holiday_distances(days: Ints, years: Ints) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    known = holiday_days(np.arange(years.min() - 1, years.max() + 2))
    until, since = [], []
    for occurrences in known:
        following = np.searchsorted(occurrences, days, side="left")
        until.append(occurrences[following] - days)
        before = np.searchsorted(occurrences, days, side="right") - 1
        since.append(days - occurrences[before])
    return np.stack(until, axis=1).astype(np.int16), np.stack(since, axis=1).astype(np.int16)


def _day(years: Ints, months: ArrayLike, days: ArrayLike) -> Ints:
    month_index = (years - 1970) * 12 + (np.asarray(months, dtype=np.int64) - 1)
    starts = month_index.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return starts + np.asarray(days, dtype=np.int64) - 1
