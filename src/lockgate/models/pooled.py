"""Mean and quantiles of a column of rows in parts, equal to the last bit to those of all rows in one frame.

The values of all rows are never in memory together. NaN does not count.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from lockgate.data.rows_by_part import RowsByPart

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BITS = 20  # the values are counted by sign, exponent and the first 8 bits of the fraction
SIGN = np.uint64(1 << 63)


def mean(rows: RowsByPart, column: str) -> float:
    """The mean, from the exact sum; NaN without a value."""
    count = sum(len(values) for values in _known(rows, column))
    total = math.fsum(chain.from_iterable(_known(rows, column)))
    return total / count if count else float("nan")


def median(rows: RowsByPart, column: str) -> float:
    """The median; NaN without a value."""
    if len(rows) == 1:
        return float(next(iter(rows))[column].median())
    return float(_neighbours(rows, column, (0.5,))[0][0].mean())


def quantiles(rows: RowsByPart, column: str, shares: Sequence[float]) -> Floats:
    """The quantiles of these shares, as `numpy.quantile` gives them; NaN without a value."""
    if len(rows) == 1:
        values = next(iter(rows))[column].dropna().to_numpy(dtype=np.float64)
        return np.quantile(values, shares) if values.size else np.full(len(shares), np.nan)
    pairs, parts = _neighbours(rows, column, shares)
    return np.array([np.quantile(pair, part) for pair, part in zip(pairs, parts, strict=True)])


def _neighbours(rows: RowsByPart, column: str, shares: Sequence[float]) -> tuple[Floats, Floats]:
    """The two values around each quantile (shares, 2), and its place between them; one value twice at its place."""
    counts = sum(np.bincount(_bins(values), minlength=1 << BITS) for values in _known(rows, column))
    count = int(np.sum(counts))
    if not count:
        return np.full((len(shares), 2), np.nan), np.zeros(len(shares))
    places = np.asarray(shares) * (count - 1)
    ranks = np.stack([np.floor(places), np.ceil(places)], axis=1).astype(np.int64)
    return _of_ranks(rows, column, np.asarray(counts), ranks), places - ranks[:, 0]


def _of_ranks(rows: RowsByPart, column: str, counts: Ints, ranks: Ints) -> Floats:
    """The values with these places in the order of all, from the counts of the bins."""
    ends = np.cumsum(counts)
    bins = np.searchsorted(ends, ranks, side="right")
    distinct, times = np.empty(0), np.empty(0, dtype=np.int64)
    for values in _known(rows, column):
        some, count = np.unique(values[np.isin(_bins(values), bins)], return_counts=True)
        distinct, place = np.unique(np.concatenate([distinct, some]), return_inverse=True)
        times = np.bincount(place, np.concatenate([times, count])).astype(np.int64)
    of_bins = _bins(distinct)
    before = (ends - counts)[of_bins]  # values below the bin of each distinct value
    firsts = np.cumsum(times) - times
    start = firsts[np.searchsorted(of_bins, of_bins)]  # the same among the kept values
    until = before + firsts - start + times
    return np.asarray(distinct[np.searchsorted(until, ranks, side="right")])


def _bins(values: Floats) -> Ints:
    """The first bits of each value as a number in the order of the values."""
    bits = (values + 0.0).view(np.uint64)
    ordered = np.where(bits & SIGN, ~bits, bits | SIGN)
    return (ordered >> np.uint64(64 - BITS)).astype(np.int64)


def _known(rows: RowsByPart, column: str) -> Iterator[Floats]:
    return (values[~np.isnan(values)] for values in (part[column].to_numpy(dtype=np.float64) for part in rows))
