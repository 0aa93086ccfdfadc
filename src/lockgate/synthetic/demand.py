"""Demand of the generated chain: log sales as a sum of components that depend on store and calendar.

The components are patterns of the real chain: weekday profiles, a season of each store's own, promotions that vary by
store and weekday and wear off, a rush before holidays and Christmas, carnival, pay day, competitors, reopenings.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from lockgate.data.column_types import promo_months
from lockgate.features import calendar
from lockgate.features.store_panel import rossmann
from lockgate.synthetic.calendar_plans import CalendarPlans, Flags

Floats = NDArray[np.float64]

WEEKDAY_PROFILE = np.array([0.16, 0.02, -0.04, -0.03, 0.04, -0.10, -0.45])
PROMO_BY_WEEKDAY = np.array([1.25, 1.05, 0.95, 0.90, 0.85, 0.0, 0.0])
TYPE_LEVEL = {"a": 0.0, "b": 0.35, "c": 0.02, "d": 0.04}
ASSORTMENT_LEVEL = {"a": 0.0, "b": 0.10, "c": 0.08}
WINTER_PROMO = {"a": 0.08, "b": 0.0, "c": -0.08, "d": -0.05}
CARNIVAL_SHARE = 0.4  # of the stores
CARNIVAL = ((-52, 0.3), (-48, -1.0), (-47, -0.5))  # days from Easter Sunday, and their share of the effect
YEAR = 365.25


@dataclass(frozen=True)
class Setting:
    """Inputs of the components."""

    known: CalendarPlans  # of some stores
    stores: pd.DataFrame  # the same stores
    table: calendar.DayTable
    among: "Among"

    def each(self, rng: Generator, mean: float, spread: float, columns: int = 1) -> Floats:
        """Strengths of each store, (stores, columns)."""
        return rng.normal(mean, spread, size=(self.among.all, columns))[self.among.places]


@dataclass(frozen=True)
class Among:
    """Some stores of a chain: draws are made for the whole chain, so that a store is the same in any selection."""

    all: int
    places: slice = field(default_factory=lambda: slice(None))


def log_sales(known: CalendarPlans, stores: pd.DataFrame, rng: Generator, among: Among | None = None) -> Floats:
    """Log sales of each store on each day if it is open, without noise; (stores, days)."""
    return np.asarray(sum(components(known, stores, rng, among).values()), dtype=np.float64)


def components(
    known: CalendarPlans, stores: pd.DataFrame, rng: Generator, among: Among | None = None
) -> dict[str, Floats]:
    """The components of log sales by name, each (stores, days) or (stores, 1), with separate random streams.

    The stores are a whole chain, or those `among` the stores of a chain.
    """
    table = calendar.day_table(int(known.days[0]), int(known.days[-1]))
    setting = Setting(known, stores, table, among or Among(len(stores)))
    parts = zip(COMPONENTS.items(), rng.spawn(len(COMPONENTS)), strict=True)
    return {name: make(setting, own) for (name, make), own in parts}


def _level(at: Setting, rng: Generator) -> Floats:
    level = at.stores[rossmann.STORE_TYPE].map(TYPE_LEVEL) + at.stores[rossmann.ASSORTMENT].map(ASSORTMENT_LEVEL)
    return np.asarray(level, dtype=np.float64)[:, None] + at.each(rng, 8.65, 0.35)


def _trend(at: Setting, rng: Generator) -> Floats:
    """Linear growth: 3 % a year on average."""
    return np.asarray(at.each(rng, 0.03, 0.07) * (at.known.days - at.known.days[-1]) / YEAR)


def _weekdays(at: Setting, rng: Generator) -> Floats:
    profile = WEEKDAY_PROFILE + at.each(rng, 0, 0.04, 7)
    return np.asarray(profile[:, at.table.weekday])


def _season(at: Setting, rng: Generator) -> Floats:
    """A yearly and a half-yearly wave, partly common to the chain, partly the store's own."""
    angle = 2 * np.pi * at.table.day_of_year / YEAR
    waves = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)])
    weights = np.array([-0.04, 0.01, 0.01, 0.02]) + at.each(rng, 0, 0.06, 4)
    return np.asarray((weights[:, :, None] * waves).sum(axis=1))  # by BLAS it would depend on the machine


def _christmas(at: Setting, rng: Generator) -> Floats:
    """Rises from 0 in late November to Christmas Eve."""
    until = at.table.until[:, calendar.HOLIDAYS.index("christmas")]
    return at.each(rng, 0.40, 0.10) * np.where(until > 0, np.clip((31 - until) / 30, 0, 1), 0.0)


def _promotions(at: Setting, rng: Generator) -> Floats:
    """Strongest on Mondays; differs by weekday and store, weaker in a second week, negative in the week after."""
    by_weekday = PROMO_BY_WEEKDAY + np.where(PROMO_BY_WEEKDAY > 0, at.each(rng, 0, 0.12, 7), 0.0)
    return np.asarray(at.each(rng, 0.30, 0.08) * by_weekday[:, at.table.weekday] * promo_pull(at.known.promo))


def _promotions_over_the_year(at: Setting, rng: Generator) -> Floats:
    """Stronger in winter in some types of stores, in summer in others; half of that on Fridays."""
    by_type = at.stores[rossmann.STORE_TYPE].map(WINTER_PROMO).to_numpy(dtype=np.float64)[:, None]
    winter = by_type + at.each(rng, 0.0, 0.02)
    wave = np.cos(2 * np.pi * at.table.day_of_year / YEAR) * np.where(at.table.weekday == 4, 0.5, 1.0)
    return np.asarray(winter * wave * at.known.promo)


def promo_pull(promo: Flags) -> Floats:
    """1 in a promotion, 0.6 in its second week, -0.1 in the week after it."""
    before = np.r_[np.zeros(7, dtype=bool), promo[:-7]]
    return np.where(promo, np.where(before, 0.6, 1.0), np.where(before, -0.1, 0.0))


def _promo2_rounds(at: Setting, rng: Generator) -> Floats:
    return at.each(rng, 0.03, 0.05) * _promo2(at.stores, at.table)


def _school_holidays(at: Setting, rng: Generator) -> Floats:
    return at.each(rng, 0.06, 0.07) * at.known.school


def _pay_day(at: Setting, rng: Generator) -> Floats:
    """Highest around the turn of the month, lowest in its middle."""
    distance = np.minimum(at.table.day_of_month, at.table.days_in_month - at.table.day_of_month)
    return np.asarray(at.each(rng, 0.11, 0.04) * (1.5 * np.exp(-distance / 3.0) - 0.5))


def _holidays_near(at: Setting, rng: Generator) -> Floats:
    """Customers move from a holiday to the two days before and the day after it."""
    closed = at.known.holiday != "0"
    rush = np.zeros(closed.shape)
    for shift, share in ((1, 1.0), (2, 0.4)):
        rush[:, :-shift] += share * closed[:, shift:]
    rush[:, 1:] += 0.6 * closed[:, :-1]
    return at.each(rng, 0.12, 0.04) * rush


def _carnival(at: Setting, rng: Generator) -> Floats:
    """Where carnival is observed: more sales on the Thursday before, fewer on Monday and Tuesday."""
    keeps = rng.random((at.among.all, 1))[at.among.places] < CARNIVAL_SHARE
    strength = keeps * at.each(rng, 0.18, 0.05)
    return np.asarray(strength * sum(share * (at.table.easter == day) for day, share in CARNIVAL))


def _reopening(at: Setting, rng: Generator) -> Floats:
    """Higher sales after a refurbishment, halving every two weeks."""
    closed = at.known.refurbished
    day = np.arange(closed.shape[1])
    last_closed = np.maximum.accumulate(np.where(closed, day, -10_000), axis=1)
    return at.each(rng, 0.12, 0.05) * np.where(closed, 0.0, np.exp2(-(day - last_closed) / 14.0))


def _competitors(at: Setting, rng: Generator) -> Floats:
    return -at.each(rng, 0.10, 0.03) * _competition(at.stores, at.known.days)


def _promo2(stores: pd.DataFrame, table: calendar.DayTable) -> Flags:
    """Whether a Promo2 round is on: in the months of its interval, once the store takes part."""
    week = table.year * 53 + (table.day_of_year + 6) // 7
    since = (stores[rossmann.PROMO2_YEAR] * 53 + stores[rossmann.PROMO2_WEEK]).to_numpy()
    rounds = np.stack([np.isin(table.month, promo_months(interval)) for interval in stores[rossmann.PROMO_INTERVAL]])
    return rounds & np.asarray(week >= since[:, None], dtype=np.bool_)  # NaN is never reached


def _competition(stores: pd.DataFrame, days: NDArray[np.int64]) -> Flags:
    """Whether a competitor has opened by that day."""
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) + 12 * 1970
    opened = (stores[rossmann.COMPETITION_YEAR] * 12 + stores[rossmann.COMPETITION_MONTH] - 1).to_numpy()
    return np.asarray(month >= opened[:, None])


COMPONENTS: dict[str, Callable[[Setting, Generator], Floats]] = {
    "level": _level,
    "trend": _trend,
    "weekdays": _weekdays,
    "season": _season,
    "christmas": _christmas,
    "promotions": _promotions,
    "promotions over the year": _promotions_over_the_year,
    "promo2": _promo2_rounds,
    "school holidays": _school_holidays,
    "pay day": _pay_day,
    "holidays near": _holidays_near,
    "carnival": _carnival,
    "reopening": _reopening,
    "competitors": _competitors,
}
