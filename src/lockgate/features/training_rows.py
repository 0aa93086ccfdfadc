"""Training rows for direct forecasting: for each cutoff, the next `horizon` days, with features as of the cutoff.

So each feature of a training row is as old, relative to its row, as the same feature of a forecast.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lockgate.features.daily_residual import daily_residuals
from lockgate.features.recipe import RIDGE, Matrix, State, Table

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


def cutoffs(table: Table, last: int, horizon: int, min_history_days: int) -> list[int]:
    """Cutoffs a horizon apart; the window after the last one ends on `last`. The oldest first."""
    oldest = table.first + min_history_days - 1
    return list(range(last - horizon, oldest - 1, -horizon))[::-1]


def rows_after(table: Table, state: State) -> TrainingRows:
    """The rows with sales of the horizon after a state's cutoff."""
    first, last = state.cutoff + 1, state.cutoff + state.horizon
    log_sales = table.log_sales(first, last)
    sold = ~np.isnan(log_sales)
    rows = table.known_inputs(first, last).take(sold)
    matrix = state.transform(rows)
    return TrainingRows(
        matrix,
        log_sales[sold],
        rows.day,
        rows.store,
        daily_residual=daily_residuals(rows.day, log_sales[sold] - matrix.offsets[RIDGE]),
        history_days=np.full(len(rows.day), state.cutoff - table.first + 1),
    )


def join(parts: Sequence[TrainingRows]) -> TrainingRows:
    """All rows of several cutoffs."""
    names = ("log_sales", "day", "store", "daily_residual", "history_days")
    arrays = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
    return TrainingRows(Matrix.join([part.matrix for part in parts]), *arrays)


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
