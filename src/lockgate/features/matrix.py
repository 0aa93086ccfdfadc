"""The columns that the boosters see, from (profile, traits, rows): the same code for training and for the forecast.

A row's features depend on the row and on the past up to the profile's origin, never on the rows beside it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.features import calendar, shared_effects, store_ridge
from lockgate.features.calendar import DayTable
from lockgate.features.history import HABITS, LEVEL, Profile
from lockgate.features.known_inputs import LONG_AGO, Known, Traits, promo2_active
from lockgate.problem.params import Offset

Floats = NDArray[np.float64]
Column = NDArray[np.float64] | NDArray[np.int64] | NDArray[np.float32] | NDArray[np.int8] | NDArray[np.bool_]

NEAR_DAYS = 14  # holidays further away than this look alike


@dataclass(frozen=True)
class Matrix:
    """Features of some rows, and the log sales from which each kind of booster starts."""

    values: NDArray[np.float32]  # (rows, len(FEATURES))
    ridge: Floats  # log sales by the ridge
    habit: Floats  # mean log sales of the same store, weekday and promo over 364 days; the ridge's where never seen

    def offset(self, name: Offset) -> Floats:
        """The log sales that a booster starts from."""
        return self.ridge if name == "ridge" else self.habit


@dataclass(frozen=True)
class Lens:
    """A profile with the calendar of the days to be looked at."""

    profile: Profile
    traits: Traits
    table: DayTable
    shared: Floats  # ridge.day_regressors of the table
    effects: Floats  # chain.effects of the table


def lens(profile: Profile, traits: Traits, days: int) -> Lens:
    """Look at the `days` days after the profile's origin."""
    table = calendar.day_table(profile.origin + 1, profile.origin + days)
    return Lens(profile, traits, table, store_ridge.day_regressors(table), shared_effects.effects(table))


def matrix(view: Lens, rows: Known) -> Matrix:
    """Features of rows whose days the lens covers."""
    profile = view.profile
    at = rows.day - view.table.first
    weekday = view.table.weekday[at]
    x = store_ridge.regressors(rows, view.table, view.shared, (view.traits, profile.observed))
    expected = profile.ridge.predict(x, rows.store, view.effects[at])
    habits = profile.habits[rows.store, weekday, rows.promo]
    columns = _plans(view, rows) | _days(view, rows) | _stores(view, rows) | _past(view, rows, expected, habits)
    usual = habits[:, HABITS.index("mean_364")].astype(np.float64)
    return Matrix(
        values=np.column_stack([columns[name] for name in FEATURES]).astype(np.float32),
        ridge=expected,
        habit=np.where(np.isnan(usual), expected, usual),
    )


def _plans(view: Lens, rows: Known) -> dict[str, Column]:
    return {
        "promo": rows.promo,
        "school": rows.school,
        "state_holiday": rows.holiday,
    }


def _days(view: Lens, rows: Known) -> dict[str, Column]:
    table, at = view.table, rows.day - view.table.first
    keeps = view.profile.observed[rows.store]
    return {
        "weekday": table.weekday[at],
        "month": table.month[at],
        "day_of_month": table.day_of_month[at],
        "days_to_month_end": (table.days_in_month - table.day_of_month)[at],
        "day_of_year": table.day_of_year[at],
        "from_easter": np.clip(table.easter[at], -60, 70),
        "to_holiday": np.minimum(store_ridge.observed_distance(table.until[at], keeps), NEAR_DAYS),
        "from_holiday": np.minimum(store_ridge.observed_distance(table.since[at], keeps), NEAR_DAYS),
    }


def _stores(view: Lens, rows: Known) -> dict[str, Column]:
    traits, store = view.traits, rows.store
    month = view.table.month[rows.day - view.table.first]
    since = traits.competition_since[store]
    return {
        "kind": traits.kind[store],
        "assortment": traits.assortment[store],
        "distance": traits.distance[store],
        "competition_days": np.where(since == LONG_AGO, np.nan, np.clip(rows.day - since, -100, 1500)),
        "promo2": promo2_active(traits, rows, month),
        "promo2_days": np.clip(rows.day - traits.promo2_since[store], -100, 1500),
    }


def _past(view: Lens, rows: Known, expected: Floats, habits: NDArray[np.float32]) -> dict[str, Column]:
    """How the store used to sell, relative to what the ridge expects of the row (but for spreads)."""
    found: dict[str, Column] = {"ridge": expected}
    for place, name in enumerate(HABITS):
        found[name] = habits[:, place] if name.startswith("spread") else habits[:, place] - expected
    found[LEVEL] = view.profile.level[rows.store] - expected
    return found


FEATURES = (
    "promo",
    "school",
    "state_holiday",
    "weekday",
    "month",
    "day_of_month",
    "days_to_month_end",
    "day_of_year",
    "from_easter",
    "to_holiday",
    "from_holiday",
    "kind",
    "assortment",
    "distance",
    "competition_days",
    "promo2",
    "promo2_days",
    "ridge",
    *HABITS,
    LEVEL,
)
