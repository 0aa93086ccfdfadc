"""How sure a window's RMSPE is: a bootstrap over stores and weeks at once.

Rows of a store are alike, and so are rows of a day and of the days around it. So not rows are drawn anew but stores,
and, independently of them, weeks; a row counts as often as its store times as often as its week. Source: Owen, "The
pigeonhole bootstrap" (2007).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WEEK = 7
DRAWS = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Sums:
    """Squared percentage errors and rows of each store in each week, (stores, weeks)."""

    squares: Floats
    rows: Floats


def sums(errors: Floats, store: Ints, day: Ints) -> Sums:
    """Add up percentage errors (as shares) of rows; weeks are counted from the first day."""
    stores, row = np.unique(store, return_inverse=True)
    week = (day - day.min()) // WEEK
    shape = (len(stores), int(week.max()) + 1)
    place = row * shape[1] + week
    cells = shape[0] * shape[1]
    squares = np.bincount(place, errors**2, minlength=cells).astype(np.float64)
    rows = np.bincount(place, minlength=cells).astype(np.float64)
    return Sums(squares.reshape(shape), rows.reshape(shape))


def rmspe_interval(found: Sums, seed: int) -> tuple[float, float]:
    """The interval that holds the middle CONFIDENCE of the RMSPEs of DRAWS draws."""
    stores, weeks = found.rows.shape
    rng = np.random.default_rng(seed)
    of_store = rng.multinomial(stores, np.full(stores, 1 / stores), size=DRAWS).astype(np.float64)
    of_week = rng.multinomial(weeks, np.full(weeks, 1 / weeks), size=DRAWS).astype(np.float64)
    squares, rows = (((of_store @ part) * of_week).sum(axis=1) for part in (found.squares, found.rows))
    drawn = np.sqrt(squares[rows > 0] / rows[rows > 0])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)
