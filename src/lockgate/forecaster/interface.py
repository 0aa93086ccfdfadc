"""The interface of every forecaster, the ensemble or an external model, and the functions that they share."""

from collections.abc import Callable
from dataclasses import dataclass
from os import cpu_count
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lockgate.features.known_inputs import KnownInputs
from lockgate.forecaster.checked_rows import CheckedRows, RowProblem
from lockgate.forecaster.raw_rows import RawRows
from lockgate.forecaster.window import Window
from lockgate.models.conformal import Interval
from lockgate.problem.description import Problem

SMALL_BATCH = 2_000  # fewer rows are faster on one thread
CHUNK = 65_536  # rows at a time, so that memory stays bounded


@dataclass(frozen=True)
class RowCounts:
    """Counts of rows that can be forecast, for remarks to the user."""

    rows: int
    open_missing: int  # taken as open
    beyond_horizon: int  # after the days that the gate judged
    little_history: int = 0  # open rows of stores with no sales, few sales or no recent sale; 0 if unknown


def predict_open_rows(
    rows: CheckedRows,
    forecast: Callable[[KnownInputs], NDArray[np.float64]],
    shape: tuple[int, ...],
    otherwise: float = 0.0,
) -> NDArray[np.float64]:
    """The forecasts of the open rows, computed in chunks, in an array of this shape; `otherwise` for closed rows."""
    found = np.full(shape, otherwise)
    places = np.flatnonzero(rows.open)
    for start in range(0, len(places), CHUNK):
        chunk = places[start : start + CHUNK]
        found[chunk] = forecast(rows.known.take(chunk))
    return found


def count_rows(rows: CheckedRows, judged_until: int) -> RowCounts:
    """Counts of checked rows; `judged_until` is the last day that the gate judged."""
    beyond = rows.known.period > judged_until
    return RowCounts(len(rows.open), int(rows.open_missing.sum()), int(beyond.sum()))


def threads_for_rows(rows: int) -> int:
    """The number of threads of a booster for this number of rows."""
    return 1 if rows < SMALL_BATCH else min(cpu_count() or 1, 4)


class ForecasterProtocol(Protocol):
    """Raw rows in, forecasts out."""

    @property
    def problem(self) -> Problem:
        """The problem that it forecasts."""

    @property
    def members(self) -> tuple[str, ...]:
        """Names of its members."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the target, the positive one of two last; () for a number."""

    @property
    def window(self) -> Window | None:
        """The periods of a panel that it forecasts; None for states and plain tables."""

    def check(self, rows: RawRows) -> RowCounts:
        """Check the rows and count them; raises BadData for rows that `predict` would refuse."""

    def problems(self, rows: RawRows) -> list[RowProblem]:
        """Each value that cannot be forecast, by row. Raises BadData if a column is missing."""

    def predict(self, rows: RawRows) -> NDArray[np.float64]:
        """Forecasts of raw rows, (rows,), in their order; `where.otherwise` for rows that are not learned.

        Raises BadData for rows out of bounds.

        A row's forecast is the same alone and in any batch, order and process. `rows` is not changed.
        """

    def interval(self, rows: RawRows, confidence: float) -> Interval:
        """Forecasts as by `predict`, with their bounds; NaN for unknown bounds.

        Raises BadData as `predict` does, WrongUsage for a confidence out of range.
        """
