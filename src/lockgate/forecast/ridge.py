"""A ridge regression of log sales on the calendar, one for each store, drawn towards that of the whole chain.

It is a member of the blend, a feature, and the offset from which the boosters start. All stores are solved at once from
their normal equations, which add up over blocks of days: an origin costs no more than the days since the one before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.data import calendar
from lockgate.data.calendar import DayTable
from lockgate.forecast.known import Known, Traits, cells, promo2_active
from lockgate.forecast.panel import Panel

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

HALF_LIFE_DAYS = 300.0  # a day that long ago counts half
YEAR_WAVES = 4
MONTH_WAVES = 5
# Groups of regressors, in order: how many, how strongly a store's coefficients are held to the chain's, and the chain's
# to zero, in days of evidence of each store. Level and weekdays are the store's own; of the seasons two years show
# too little. Without the chain's pull, a first Christmas after half a year of history would be extrapolated wildly.
GROUPS = {
    "level": (1, 0.02, 0.0),
    "trend": (1, 10.0, 30.0),
    "weekday": (6, 0.5, 0.001),
    "year": (2 * YEAR_WAVES, 100.0, 10.0),
    "month": (2 * MONTH_WAVES, 30.0, 0.001),
    "season": (7, 4.0, 0.001),
    "own": (13, 4.0, 0.001),
}
TOWARDS_CHAIN = np.concatenate([np.full(count, pull) for count, pull, _ in GROUPS.values()])
TOWARDS_ZERO = np.concatenate([np.full(count, pull) for count, _, pull in GROUPS.values()])
FAR = 99  # days to a holiday that is not near


@dataclass(frozen=True)
class Ridge:
    """Coefficients (stores, regressors) of log sales."""

    coefficients: Floats

    def predict(self, regressors: Floats, store: NDArray[np.int64]) -> Floats:
        """Log sales of rows, one after the other: a row's sum never depends on the rows beside it."""
        return np.asarray((regressors * self.coefficients[store]).sum(axis=1))


def observed_distance(distances: NDArray[np.int16], observed: Flags) -> NDArray[np.int64]:
    """Days to the nearest holiday that the row's store keeps, from (rows, holidays) each; FAR if none is near."""
    return np.asarray(np.where(observed, np.minimum(distances, FAR), FAR).min(axis=1), dtype=np.int64)


def day_regressors(table: DayTable) -> Floats:
    """The part of the regressors that all stores share, (days, regressors)."""
    year_angle = 2 * np.pi * table.day_of_year / 365.25
    month_angle = 2 * np.pi * (table.day_of_month - 0.5) / table.days_in_month
    christmas = table.until[:, calendar.HOLIDAYS.index("christmas")].astype(np.int64)
    columns = [
        np.ones(len(year_angle)),
        (table.first + np.arange(len(year_angle)) - 16_000) / 365.25,
        *(table.weekday == weekday for weekday in range(1, 7)),
        *(wave(k * year_angle) for k in range(1, YEAR_WAVES + 1) for wave in (np.sin, np.cos)),
        *(wave(k * month_angle) for k in range(1, MONTH_WAVES + 1) for wave in (np.sin, np.cos)),
        *((christmas > 7 * week) & (christmas <= 7 * week + 7) for week in range(4)),
        (christmas == 1),
        (table.month == 12) & (table.day_of_month > 26),
        (table.easter >= -8) & (table.easter <= -1),
    ]
    return np.column_stack(columns).astype(np.float64)


def regressors(rows: Known, table: DayTable, shared: Floats, context: tuple[Traits, Flags]) -> Floats:
    """(rows, regressors): the shared part of each row's day, and what its own plans and its store's calendar add."""
    store_traits, observed = context
    at = rows.day - table.first
    keeps = observed[rows.store]
    until = observed_distance(table.until[at], keeps)
    since = observed_distance(table.since[at], keeps)
    weekday = table.weekday[at]
    promo = rows.promo == 1
    own = [
        promo,
        *(promo & (weekday == day) for day in range(4)),
        rows.school == 1,
        (rows.school == 1) & (weekday == 5),
        rows.holiday > 0,
        until == 1,
        until == 2,
        since == 1,
        since == 2,
        promo2_active(store_traits, rows, table.month[at]),
    ]
    return np.concatenate([shared[at], np.column_stack(own).astype(np.float64)], axis=1)


def fit(history: Panel, origins: Sequence[int], store_traits: Traits, observed: Sequence[Flags]) -> list[Ridge]:
    """One ridge for each origin (rising day numbers), each from the days up to its origin only.

    `observed` holds what is known of the stores' holidays at each origin; a block of days is read with that of its end.
    """
    gram: Floats | float = 0.0
    moment: Floats | float = 0.0
    fitted, start = [], history.first
    for origin, kept in zip(origins, observed, strict=True):
        fade = 0.5 ** ((origin - start + 1) / HALF_LIFE_DAYS)
        block_gram, block_moment = _normal_equations(history.between(start, origin), store_traits, kept)
        gram, moment = gram * fade + block_gram, moment * fade + block_moment
        fitted.append(Ridge(_solve(np.asarray(gram), np.asarray(moment))))
        start = origin + 1
    return fitted


def _normal_equations(block: Panel, store_traits: Traits, observed: Flags) -> tuple[Floats, Floats]:
    """Weighted X'X (stores, p, p) and X'y (stores, p) of a block; the weight of a day halves each HALF_LIFE_DAYS."""
    stores, width = block.log_sales.shape
    table = calendar.day_table(block.first, block.last)
    x = regressors(cells(block), table, day_regressors(table), (store_traits, observed)).reshape(stores, width, -1)
    weight = 0.5 ** (np.arange(width - 1, -1, -1) / HALF_LIFE_DAYS) * ~np.isnan(block.log_sales)
    weighted = x * weight[:, :, None]
    y = np.nan_to_num(block.log_sales)
    return weighted.transpose(0, 2, 1) @ x, (weighted.transpose(0, 2, 1) @ y[:, :, None])[:, :, 0]


def _solve(gram: Floats, moment: Floats) -> Floats:
    left = gram + np.diag(TOWARDS_CHAIN)
    right = moment + TOWARDS_CHAIN * _chain(gram, moment)
    return np.asarray(np.linalg.solve(left, right[:, :, None])[:, :, 0])


def _chain(gram: Floats, moment: Floats) -> Floats:
    """The chain's coefficients: slopes from within the stores, the level the mean of the stores' levels."""
    days = np.maximum(gram[:, 0, 0], 1e-9)
    means = gram[:, 0, :] / days[:, None]
    level = moment[:, 0] / days
    within = (gram - days[:, None, None] * means[:, :, None] * means[:, None, :]).sum(axis=0)[1:, 1:]
    target = (moment - gram[:, 0, :] * level[:, None]).sum(axis=0)[1:]
    known = gram[:, 0, 0] > 0
    slopes = np.linalg.solve(within + max(int(known.sum()), 1) * np.diag(TOWARDS_ZERO[1:]), target)
    intercept = (level - means[:, 1:] @ slopes)[known].mean() if known.any() else 0.0
    return np.concatenate([[intercept], slopes])
