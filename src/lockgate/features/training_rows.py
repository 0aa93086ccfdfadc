"""Training rows for direct forecasting: for each cutoff, the next `horizon` days, with features as of the cutoff.

So each feature of a training row is as old, relative to its row, as the same feature of a forecast.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lockgate.features.known_inputs import StoreAttributes, panel_rows
from lockgate.features.panel import Panel
from lockgate.features.store_panel import matrix as features_matrix
from lockgate.features.store_panel import shared_effects
from lockgate.features.store_panel.history import HistoryState, history_states
from lockgate.features.store_panel.matrix import Matrix

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A ridge fitted on fewer days has not seen every season: its residuals say nothing about the next year.
MIN_DAYS_FOR_RESIDUAL = 300


@dataclass(frozen=True)
class TrainingRows:
    """Rows with sales and their features as of the cutoff."""

    matrix: Matrix
    log_sales: Floats
    day: Ints
    store: Ints  # place in StoreAttributes.store_ids
    daily_residual: Floats  # chain-wide residual of the row's day, by the ridge of the row's cutoff
    history_days: Ints  # days of history up to the row's cutoff


def cutoffs(history: Panel, last: int, horizon: int, min_history_days: int) -> list[int]:
    """Cutoffs a horizon apart; the window after the last one ends on `last`. The oldest first."""
    oldest = history.first + min_history_days - 1
    return list(range(last - horizon, oldest - 1, -horizon))[::-1]


def states_at(
    history: Panel, wanted: Iterable[int], attributes: StoreAttributes, horizon: int
) -> dict[int, HistoryState]:
    """The history state at each cutoff. Cutoffs a horizon apart share the work."""
    phases: dict[int, list[int]] = {}
    for origin in sorted(set(wanted)):
        phases.setdefault(origin % horizon, []).append(origin)
    states = (state for grid in phases.values() for state in history_states(history, grid, attributes))
    return {state.origin: state for state in states}


def rows_after(history: Panel, state: HistoryState, attributes: StoreAttributes, horizon: int) -> TrainingRows:
    """The rows with sales of the `horizon` days after a state's cutoff."""
    window = history.between(state.origin + 1, state.origin + horizon)
    log_sales = window.log_sales.ravel()
    sold = ~np.isnan(log_sales)
    rows = panel_rows(window).take(sold)
    features = features_matrix.matrix(features_matrix.forecast_window(state, attributes, horizon), rows)
    return TrainingRows(
        features,
        log_sales[sold],
        rows.day,
        rows.store,
        daily_residual=shared_effects.daily_residuals(rows.day, log_sales[sold] - features.ridge),
        history_days=np.full(len(rows.day), state.origin - history.first + 1),
    )


def join(parts: Sequence[TrainingRows]) -> TrainingRows:
    """All rows of several cutoffs."""
    matrix = Matrix(
        values=np.concatenate([part.matrix.values for part in parts]),
        ridge=np.concatenate([part.matrix.ridge for part in parts]),
        group_mean=np.concatenate([part.matrix.group_mean for part in parts]),
    )
    names = ("log_sales", "day", "store", "daily_residual", "history_days")
    return TrainingRows(matrix, *(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def training_target(rows: TrainingRows, *, remove_daily_residual: bool) -> TrainingRows:
    """Training targets, optionally minus the chain-wide residual of the day.

    The residual of a future day is unknown at the cutoff, and it is half of the ridge's error. A booster that learns it
    forecasts past events of the chain again, which on some windows makes the booster worse than the ridge. A booster
    without it learns how stores differ. One member keeps the residual so that the members differ. Rows whose cutoff has
    less than MIN_DAYS_FOR_RESIDUAL days of history never keep it.
    """
    short_history = rows.history_days < MIN_DAYS_FOR_RESIDUAL
    removed = rows.daily_residual if remove_daily_residual else np.where(short_history, rows.daily_residual, 0.0)
    return replace(rows, log_sales=rows.log_sales - removed)
