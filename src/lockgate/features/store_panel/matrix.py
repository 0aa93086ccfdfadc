"""The feature matrix of the boosters, made from history state, store attributes and rows.

Training and forecasting share this code. A row's features depend on the row and on the history up to the cutoff, never
on other rows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.features import calendar
from lockgate.features.calendar import DayTable
from lockgate.features.known_inputs import KnownInputs
from lockgate.features.recipe import GROUP_MEAN, RIDGE, Matrix
from lockgate.features.scale import LOG
from lockgate.features.store_panel import rossmann, shared_effects, store_ridge
from lockgate.features.store_panel.history import LEVEL, STATISTICS, HistoryState
from lockgate.features.store_panel.store_attributes import LONG_AGO, StoreAttributes, promo2_active

Floats = NDArray[np.float64]
Column = NDArray[np.float64] | NDArray[np.int64] | NDArray[np.float32] | NDArray[np.int8] | NDArray[np.bool_]

NEAR_DAYS = 14  # distances to holidays are capped at this


@dataclass(frozen=True)
class ForecastWindow:
    """A history state with the calendar of the days after its cutoff."""

    state: HistoryState
    attributes: StoreAttributes
    table: DayTable
    shared: Floats  # store_ridge.day_regressors of the table
    effects: Floats  # shared_effects.effects of the table


def forecast_window(state: HistoryState, attributes: StoreAttributes, days: int) -> ForecastWindow:
    """The `days` days after a state's cutoff."""
    table = calendar.day_table(state.origin + 1, state.origin + days)
    return ForecastWindow(state, attributes, table, store_ridge.day_regressors(table), shared_effects.effects(table))


def matrix(window: ForecastWindow, rows: KnownInputs) -> Matrix:
    """Features of rows whose days lie in the forecast window, and the offsets of boosters.

    The offsets are log sales by the ridge, and the mean log sales of the same store, weekday and promo over 364 days
    (the ridge's forecast without such a day).
    """
    state = window.state
    at = rows.period - window.table.first
    weekday = window.table.weekday[at]
    x = store_ridge.regressors(rows, window.table, window.shared, (window.attributes, state.observed))
    expected = state.ridge.predict(x, rows.key, window.effects[at])
    group_statistics = state.group_statistics[rows.key, weekday, rows.covariates[rossmann.PROMO]]
    columns = (
        _plans(window, rows)
        | _days(window, rows)
        | _stores(window, rows)
        | _past(window, rows, expected, group_statistics)
    )
    usual = group_statistics[:, STATISTICS.index("mean_364")].astype(np.float64)
    return Matrix(
        np.column_stack([columns[name] for name in FEATURES]).astype(np.float32),
        FEATURES,
        {RIDGE: expected, GROUP_MEAN: np.where(np.isnan(usual), expected, usual)},
        LOG,
    )


def _plans(window: ForecastWindow, rows: KnownInputs) -> dict[str, Column]:
    return {
        "promo": rows.covariates[rossmann.PROMO],
        "school": rows.covariates[rossmann.SCHOOL_HOLIDAY],
        "state_holiday": rows.covariates[rossmann.STATE_HOLIDAY],
    }


def _days(window: ForecastWindow, rows: KnownInputs) -> dict[str, Column]:
    table, at = window.table, rows.period - window.table.first
    keeps = window.state.observed[rows.key]
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


def _stores(window: ForecastWindow, rows: KnownInputs) -> dict[str, Column]:
    attributes, store = window.attributes, rows.key
    month = window.table.month[rows.period - window.table.first]
    since = attributes.competition_since[store]
    return {
        "kind": attributes.kind[store],
        "assortment": attributes.assortment[store],
        "distance": attributes.distance[store],
        "competition_days": np.where(since == LONG_AGO, np.nan, np.clip(rows.period - since, -100, 1500)),
        "promo2": promo2_active(attributes, rows, month),
        "promo2_days": np.clip(rows.period - attributes.promo2_since[store], -100, 1500),
    }


def _past(
    window: ForecastWindow, rows: KnownInputs, expected: Floats, group_statistics: NDArray[np.float32]
) -> dict[str, Column]:
    """Group statistics and level, relative to the ridge's forecast of the row (spreads are absolute)."""
    columns: dict[str, Column] = {"ridge": expected}
    for place, name in enumerate(STATISTICS):
        columns[name] = (
            group_statistics[:, place] if name.startswith("spread") else group_statistics[:, place] - expected
        )
    columns[LEVEL] = window.state.level[rows.key] - expected
    return columns


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
    *STATISTICS,
    LEVEL,
)
