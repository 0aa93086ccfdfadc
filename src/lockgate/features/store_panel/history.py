"""The history state at a cutoff: the ridge, the holidays of each store, group statistics, and the level.

A state uses only days up to its cutoff. Training rows and forecasts use the same code.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lockgate.features import calendar
from lockgate.features.panel import Panel
from lockgate.features.shared import Shared
from lockgate.features.store_panel import rossmann, store_ridge
from lockgate.features.store_panel.cold_start import HistoryLength, history_length, means_of_peers, with_peers
from lockgate.features.store_panel.observance import observance
from lockgate.features.store_panel.store_attributes import StoreAttributes
from lockgate.features.store_panel.store_ridge import Ridge
from lockgate.system.single_thread import on_one_thread

Floats = NDArray[np.float64]

WINDOWS = (364, 728)
STATISTICS = tuple(f"{name}_{days}" for days in WINDOWS for name in ("mean", "spread", "median"))
LEVEL_WINDOW = 364
LEVEL = f"level_{LEVEL_WINDOW}"


@dataclass(frozen=True)
class HistoryState:
    """All arrays that are computed from the history up to the day `origin` (the cutoff)."""

    origin: int
    ridge: Ridge
    observed: NDArray[np.bool_]  # (stores, calendar.HOLIDAYS)
    group_statistics: NDArray[
        np.float32
    ]  # (stores, 7 weekdays, 2 promo, STATISTICS) of log sales, NaN without such a day
    level: NDArray[np.float32]  # (stores,): mean log sales of all open days of the last LEVEL_WINDOW
    history_length: HistoryLength


@on_one_thread
def history_states(
    history: Panel, origins: Sequence[int], attributes: StoreAttributes, shared: Shared | None = None
) -> list[HistoryState]:
    """The state at each cutoff (rising day numbers); the ridges share the work."""
    shared = shared or Shared()
    pasts = [history.between(history.first, origin) for origin in origins]
    ridges = store_ridge.fit(history, origins, attributes, shared)
    return [_state(past, fitted, attributes, shared) for past, fitted in zip(pasts, ridges, strict=True)]


def _state(past: Panel, fitted: Ridge, attributes: StoreAttributes, shared: Shared) -> HistoryState:
    length, own = history_length(past), fitted.coefficients
    unknown = length.never_sold
    means = shared.of(f"peers at {past.last}", lambda: means_of_peers(own, unknown, attributes))
    fitted = replace(fitted, coefficients=with_peers(own, unknown, attributes, means))
    return HistoryState(past.last, fitted, observance(past), group_statistics(past), level(past), length)


def group_statistics(past: Panel) -> NDArray[np.float32]:
    """Mean, standard deviation and median of log sales by store, weekday and promo over the last WINDOWS of days."""
    stores = past.target.shape[0]
    weekday = calendar.weekdays(np.arange(past.first, past.last + 1))
    table = np.empty((stores, 7, 2, len(STATISTICS)), dtype=np.float32)
    for day in range(7):
        columns = np.flatnonzero(weekday == day)
        sales = past.target[:, columns]
        age = past.last - past.first - columns
        for promo in range(2):
            table[:, day, promo] = _statistics(
                np.where(past.covariates[rossmann.PROMO][:, columns] == promo, sales, np.nan), age
            )
    return table


def level(past: Panel) -> NDArray[np.float32]:
    """Mean log sales of each store over the last LEVEL_WINDOW days."""
    return _mean(past.target[:, -LEVEL_WINDOW:]).astype(np.float32)


def _statistics(sales: Floats, age: NDArray[np.int64]) -> NDArray[np.float32]:
    windows = (sales[:, age < days] for days in WINDOWS)
    columns = [of(window) for window in windows for of in (_mean, _spread, _median)]
    return np.column_stack(columns).astype(np.float32)


def _mean(values: Floats) -> Floats:
    """Row means that skip NaN; NaN for a row without values."""
    present = ~np.isnan(values)
    count = present.sum(axis=1)
    return np.where(count > 0, np.where(present, values, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _spread(values: Floats) -> Floats:
    return np.asarray(np.sqrt(_mean((values - _mean(values)[:, None]) ** 2)))


def _median(values: Floats) -> Floats:
    """Row medians that skip NaN; NaN for a row without values."""
    ordered = np.sort(values, axis=1)  # NaN last
    count = (~np.isnan(values)).sum(axis=1)
    medians = np.full(len(values), np.nan)
    has_values, rows = count > 0, np.flatnonzero(count > 0)
    medians[has_values] = (ordered[rows, (count[has_values] - 1) // 2] + ordered[rows, count[has_values] // 2]) / 2
    return medians
