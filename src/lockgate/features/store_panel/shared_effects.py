"""Calendar effects that all stores share, fitted on the chain's daily means, not on single rows.

A day affects all stores alike (weather, a match on television), so the thousand rows of a day are little more than one
observation of its calendar. Each day counts as one row against the penalty, which allows many effects. The
coefficients of the stores are shrunk towards those of the chain (store_ridge).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.features import calendar
from lockgate.features.calendar import DayTable

Floats = NDArray[np.float64]

HALF_LIFE_DAYS = 1000.0  # half-life of a day's weight
NATIONWIDE = [name for name, kept in zip(calendar.HOLIDAYS, calendar.NATIONWIDE, strict=True) if kept]
AFTER_ANOTHER = ("boxing_day",)  # the day before is a holiday
AFTER_SUNDAY = ("easter_monday", "whit_monday")  # the last shopping day is the Saturday
CARNIVAL = (-52, -51, -50, -48, -47, -46)  # days from Easter: from the Thursday to Ash Wednesday
RANKS = 5  # working days at either end of a month
# Groups of effects, in order: number of effects, and penalty towards zero in days of evidence.
GROUPS = {
    "around holidays": (5 * (len(NATIONWIDE) - len(AFTER_ANOTHER)), 0.3),
    "carnival": (len(CARNIVAL), 0.6),
    "working days": (2 * RANKS, 4.0),
    "Saturdays beside the turn of a month": (2, 1.0),
    "Saturdays over the year": (4, 4.0),
}
EFFECTS = sum(count for count, _ in GROUPS.values())
PENALTY = np.concatenate([np.full(count, penalty) for count, penalty in GROUPS.values()])


@dataclass(frozen=True)
class DayMeans:
    """Daily means of the chain: mean log sales of the stores with sales, relative to each store's mean."""

    level: float  # mean over the stores of their own means
    log_sales: Floats  # (days,); 0 without sales
    sellers: NDArray[np.int64]  # (days,)


def effects(table: DayTable) -> Floats:
    """Calendar indicators shared by all stores, beyond a store's regressors, (days, EFFECTS)."""
    from_start, from_end = calendar.working_day_ranks(table.first, table.first + len(table.weekday) - 1)
    angle = 2 * np.pi * table.day_of_year / 365.25
    saturday = table.weekday == 5
    columns = [
        *_around_holidays(table),
        *(table.easter == day for day in CARNIVAL),
        *(from_end == rank for rank in range(1, RANKS + 1)),
        *(from_start == rank for rank in range(1, RANKS + 1)),
        saturday & (table.day_of_month <= 3),
        saturday & (table.days_in_month - table.day_of_month < 3),
        *(saturday * wave(k * angle) for k in (1, 2) for wave in (np.sin, np.cos)),
    ]
    return np.column_stack(columns).astype(np.float64)


def day_means(log_sales: Floats) -> DayMeans:
    """Means by day of (stores, days) with NaN where nothing was sold; stores without sales are left out."""
    sold = ~np.isnan(log_sales)
    filled = np.where(sold, log_sales, 0.0)
    own = filled.sum(axis=1) / np.maximum(sold.sum(axis=1), 1)
    known, sellers = sold.any(axis=1), sold.sum(axis=0)
    relative = np.where(sold, filled - own[:, None], 0.0).sum(axis=0) / np.maximum(sellers, 1)
    return DayMeans(float(own[known].mean()) if known.any() else 0.0, relative, sellers)


def fit(regressors: Floats, penalty: Floats, means: DayMeans) -> tuple[float, Floats]:
    """Intercept and coefficients of a weighted ridge regression of the daily means on (days, regressors).

    A day's weight is its number of sellers / the highest number, halved every HALF_LIFE_DAYS of age.
    """
    age = np.arange(len(means.sellers) - 1, -1, -1)
    weight = 0.5 ** (age / HALF_LIFE_DAYS) * means.sellers / max(int(means.sellers.max()), 1)
    total = max(float(weight.sum()), 1e-9)
    centre, level = weight @ regressors / total, float(weight @ means.log_sales) / total
    centred = regressors - centre
    weighted = (centred * weight[:, None]).T
    slopes = np.linalg.solve(weighted @ centred + np.diag(penalty), weighted @ (means.log_sales - level))
    return means.level + level - float(centre @ slopes), np.asarray(slopes)


def _around_holidays(table: DayTable) -> list[NDArray[np.bool_]]:
    """Three days before and two after each nationwide holiday, for each holiday its own."""
    columns = []
    for name in NATIONWIDE:
        place = calendar.HOLIDAYS.index(name)
        sunday = name in AFTER_SUNDAY
        if name not in AFTER_ANOTHER:
            columns += [table.until[:, place] == days + sunday for days in (1, 2, 3)]
            columns += [table.since[:, place] == days for days in (1, 2)]
    return columns
