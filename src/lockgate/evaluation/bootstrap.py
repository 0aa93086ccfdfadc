"""Bootstrap intervals of an RMSPE, or of the difference of two RMSPEs, over stores and weeks at once.

The errors of a store are correlated, and so are those of a day and its neighbours. So stores are drawn, and
independently weeks. The weight of a row is the number of draws of its store times that of its week. Source: Owen,
"The pigeonhole bootstrap" (2007). The intervals are slightly too wide.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WEEK = 7
FEWEST_WEEKS = 4  # with fewer weeks, days are drawn
DRAWS = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Sums:
    """Squared percentage errors and rows of each store in each week, (stores, weeks)."""

    squares: Floats
    rows: Floats


@dataclass(frozen=True)
class Difference:
    """The RMSPE of one forecast minus that of another on the same rows, and the standard error of that."""

    value: float
    error: float

    def interval(self, comparisons: int = 1) -> tuple[float, float]:
        """The interval of the difference with CONFIDENCE; of `comparisons` intervals, all hold at once (Bonferroni)."""
        reach = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / (2 * comparisons)) * self.error
        return self.value - reach, self.value + reach


def sums(errors: Floats, store: Ints, day: Ints, block: int = WEEK) -> Sums:
    """Add up percentage errors (as shares) of rows; weeks, or other blocks of days, are counted from the first day."""
    stores, row = np.unique(store, return_inverse=True)
    week = (day - day.min()) // block
    shape = (len(stores), int(week.max()) + 1)
    place = row * shape[1] + week
    cells = shape[0] * shape[1]
    squares = np.bincount(place, errors**2, minlength=cells).astype(np.float64)
    rows = np.bincount(place, minlength=cells).astype(np.float64)
    return Sums(squares.reshape(shape), rows.reshape(shape))


def rmspe_interval(found: Sums, seed: int) -> tuple[float, float]:
    """The interval that holds the middle CONFIDENCE of the RMSPEs of DRAWS draws."""
    drawn = _drawn(found.rows, [found.squares], seed)[0]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def difference(errors: tuple[Floats, Floats], store: Ints, day: Ints, seed: int) -> Difference:
    """The difference of the RMSPEs of two forecasts, from their percentage errors on the same rows.

    Each draw takes the same rows of both, so the difficulty of the rows cancels out. NaN where an error is no number,
    or no row is left.
    """
    if not (day.size and all(np.isfinite(each).all() for each in errors)):
        return Difference(float("nan"), float("nan"))
    block = WEEK if np.ptp(day) >= FEWEST_WEEKS * WEEK - 1 else 1
    first, second = (sums(each, store, day, block) for each in errors)
    value = np.sqrt(np.mean(errors[0] ** 2)) - np.sqrt(np.mean(errors[1] ** 2))
    drawn = _drawn(first.rows, [first.squares, second.squares], seed)
    return Difference(float(value), float(np.std(drawn[0] - drawn[1])))


def _drawn(rows: Floats, squares: list[Floats], seed: int) -> list[Floats]:
    """The RMSPEs of the same draws for each of some forecasts of the same rows."""
    stores, weeks = rows.shape
    rng = np.random.default_rng(seed)
    of_store = rng.multinomial(stores, np.full(stores, 1 / stores), size=DRAWS).astype(np.float64)
    of_week = rng.multinomial(weeks, np.full(weeks, 1 / weeks), size=DRAWS).astype(np.float64)
    counted, *added = (((of_store @ part) * of_week).sum(axis=1) for part in (rows, *squares))
    some = counted > 0
    return [np.sqrt(part[some] / counted[some]) for part in added]
