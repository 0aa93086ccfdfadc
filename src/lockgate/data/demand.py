"""What the generated stores sell: log sales as a sum of effects that differ by store, all functions of the calendar.

They are what the real chain shows: weekday profiles, promotions that wear off, a rush before holidays and Christmas,
pay day, competitors, reopenings.
"""

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from lockgate.data import calendar
from lockgate.data.occasions import Flags, Occasions
from lockgate.data.tables import promo_months

Floats = NDArray[np.float64]

WEEKDAY_PROFILE = np.array([0.16, 0.02, -0.04, -0.03, 0.04, -0.10, -0.45])
PROMO_BY_WEEKDAY = np.array([1.25, 1.05, 0.95, 0.90, 0.85, 0.0, 0.0])
TYPE_LEVEL = {"a": 0.0, "b": 0.35, "c": 0.02, "d": 0.04}
ASSORTMENT_LEVEL = {"a": 0.0, "b": 0.10, "c": 0.08}
YEAR = 365.25


def log_sales(known: Occasions, stores: pd.DataFrame, rng: Generator) -> Floats:
    """The log of the sales that each store would make on each day if it were open, without noise; (stores, days)."""
    table = calendar.day_table(int(known.days[0]), int(known.days[-1]))
    count = len(stores)

    def each(mean: float, spread: float) -> Floats:
        return rng.normal(mean, spread, size=(count, 1))

    profile = WEEKDAY_PROFILE + rng.normal(0, 0.04, size=(count, 7))
    return np.asarray(
        _level(stores, rng)[:, None]
        + profile[:, table.weekday]
        + each(0.03, 0.07) * (known.days - known.days[-1]) / YEAR
        + _yearly(table.day_of_year, count, rng)
        + each(0.40, 0.10) * _christmas_rush(table.day_of_year)
        + each(0.30, 0.08) * (_promo_pull(known.promo) * PROMO_BY_WEEKDAY[table.weekday])
        + each(0.03, 0.05) * _promo2(stores, table)
        + each(0.06, 0.07) * known.school
        + each(0.11, 0.04) * _pay_day(table.day_of_month, table.days_in_month)
        + each(0.12, 0.04) * _rush_around(known.holiday != "0")
        + each(0.12, 0.05) * _reopening(known.refurbished)
        - each(0.10, 0.03) * _competition(stores, known.days),
        dtype=np.float64,
    )


def _level(stores: pd.DataFrame, rng: Generator) -> Floats:
    level = stores["StoreType"].map(TYPE_LEVEL) + stores["Assortment"].map(ASSORTMENT_LEVEL)
    return np.asarray(level, dtype=np.float64) + rng.normal(8.65, 0.35, size=len(stores))


def _yearly(day_of_year: NDArray[np.int64], count: int, rng: Generator) -> Floats:
    """A wave of the year and one of the half year, in part common to the chain, in part the store's own."""
    angle = 2 * np.pi * day_of_year / YEAR
    waves = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)])
    weights = np.array([-0.04, 0.01, 0.01, 0.02]) + rng.normal(0, 0.06, size=(count, 4))
    return np.asarray(weights @ waves)


def _christmas_rush(day_of_year: NDArray[np.int64]) -> Floats:
    """Rises from 0 in late November to 1 on Christmas Eve."""
    return np.where(day_of_year <= 358, np.clip((day_of_year - 328) / 30, 0, 1), 0.0)


def _promo_pull(promo: Flags) -> Floats:
    """1 in a promotion, 0.6 in one that began the week before already, -0.1 in the week after one."""
    before = np.r_[np.zeros(7, dtype=bool), promo[:-7]]
    return np.where(promo, np.where(before, 0.6, 1.0), np.where(before, -0.1, 0.0))


def _pay_day(day: NDArray[np.int64], days_in_month: NDArray[np.int64]) -> Floats:
    """1 around the turn of the month, falling to -0.5 in its middle."""
    distance = np.minimum(day, days_in_month - day)
    return np.asarray(1.5 * np.exp(-distance / 3.0) - 0.5)


def _rush_around(closed: Flags) -> Floats:
    """Part of what a holiday does not sell is sold the day before, two days before and the day after it."""
    rush = np.zeros(closed.shape)
    for shift, share in ((1, 1.0), (2, 0.4)):
        rush[:, :-shift] += share * closed[:, shift:]
    rush[:, 1:] += 0.6 * closed[:, :-1]
    return rush


def _reopening(closed: Flags) -> Floats:
    """1 on the day after a refurbishment, falling by half in two weeks."""
    day = np.arange(closed.shape[1])
    last_closed = np.maximum.accumulate(np.where(closed, day, -10_000), axis=1)
    return np.where(closed, 0.0, np.exp2(-(day - last_closed) / 14.0))


def _promo2(stores: pd.DataFrame, table: calendar.DayTable) -> Flags:
    """Whether a Promo2 round is on: in the months of its interval, once the store takes part."""
    week = table.year * 53 + (table.day_of_year + 6) // 7
    since = (stores["Promo2SinceYear"] * 53 + stores["Promo2SinceWeek"]).to_numpy()
    rounds = np.stack([np.isin(table.month, promo_months(interval)) for interval in stores["PromoInterval"]])
    return rounds & np.asarray(week >= since[:, None], dtype=np.bool_)  # NaN is never reached


def _competition(stores: pd.DataFrame, days: NDArray[np.int64]) -> Flags:
    """Whether a competitor has opened since."""
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) + 12 * 1970
    opened = (stores["CompetitionOpenSinceYear"] * 12 + stores["CompetitionOpenSinceMonth"] - 1).to_numpy()
    return np.asarray(month >= opened[:, None])
