"""The calendar of a period: columns for boosters, and regressors of the linear model."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.problem.periods import Period, PeriodName

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HOURS, WEEKDAYS, MONTHS, YEAR_DAYS = 24, 7, 12, 365.25
SATURDAY = 5


@dataclass(frozen=True)
class Moments:
    """Times as parts of the calendar, one entry each."""

    hour: Ints
    weekday: Ints  # Monday is 0
    day: Ints  # of the month, from 1
    days_in_month: Ints
    month: Ints  # from 1
    day_of_year: Ints  # from 1

    @property
    def week_of_year(self) -> Ints:
        """Whole weeks since the first of January, from 1."""
        return (self.day_of_year - 1) // WEEKDAYS + 1


def moments(period: Period, numbers: Ints) -> Moments:
    """The first moments of periods; all zero for running numbers."""
    if period.is_integer:
        none = np.zeros(len(numbers), dtype=np.int64)
        return Moments(none, none, none, none + 1, none, none)
    start = period.start(numbers)
    days, months = start.astype("datetime64[D]"), start.astype("datetime64[M]")
    since, first = days.astype(np.int64), months.astype("datetime64[D]").astype(np.int64)
    january = start.astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    return Moments(
        hour=(start - days).astype("timedelta64[h]").astype(np.int64),
        weekday=(since + 3) % WEEKDAYS,
        day=since - first + 1,
        days_in_month=(months + 1).astype("datetime64[D]").astype(np.int64) - first,
        month=months.astype(np.int64) % MONTHS + 1,
        day_of_year=since - january + 1,
    )


def _waves(share: Floats, count: int) -> list[Floats]:
    return [wave(2 * np.pi * k * share) for k in range(1, count + 1) for wave in (np.sin, np.cos)]


Column = Callable[[Moments], NDArray[np.float64] | NDArray[np.int64]]
COLUMNS: dict[str, Column] = {
    "hour": lambda at: at.hour,
    "hour_sin": lambda at: np.sin(2 * np.pi * at.hour / HOURS),
    "hour_cos": lambda at: np.cos(2 * np.pi * at.hour / HOURS),
    "day_of_week": lambda at: at.weekday,
    "day_of_month": lambda at: at.day,
    "week_of_year": lambda at: at.week_of_year,
    "month": lambda at: at.month,
    "month_sin": lambda at: np.sin(2 * np.pi * (at.month - 1) / MONTHS),
    "month_cos": lambda at: np.cos(2 * np.pi * (at.month - 1) / MONTHS),
    "year_sin": lambda at: np.sin(2 * np.pi * at.day_of_year / YEAR_DAYS),
    "year_cos": lambda at: np.cos(2 * np.pi * at.day_of_year / YEAR_DAYS),
}
CALENDARS: dict[PeriodName, tuple[str, ...]] = {
    "hour": ("hour", "hour_sin", "hour_cos", "day_of_week", "year_sin", "year_cos"),
    "day": ("day_of_week", "day_of_month", "month", "year_sin", "year_cos"),
    "week": ("week_of_year", "month", "year_sin", "year_cos"),
    "month": ("month", "month_sin", "month_cos"),
    "integer": (),
}


@dataclass(frozen=True)
class Seasons:
    """Regressors of the seasons, (periods, regressors), and whether each belongs to the year."""

    values: Floats
    of_year: NDArray[np.bool_]


def seasons(period: Period, numbers: Ints) -> Seasons:
    """Regressors of the seasons of a period: hours, weekdays, waves of the year, months."""
    at = moments(period, numbers)
    year = at.day_of_year / YEAR_DAYS
    short: list[NDArray[np.bool_]] = []
    long: list[Floats] = []
    if period.name == "hour":
        weekend = at.weekday >= SATURDAY
        short = [at.hour == hour for hour in range(1, HOURS)]
        short += [weekend & (at.hour == hour) for hour in range(HOURS)]
        short += [at.weekday == day for day in range(1, WEEKDAYS) if day != SATURDAY]
        long = _waves(year, 2)
    elif period.name == "day":
        short = [at.weekday == day for day in range(1, WEEKDAYS)]
        long = _waves(year, 4) + _waves((at.day - 0.5) / at.days_in_month, 4)
    elif period.name == "week":
        long = _waves(year, 6)
    elif period.name == "month":
        long = [(at.month == month).astype(np.float64) for month in range(2, MONTHS + 1)]
    values = np.column_stack([*short, *long]).astype(np.float64) if short or long else np.empty((len(numbers), 0))
    return Seasons(values, np.arange(values.shape[1]) >= len(short))


def groups(period: Period, numbers: Ints) -> tuple[Ints, int]:
    """The part of the season that a period belongs to, and their number: hour of the week, weekday, month."""
    at = moments(period, numbers)
    match period.name:
        case "hour":
            return at.weekday * HOURS + at.hour, WEEKDAYS * HOURS
        case "day":
            return at.weekday, WEEKDAYS
        case "week" | "month":
            return at.month - 1, MONTHS
        case _:
            return np.zeros(len(numbers), dtype=np.int64), 1
