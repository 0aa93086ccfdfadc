"""A ridge regression of log sales on the calendar, one for each store, drawn towards that of the whole chain.

It is a member of the blend, a feature, and the offset from which the boosters start. All stores are solved at once from
their normal equations, which add up over blocks of days: an origin costs no more than the days since the one before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate import metrics
from lockgate.data import calendar
from lockgate.data.calendar import DayTable
from lockgate.forecast import chain, panel
from lockgate.forecast.featurecost import costs
from lockgate.forecast.known import Known, Traits, cells, promo2_active
from lockgate.forecast.panel import Panel

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

HALF_LIFE_DAYS = 220.0  # a day that long ago counts half
YEAR_WAVES = 4
MONTH_WAVES = 5
# How strongly the stores' years are held to the chain's. Chains differ in this more than in all else: what would have
# forecast the past of this one best is taken; the first, where there is no past to tell.
YEAR_PULLS = (100.0, 30.0, 10.0)
STEP_DAYS = 42  # what is tried on the past is tried on so many days at a time
FIRST_STEP_DAYS = 182
# Groups of regressors, in order: how many, how strongly a store's coefficients are held to the chain's, and the chain's
# to zero, in days of evidence (of each store; of the chain). Level and weekdays are the store's own; of the seasons two
# years show too little. Without the chain's pull, a first Christmas after half a year of history would be extrapolated
# wildly.
OWN_GROUPS = {  # in which stores differ on the same day, or in what the same day does to them
    "school": (2, 2.0, 0.001),
    "open on a holiday": (1, 0.05, 0.001),
    "around a holiday": (4, 2.0, 0.001),
    "promo2": (1, 2.0, 0.001),
    "carnival": (4, 0.1, 0.001),
}
GROUPS = {
    "level": (1, 0.02, 0.0),
    "trend": (1, 10.0, 400.0),
    "weekday": (6, 0.5, 0.001),
    "year": (2 * YEAR_WAVES, YEAR_PULLS[0], 20.0),
    "month": (2 * MONTH_WAVES, 100.0, 0.1),
    "season": (6, 2.0, 0.001),
    "eves": (2, 0.1, 0.001),
    "promo": (5, 2.0, 0.001),
    **OWN_GROUPS,
}
TOWARDS_CHAIN = np.concatenate([np.full(count, pull) for count, pull, _ in GROUPS.values()])
TOWARDS_ZERO = np.concatenate([np.full(count, pull) for count, _, pull in GROUPS.values()])
OF_YEAR = np.concatenate([np.full(count, name == "year") for name, (count, _, _) in GROUPS.items()])
OWN = sum(count for count, _, _ in OWN_GROUPS.values())  # the regressors of these groups stand last
OF_ROW = OWN + GROUPS["promo"][0]  # regressors that a row's own plans decide, or its store's calendar
CARNIVAL = ((-52,), (-51, -50), (-48,), (-47,))  # days from Easter: Thursday, the two after it, Monday, Tuesday
FAR = 99  # days to a holiday that is not near


@dataclass(frozen=True)
class Ridge:
    """Coefficients of log sales: (stores, regressors) of each store, (chain.EFFECTS,) of the chain's days."""

    coefficients: Floats
    effects: Floats

    @costs("ridge")
    def predict(self, regressors: Floats, store: NDArray[np.int64], effects: Floats) -> Floats:
        """Log sales of rows, one after the other: a row's sum never depends on the rows beside it."""
        own = (regressors * self.coefficients[store]).sum(axis=1)
        return np.asarray(own + (effects * self.effects).sum(axis=1))


@dataclass(frozen=True)
class Sums:
    """Normal equations of each store, which add up over blocks of days."""

    gram: Floats  # (stores, p, p)
    moment: Floats  # (stores, p)
    cross: Floats  # (stores, p, chain.EFFECTS)

    def later(self, fade: float, block: "Sums") -> "Sums":
        """These sums as they count some days later, and a block's."""
        return Sums(self.gram * fade + block.gram, self.moment * fade + block.moment, self.cross * fade + block.cross)


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
        (table.month == 12) & (table.day_of_month > 26),
        (table.easter >= -8) & (table.easter <= -1),
        christmas == 1,
        (table.month == 12) & (table.day_of_month == 31),
    ]
    return np.column_stack(columns).astype(np.float64)


@costs("ridge")
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
        *(np.isin(table.easter[at], days) for days in CARNIVAL),
    ]
    return np.concatenate([shared[at], np.column_stack(own).astype(np.float64)], axis=1)


@costs("ridge")
def fit(history: Panel, origins: Sequence[int], store_traits: Traits) -> list[Ridge]:
    """One ridge for each origin (rising day numbers, multiples of STEP_DAYS apart), from the days up to it only."""
    fitted: dict[int, Ridge] = {}
    sums, plans, start = None, [], history.first
    candidates: list[Ridge] = []
    losses = np.zeros(len(YEAR_PULLS))
    for origin in _walk(history.first, origins):
        past, block = history.between(history.first, origin), history.between(start, origin)
        table = calendar.day_table(block.first, block.last)
        x = _block_regressors(block, table, (store_traits, panel.observance(past)))
        effects = chain.effects(table)
        losses += [_loss(candidate, x, effects, block.log_sales) for candidate in candidates] or 0.0
        added = _normal_equations(x, effects, block.log_sales)
        sums = added if sums is None else sums.later(0.5 ** ((origin - start + 1) / HALF_LIFE_DAYS), added)
        plans.append(x[:, :, -OF_ROW:].astype(np.float32))
        candidates = _ridges(sums, past, np.concatenate(plans, axis=1))
        fitted[origin] = candidates[int(np.argmin(losses))]
        start = origin + 1
    return [fitted[origin] for origin in origins]


def _walk(first: int, origins: Sequence[int]) -> list[int]:
    """The origins, those between them and those before the first of them, as far as there is a history."""
    steps = range(origins[-1], min(first + FIRST_STEP_DAYS - 2, origins[0] - 1), -STEP_DAYS)
    return sorted({*steps, *origins})


def _loss(ridge: Ridge, x: Floats, effects: Floats, log_sales: Floats) -> float:
    """Mean squared error of the days (stores, days) after the ridge's origin, no row's counting for too much."""
    expected = (x @ ridge.coefficients[:, :, None])[:, :, 0] + effects @ ridge.effects
    errors = metrics.capped(log_sales - expected)[~np.isnan(log_sales)]
    return float(np.mean(errors**2)) if errors.size else 0.0


def _block_regressors(block: Panel, table: DayTable, context: tuple[Traits, Flags]) -> Floats:
    stores, width = block.log_sales.shape
    return regressors(cells(block), table, day_regressors(table), context).reshape(stores, width, -1)


def _normal_equations(x: Floats, effects: Floats, log_sales: Floats) -> Sums:
    """Weighted sums of a block, x (stores, days, p); the weight of a day halves each HALF_LIFE_DAYS."""
    age = np.arange(log_sales.shape[1] - 1, -1, -1)
    weighted = (x * (0.5 ** (age / HALF_LIFE_DAYS) * ~np.isnan(log_sales))[:, :, None]).transpose(0, 2, 1)
    y = np.nan_to_num(log_sales)
    return Sums(weighted @ x, (weighted @ y[:, :, None])[:, :, 0], weighted @ effects)


def _ridges(sums: Sums, past: Panel, plans: NDArray[np.float32]) -> list[Ridge]:
    """The stores' coefficients, drawn towards the chain's, once the effects that only the chain has are taken off.

    One for each of YEAR_PULLS.
    """
    coefficients, effects = _chain(sums, past, plans)
    moment = sums.moment - sums.cross @ effects
    found = []
    for pull in YEAR_PULLS:
        pulls = np.where(OF_YEAR, pull, TOWARDS_CHAIN)
        right = moment + pulls * coefficients
        found.append(Ridge(np.linalg.solve(sums.gram + np.diag(pulls), right[:, :, None])[:, :, 0], effects))
    return found


def _chain(sums: Sums, past: Panel, plans: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """The chain's coefficients of a store's regressors, and its effects of the day.

    Where stores differ on the same day (school holidays), rows tell; what all of them share, the means of days tell.
    """
    own = _slopes_within_stores(sums)[-OWN:]
    means = chain.day_means(past.log_sales - plans[:, :, -OWN:] @ own)
    table = calendar.day_table(past.first, past.last)
    sold = ~np.isnan(past.log_sales)
    promo = np.einsum("sd,sdp->dp", sold, plans[:, :, :-OWN]) / np.maximum(means.sellers, 1)[:, None]
    days = np.concatenate([day_regressors(table)[:, 1:], promo, chain.effects(table)], axis=1)
    penalty = np.concatenate([TOWARDS_ZERO[1:-OWN], chain.PENALTY])
    level, slopes = chain.fit(days, penalty, means)
    return np.concatenate([[level], slopes[: -chain.EFFECTS], own]), slopes[-chain.EFFECTS :]


def _slopes_within_stores(sums: Sums) -> Floats:
    """The chain's slopes from how the rows of each store differ from the store's mean."""
    days = np.maximum(sums.gram[:, 0, 0], 1e-9)
    means = sums.gram[:, 0, :] / days[:, None]
    level = sums.moment[:, 0] / days
    within = (sums.gram - days[:, None, None] * means[:, :, None] * means[:, None, :]).sum(axis=0)[1:, 1:]
    target = (sums.moment - sums.gram[:, 0, :] * level[:, None]).sum(axis=0)[1:]
    stores = max(int((sums.gram[:, 0, 0] > 0).sum()), 1)
    return np.asarray(np.linalg.solve(within + stores * np.diag(TOWARDS_ZERO[1:]), target))
