"""Training rows for direct forecasting: for each cutoff, the next `horizon` periods, with features as of the cutoff.

So each feature of a training row is as old, relative to its row, as the same feature of a forecast.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lockgate.features.recipe import RIDGE, Matrix, State, Table
from lockgate.features.shared import Shared
from lockgate.features.shared_residual import shared_residuals
from lockgate.problem.periods import PeriodName

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A ridge fitted on fewer periods has not seen every season: its residuals say nothing about the next year.
FULL_SEASON: dict[PeriodName, int] = {"hour": 336, "day": 300, "week": 43, "month": 10, "integer": 0}


@dataclass(frozen=True)
class TrainingRows:
    """Rows with a target and their features as of the cutoff."""

    matrix: Matrix
    target: Floats  # in the scale of the recipe
    period: Ints
    key: Ints  # place in Series
    shared_residual: Floats  # residual of all keys in the row's period, by the ridge of the row's cutoff
    history: Ints  # periods of history up to the row's cutoff

    @property
    def actual(self) -> Floats:
        """The targets in their own unit."""
        return self.matrix.scale.target(self.target)


def cutoffs(table: Table, last: int, horizon: int, min_history: int) -> list[int]:
    """Cutoffs a horizon apart; the window after the last one ends on `last`. The oldest first."""
    oldest = table.first + min_history - 1
    return list(range(last - horizon, oldest - 1, -horizon))[::-1]


def rows_after(table: Table, state: State, shared: Shared | None = None) -> TrainingRows:
    """The rows with a target of the horizon after a state's cutoff; `shared` records or replays their residuals."""
    first, last = state.cutoff + 1, state.cutoff + state.horizon
    target = state.scale.scaled(table.history.between(first, last).target).ravel()
    known = ~np.isnan(target)
    rows = table.known_inputs(first, last).take(known)
    matrix = state.transform(rows)

    def residuals() -> Floats:
        return shared_residuals(rows.period - first, target[known] - matrix.offsets[RIDGE], state.horizon)

    of_period = (shared or Shared()).of(f"residuals of the periods after {state.cutoff}", residuals)
    return TrainingRows(
        matrix,
        target[known],
        rows.period,
        rows.key,
        shared_residual=of_period[rows.period - first],
        history=np.full(len(rows), state.cutoff - table.first + 1),
    )


def join(parts: Sequence[TrainingRows]) -> TrainingRows:
    """All rows of several cutoffs."""
    names = ("target", "period", "key", "shared_residual", "history")
    arrays = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
    return TrainingRows(Matrix.join([part.matrix for part in parts]), *arrays)


def training_target(rows: TrainingRows, period: PeriodName, *, remove_shared_residual: bool) -> TrainingRows:
    """Training targets, optionally minus the residual that all keys share in the period.

    The shared residual of a future period is unknown at the cutoff; for a chain of stores it is half of the ridge's
    error. A booster that learns it forecasts past events again, which on some windows makes the booster worse than the
    ridge. A booster without it learns how keys differ. One member keeps the residual so that the members differ. Rows
    whose cutoff has less history than FULL_SEASON never keep it.
    """
    short_history = rows.history < FULL_SEASON[period]
    removed = rows.shared_residual if remove_shared_residual else np.where(short_history, rows.shared_residual, 0.0)
    return replace(rows, target=rows.target - removed)
