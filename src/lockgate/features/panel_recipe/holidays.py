"""Public holidays: of a country by the package `holidays`, or the dates that the description lists.

The days are looked up once, when a state is fitted, and kept in it: a forecast asks no package.
"""

import datetime
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockgate.errors import BadConfiguration
from lockgate.problem.periods import Period

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HINT = "such as holidays: {country: DE, region: HE}, or holidays: {dates: [2015-12-24, 2015-12-25]}"
NEAR_DAYS = 14  # distances to holidays are capped at this
NEVER = 2**40  # a day number that no history reaches
YEARS_AFTER = 2  # the years after the history whose holidays are kept
DAILY = ("holiday", "to_holiday", "from_holiday")
COUNTED = ("holiday",)


@dataclass(frozen=True)
class HolidayRule:
    """A country with one of its regions ("": nationwide holidays), and further dates."""

    country: str = ""
    region: str = ""
    dates: tuple[datetime.date, ...] = ()


def rule(given: Any) -> HolidayRule:
    """The rule of a setting; raises BadConfiguration for one without meaning."""
    known = {"country": str, "region": str, "dates": list}
    is_map = isinstance(given, dict) and given and set(given) <= set(known)
    if not is_map or not all(isinstance(value, known[name]) for name, value in given.items()):
        raise _refused(f"is {given}")
    dates = tuple(sorted(set(map(_date, given.get("dates", ())))))
    found = HolidayRule(given.get("country", ""), given.get("region", ""), dates)
    if not (found.country or found.dates) or (found.region and not found.country):
        raise _refused(f"is {given}")
    days(found, 2000, 2000)
    return found


def days(given: HolidayRule, first: int, last: int) -> Ints:
    """The day numbers of the holidays of these years, rising; listed dates count in any year."""
    found = {np.datetime64(date, "D").astype(np.int64) for date in given.dates}
    if given.country:
        import holidays

        try:
            years = range(first, last + 1)
            of_country = holidays.country_holidays(given.country, subdiv=given.region or None, years=years)
        except NotImplementedError as error:
            raise _refused(f"has no holidays: {error}") from error
        found |= {np.datetime64(date, "D").astype(np.int64) for date in of_country}
    return np.array(sorted(found), dtype=np.int64)


def of_history(given: HolidayRule, period: Period, first: int, last: int) -> Ints:
    """The holidays from the year before a history to YEARS_AFTER it; periods are numbers."""
    years = period.start(np.array([first, last])).astype("datetime64[Y]").astype(np.int64) + 1970
    return days(given, int(years[0]) - 1, int(years[1]) + YEARS_AFTER)


def names(period: Period) -> tuple[str, ...]:
    """The columns: of a day, whether it is a holiday and the days to the next and from the last one; else a count."""
    return DAILY if period.name in ("hour", "day") else COUNTED


def columns(holidays: Ints, period: Period, numbers: Ints) -> dict[str, Ints]:
    """The columns of some periods."""
    first = _day(period, numbers)
    if period.name in ("week", "month"):
        return {"holiday": np.searchsorted(holidays, _day(period, numbers + 1)) - np.searchsorted(holidays, first)}
    fenced = np.concatenate([[-NEVER], holidays, [NEVER]])
    to = fenced[np.searchsorted(fenced, first)] - first
    since = first - fenced[np.searchsorted(fenced, first, side="right") - 1]
    return {
        "holiday": (to == 0).astype(np.int64),
        "to_holiday": np.minimum(to, NEAR_DAYS),
        "from_holiday": np.minimum(since, NEAR_DAYS),
    }


def regressors(holidays: Ints, period: Period, numbers: Ints) -> Floats:
    """Regressors of the linear model: of a day, holiday, the day before and the day after; else the count."""
    found = columns(holidays, period, numbers)
    if period.name in ("week", "month"):
        return found["holiday"].astype(np.float64)[:, None]
    eve, after = found["to_holiday"] == 1, (found["from_holiday"] == 1) & (found["holiday"] == 0)
    return np.column_stack([found["holiday"] == 1, eve, after]).astype(np.float64)


def _day(period: Period, numbers: Ints) -> Ints:
    return np.asarray(period.start(numbers).astype("datetime64[D]").astype(np.int64))


def _date(given: Any) -> datetime.date:
    try:
        return given if type(given) is datetime.date else datetime.date.fromisoformat(given)
    except (TypeError, ValueError) as error:
        raise _refused(f"lists {given}, which is no date") from error


def _refused(what: str) -> BadConfiguration:
    return BadConfiguration(f"problem.features.holidays {what}", where="params.yaml", hint=HINT)
