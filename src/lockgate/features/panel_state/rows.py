"""The rows of keys in the order of time, and statistics of the rows of a key so far.

Each statistic of a row is summed in the order of the rows of its key. So its bits do not depend on other keys, on later
rows, or on the order in which rows come.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.problem.description import Problem

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """Rows by key and time: `rows` are their places in the frame, `place` their number within the key, from 0."""

    rows: Ints
    place: Ints
    start: Ints  # of each row: the first row of its key, in this order
    period: Ints

    @classmethod
    def of(cls, problem: Problem, frame: pd.DataFrame) -> "Order":
        """The order of a frame with keys and time."""
        key = frame.groupby(list(problem.keys), sort=True, dropna=False).ngroup().to_numpy().astype(np.int64)
        period = problem.period.number(frame[problem.time_name].to_numpy())
        rows = np.lexsort((period, key))
        key = key[rows]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        start = np.repeat(first, np.diff(np.append(first, len(key))))
        return cls(rows, np.arange(len(key)) - start, start, period[rows])

    def age(self) -> Floats:
        """Periods since the first row of the key."""
        return (self.period - self.period[self.start]).astype(np.float64)

    def blocks(self, size: int) -> Iterator["Order"]:
        """The same rows in blocks of whole keys, each of about `size` rows."""
        begin = 0
        for end in [*np.flatnonzero(self.place == 0)[1:].tolist(), len(self.rows)]:
            if end - begin >= size or end == len(self.rows):
                part = slice(begin, end)
                yield Order(self.rows[part], self.place[part], self.start[part] - begin, self.period[part])
                begin = end


def filled(order: Order, values: Floats) -> Floats:
    """The last known value of each column, (rows, columns); NaN before the first one."""
    known = np.where(np.isnan(values), -1, np.arange(len(values))[:, None])
    newest = np.maximum.accumulate(known, axis=0)
    found = np.take_along_axis(values, np.maximum(newest, 0), axis=0)
    return np.where(newest >= order.start[:, None], found, np.nan)


def weighted_mean(order: Order, values: Floats, decay: float) -> Floats:
    """The mean of the rows so far, in which a row counts `decay` times the one after it; 1: the expanding mean."""
    known = ~np.isnan(values)
    total, weight = np.where(known, values, 0.0), known.astype(np.float64)
    by_place = np.argsort(order.place, kind="stable")
    ends = np.cumsum(np.bincount(order.place))
    for begin, end in pairwise(ends):
        rows = by_place[begin:end]
        total[rows] += decay * total[rows - 1]
        weight[rows] += decay * weight[rows - 1]
    return _ratio(total, weight)


def change(order: Order, newest: Floats, values: Floats, first: int) -> Floats:
    """`newest` minus the mean of the first rows of the key, or of as many as there are so far."""
    so_far = weighted_mean(order, values, 1.0)
    return newest - so_far[order.start + np.minimum(order.place, first - 1)]


@dataclass
class _Sums:
    """Sums over a window that grows by one row at a time; times are counted back from the newest row."""

    count: Floats
    value: Floats
    square: Floats
    time: Floats
    time_square: Floats
    product: Floats


def rolling(order: Order, values: Floats, windows: tuple[int, ...]) -> Iterator[tuple[int, dict[str, Floats]]]:
    """Mean, standard deviation and slope over the last rows, for each window, the shortest first."""
    # Differences from the newest known value: else a level far from 0 would take the digits of the deviation.
    newest = filled(order, values)
    shape = values.shape
    sums = _Sums(*(np.zeros(shape) for _ in range(6)))
    for back in range(max(windows, default=0)):
        _add(sums, order, (values, newest), back)
        if back + 1 in windows:
            yield back + 1, _statistics(sums, newest)


def _add(sums: _Sums, order: Order, values: tuple[Floats, Floats], back: int) -> None:
    rows = np.flatnonzero(order.place >= back)
    found = values[0][rows - back] - values[1][rows]
    known = ~np.isnan(found)
    found = np.where(known, found, 0.0)
    time = (order.period[rows - back] - order.period[rows])[:, None] * known
    sums.count[rows] += known
    sums.value[rows] += found
    sums.square[rows] += found * found
    sums.time[rows] += time
    sums.time_square[rows] += time * time
    sums.product[rows] += time * found


def _statistics(sums: _Sums, newest: Floats) -> dict[str, Floats]:
    mean = _ratio(sums.value, sums.count)
    variance = np.maximum(_ratio(sums.square, sums.count) - mean * mean, 0.0)
    spread = sums.count * sums.time_square - sums.time * sums.time
    slope = _ratio(sums.count * sums.product - sums.time * sums.value, spread)
    return {"mean": newest + mean, "std": np.sqrt(variance), "slope": slope}


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0))
