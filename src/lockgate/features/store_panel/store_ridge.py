"""A ridge regression of log sales on the calendar for each store, shrunk towards the coefficients of the chain.

The ridge is a member of the blend, a feature, and the offset that boosters start from. All stores are solved at once
from their normal equations, which add up over days: each further cutoff costs only the days since the previous one.
The intercept is corrected by the local level (local_level.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockgate.features import calendar
from lockgate.features.calendar import DayTable
from lockgate.features.known_inputs import KnownInputs
from lockgate.features.panel import Panel, panel_rows
from lockgate.features.shared import Shared
from lockgate.features.store_panel import local_level as features_local_level
from lockgate.features.store_panel import rossmann, shared_effects
from lockgate.features.store_panel.local_level import local_level, residuals_of_days
from lockgate.features.store_panel.observance import observance
from lockgate.features.store_panel.store_attributes import StoreAttributes, promo2_active
from lockgate.problem import metrics

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

HALF_LIFE_DAYS = 365.0  # half-life of a day's weight
YEAR_WAVES = 4
MONTH_WAVES = 5
# Candidate penalties that shrink store seasonality to the chain's; the one with the lowest rolling-origin error is
# used, the first one without enough history. Chains differ in this more than in any other setting.
YEAR_PENALTIES = (100.0, 30.0, 10.0)
STEP_DAYS = 42  # days between the rolling origins
FIRST_STEP_DAYS = 182
# Groups of regressors, in order: number, penalty of a store's coefficients towards the chain's, and of the chain's
# towards zero, in days of evidence (of the store; of the chain). Level and weekdays are mostly the store's own. Two
# years of data show too little of the seasons: without shrinkage, a first Christmas would be extrapolated wildly.
OWN_GROUPS = {  # regressors or effects that differ between stores on the same day
    "school": (2, 2.0, 0.001),
    "open on a holiday": (1, 0.05, 0.001),
    "around a holiday": (4, 2.0, 0.001),
    "promo2": (1, 2.0, 0.001),
    "carnival": (4, 0.1, 0.001),
}
GROUPS = {
    "level": (1, 0.02, 0.0),
    "trend": (1, 30.0, 400.0),
    "weekday": (6, 0.5, 0.001),
    "year": (2 * YEAR_WAVES, YEAR_PENALTIES[0], 20.0),
    "month": (2 * MONTH_WAVES, 100.0, 0.1),
    "season": (6, 2.0, 0.001),
    "eves": (2, 0.1, 0.001),
    "promo": (5, 2.0, 0.001),
    **OWN_GROUPS,
}
TOWARDS_CHAIN = np.concatenate([np.full(count, pull) for count, pull, _ in GROUPS.values()])
TOWARDS_ZERO = np.concatenate([np.full(count, pull) for count, _, pull in GROUPS.values()])
OF_YEAR = np.concatenate([np.full(count, name == "year") for name, (count, _, _) in GROUPS.items()])
OWN = sum(count for count, _, _ in OWN_GROUPS.values())  # the regressors of these groups come last
OF_ROW = OWN + GROUPS["promo"][0]  # regressors that depend on a row's plans or its store's holidays
CARNIVAL = ((-52,), (-51, -50), (-48,), (-47,))  # days from Easter: Thursday, the two after it, Monday, Tuesday
FAR = 99  # days to a holiday, at most


@dataclass(frozen=True)
class Ridge:
    """Coefficients of log sales: (stores, regressors) of each store, (shared_effects.EFFECTS,) of the chain's days."""

    coefficients: Floats
    effects: Floats

    def predict(self, regressors: Floats, store: NDArray[np.int64], effects: Floats) -> Floats:
        """Log sales of rows; each row is summed by itself, so the other rows of a batch do not change it."""
        own = (regressors * self.coefficients[store]).sum(axis=1)
        return np.asarray(own + (effects * self.effects).sum(axis=1))


@dataclass(frozen=True)
class Days:
    """Log sales of some days with their regressors."""

    x: Floats  # (stores, days, regressors)
    effects: Floats  # (days, shared_effects.EFFECTS)
    log_sales: Floats  # (stores, days), NaN where nothing was sold

    def residuals(self, ridge: Ridge) -> Floats:
        """Log sales minus the forecast of a ridge, (stores, days)."""
        return self.log_sales - (self.x @ ridge.coefficients[:, :, None])[:, :, 0] - self.effects @ ridge.effects

    def later(self, days: "Days") -> "Days":
        """These days followed by later ones, cut to the days that a local level uses."""
        return Days(
            np.concatenate([self.x, days.x], axis=1)[:, -features_local_level.DAYS :],
            np.concatenate([self.effects, days.effects])[-features_local_level.DAYS :],
            np.concatenate([self.log_sales, days.log_sales], axis=1)[:, -features_local_level.DAYS :],
        )


@dataclass(frozen=True)
class Sums:
    """Normal equations of each store; they add up over days."""

    gram: Floats  # (stores, p, p)
    moment: Floats  # (stores, p)
    cross: Floats  # (stores, p, shared_effects.EFFECTS)

    def later(self, fade: float, block: "Sums") -> "Sums":
        """These sums, faded, plus the sums of later days."""
        return Sums(self.gram * fade + block.gram, self.moment * fade + block.moment, self.cross * fade + block.cross)


def observed_distance(distances: NDArray[np.int16], observed: Flags) -> NDArray[np.int64]:
    """Days to the nearest holiday that the row's store observes, at most FAR; from arrays (rows, holidays)."""
    return np.asarray(np.where(observed, np.minimum(distances, FAR), FAR).min(axis=1), dtype=np.int64)


def trend(days: Any) -> Any:
    """The regressor of the trend, of day numbers."""
    return (days - 16_000) / 365.25


def day_regressors(table: DayTable) -> Floats:
    """Regressors that are equal for all stores, (days, regressors)."""
    year_angle = 2 * np.pi * table.day_of_year / 365.25
    month_angle = 2 * np.pi * (table.day_of_month - 0.5) / table.days_in_month
    christmas = table.until[:, calendar.HOLIDAYS.index("christmas")].astype(np.int64)
    columns = [
        np.ones(len(year_angle)),
        trend(table.first + np.arange(len(year_angle))),
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


def regressors(rows: KnownInputs, table: DayTable, shared: Floats, context: tuple[StoreAttributes, Flags]) -> Floats:
    """(rows, regressors): the shared regressors of each row's day, then those of its plans and its store's holidays."""
    attributes, observed = context
    at = rows.period - table.first
    keeps = observed[rows.key]
    until = observed_distance(table.until[at], keeps)
    since = observed_distance(table.since[at], keeps)
    weekday, easter = table.weekday[at], table.easter[at]
    promo = rows.covariates[rossmann.PROMO] == 1
    own = [
        promo,
        *(promo & (weekday == day) for day in range(4)),
        rows.covariates[rossmann.SCHOOL_HOLIDAY] == 1,
        (rows.covariates[rossmann.SCHOOL_HOLIDAY] == 1) & (weekday == 5),
        rows.covariates[rossmann.STATE_HOLIDAY] > 0,
        until == 1,
        until == 2,
        since == 1,
        since == 2,
        promo2_active(attributes, rows, table.month[at]),
        *(np.logical_or.reduce([easter == day for day in days]) for days in CARNIVAL),
    ]
    return np.concatenate([shared[at], np.column_stack(own).astype(np.float64)], axis=1)


def fit(
    history: Panel, origins: Sequence[int], attributes: StoreAttributes, shared: Shared | None = None
) -> list[Ridge]:
    """The ridge at each cutoff (rising day numbers, multiples of STEP_DAYS apart), from the days up to it only."""
    shared, fitted = shared or Shared(), {}
    sums, late, plans, start = None, None, [], history.first
    candidates: _Candidates | None = None
    losses = np.zeros(len(YEAR_PENALTIES))
    for origin in _walk(history.first, origins):
        past = history.between(history.first, origin)
        days = _days(history.between(start, origin), (attributes, observance(past)))
        if candidates:
            losses += shared.of(f"losses until {origin}", partial(candidates.losses, days))
        added = _normal_equations(days)
        sums = added if sums is None else sums.later(0.5 ** ((origin - start + 1) / HALF_LIFE_DAYS), added)
        plans.append(days.x[:, :, -OF_ROW:].astype(np.float32))
        late = days if late is None else late.later(days)
        chain = shared.of(f"chain at {origin}", partial(_chain, sums, past, plans))
        candidates = _Candidates(sums, late, chain, shared.within(f"ridge at {origin}"))
        if origin in origins:
            fitted[origin] = candidates.at(int(np.argmin(losses)))
        start = origin + 1
    return [fitted[origin] for origin in origins]


@dataclass(frozen=True)
class _Candidates:
    """The ridges at a cutoff, one for each of YEAR_PENALTIES; each is fitted when it is asked for."""

    sums: Sums
    late: Days  # the days of the local level
    chain: tuple[Floats, Floats]
    shared: Shared

    def at(self, place: int) -> Ridge:
        """The ridge of a penalty, its intercepts corrected by the local levels."""
        if place not in self._fitted:
            self._fitted[place] = self._at_local_level(place, self._ridge(YEAR_PENALTIES[place]))
        return self._fitted[place]

    def losses(self, days: Days) -> list[float]:
        """The loss of each ridge on later days."""
        return [_loss(days.residuals(self.at(place))) for place in range(len(YEAR_PENALTIES))]

    @cached_property
    def _fitted(self) -> dict[int, Ridge]:
        return {}

    @cached_property
    def _moment(self) -> Floats:
        return self.sums.moment - self.sums.cross @ self.chain[1]

    def _ridge(self, pull: float) -> Ridge:
        """The stores' ridges, shrunk towards the chain's coefficients after the shared effects are subtracted."""
        coefficients, effects = self.chain
        pulls = np.where(OF_YEAR, pull, TOWARDS_CHAIN)
        right = self._moment + pulls * coefficients
        return Ridge(np.linalg.solve(self.sums.gram + np.diag(pulls), right[:, :, None])[:, :, 0], effects)

    def _at_local_level(self, place: int, ridge: Ridge) -> Ridge:
        residuals, coefficients = self.late.residuals(ridge), ridge.coefficients.copy()
        of_days = self.shared.of(f"residuals of the days, penalty {place}", lambda: residuals_of_days(residuals))
        coefficients[:, 0] += local_level(residuals, of_days)  # the first regressor is 1
        return replace(ridge, coefficients=coefficients)


def _walk(first: int, origins: Sequence[int]) -> list[int]:
    """The cutoffs, and the rolling origins between and before them, within the history."""
    steps = range(origins[-1], min(first + FIRST_STEP_DAYS - 2, origins[0] - 1), -STEP_DAYS)
    return sorted({*steps, *origins})


def _days(block: Panel, context: tuple[StoreAttributes, Flags]) -> Days:
    stores, width = block.target.shape
    table = calendar.day_table(block.first, block.last)
    x = regressors(panel_rows(block), table, day_regressors(table), context).reshape(stores, width, -1)
    return Days(x, shared_effects.effects(table), block.target)


def _loss(residuals: Floats) -> float:
    """Mean squared (clipped) residual of the days after a ridge's cutoff."""
    errors = metrics.capped(residuals[~np.isnan(residuals)])
    return float(np.mean(errors**2)) if errors.size else 0.0


def _normal_equations(days: Days) -> Sums:
    """Weighted sums of some days; the weight of a day halves every HALF_LIFE_DAYS."""
    age = np.arange(days.log_sales.shape[1] - 1, -1, -1)
    weights = 0.5 ** (age / HALF_LIFE_DAYS) * ~np.isnan(days.log_sales)
    weighted = (days.x * weights[:, :, None]).transpose(0, 2, 1)
    y = np.nan_to_num(days.log_sales)
    return Sums(weighted @ days.x, (weighted @ y[:, :, None])[:, :, 0], weighted @ days.effects)


def _chain(sums: Sums, past: Panel, of_rows: list[NDArray[np.float32]]) -> tuple[Floats, Floats]:
    """The chain's coefficients of the regressors, and the shared effects.

    Regressors that differ between stores (school holidays) are fitted on rows, shared ones on daily means.
    """
    own, plans = _slopes_within_stores(sums)[-OWN:], np.concatenate(of_rows, axis=1)
    means = shared_effects.day_means(past.target - plans[:, :, -OWN:] @ own)
    table = calendar.day_table(past.first, past.last)
    sold = ~np.isnan(past.target)
    promo = np.einsum("sd,sdp->dp", sold, plans[:, :, :-OWN]) / np.maximum(means.sellers, 1)[:, None]
    days = np.concatenate([day_regressors(table)[:, 1:], promo, shared_effects.effects(table)], axis=1)
    penalty = np.concatenate([TOWARDS_ZERO[1:-OWN], shared_effects.PENALTY])
    level, slopes = shared_effects.fit(days, penalty, means)
    return np.concatenate([[level], slopes[: -shared_effects.EFFECTS], own]), slopes[-shared_effects.EFFECTS :]


def _slopes_within_stores(sums: Sums) -> Floats:
    """The chain's coefficients from the deviations of rows from their store's mean."""
    days = np.maximum(sums.gram[:, 0, 0], 1e-9)
    means = sums.gram[:, 0, :] / days[:, None]
    level = sums.moment[:, 0] / days
    within = (sums.gram - days[:, None, None] * means[:, :, None] * means[:, None, :]).sum(axis=0)[1:, 1:]
    target = (sums.moment - sums.gram[:, 0, :] * level[:, None]).sum(axis=0)[1:]
    stores = max(int((sums.gram[:, 0, 0] > 0).sum()), 1)
    return np.asarray(np.linalg.solve(within + stores * np.diag(TOWARDS_ZERO[1:]), target))
