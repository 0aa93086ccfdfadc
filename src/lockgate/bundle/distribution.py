"""The distribution of values: the rows in bins, and how far the rows of a window or of some keys are from all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.bundle.groups import Groups
from lockgate.bundle.stability_index import largest, stability_index

BINS = 10  # of a number, by its quantiles
FEW_VALUES = 20  # a number with at most this many values is counted by value
MOST_VALUES = 50  # texts with a bin of their own
POINTS = 256  # evenly spaced values of a sorted number, for the two-sample test
MISSING, OTHER = 0, 1  # the first bins


Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Distribution:
    """The values of a column in the training rows.

    `counts` are the rows in each bin: missing, other, and then a bin for each text of `texts` or between `edges`.
    `points` are evenly spaced values of the sorted numbers; () for texts. `usual` has, by the length of a window in
    periods, the largest stability index of such a window in the training rows; empty without a shared time. `groups`
    are those of a feature.
    """

    name: str
    counts: tuple[int, ...]
    texts: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    points: tuple[float, ...] = ()
    usual: Mapping[int, float] | None = None
    groups: Groups | None = None

    @property
    def is_number(self) -> bool:
        """Whether the values are compared as numbers."""
        return bool(self.points)

    def bins(self, values: "pd.Series[Any]") -> Ints:
        """The bin of each value."""
        if self.is_number:
            numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64)
            return np.where(np.isfinite(numbers), np.searchsorted(self.edges, numbers, side="left") + 2, MISSING)
        place = {text: number + 2 for number, text in enumerate(self.texts)}
        codes, found = pd.factorize(values)
        known = np.array([*(place.get(text, OTHER) for text in texts_of(found)), MISSING], dtype=np.int64)
        return np.asarray(known[codes])

    def counted(self, values: "pd.Series[Any]") -> Ints:
        """The number of values in each bin."""
        return np.bincount(self.bins(values), minlength=len(self.counts))

    def index(self, after: Ints) -> float:
        """The stability index of other rows in each bin."""
        before = np.array(self.counts, dtype=np.int64)
        return self.groups.index(before, after) if self.groups else stability_index(before, after)

    def usual_index(self, periods: int, keys: int = 0) -> float:
        """The largest index of a window of at most `periods` in the training rows; 0 where it is unknown.

        Of a feature that of a group of keys and periods, infinite where it is unknown.
        """
        if self.groups:
            return self.groups.usual_index(keys, periods)
        known = [index for length, index in (self.usual or {}).items() if length <= max(1, periods)]
        return known[-1] if known else 0.0


def restored(found: Mapping[str, Any]) -> Distribution:
    """The distribution of its JSON."""
    usual = {int(length): index for length, index in found["usual"].items()} if found["usual"] else None
    lists = {name: tuple(found[name]) for name in ("counts", "texts", "edges", "points")}
    groups = Groups.restored(found["groups"]) if found.get("groups") else None
    return Distribution(found["name"], **lists, usual=dict(sorted(usual.items())) if usual else None, groups=groups)


def distribution_of(
    name: str, values: "pd.Series[Any]", periods: Ints | None = None, points: int = POINTS
) -> Distribution:
    """The distribution of a column; `periods` number the period of each row, None without a shared time."""
    known = values.dropna()
    if values.dtype.kind in "iuf" and known.nunique() > FEW_VALUES:
        numbers = np.sort(known.to_numpy(dtype=np.float64))
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, BINS + 1)[1:-1]))
        places = np.linspace(0, len(numbers) - 1, min(points, len(numbers))).round().astype(np.int64)
        empty = Distribution(
            name, (0,) * (len(edges) + 3), edges=tuple(edges.tolist()), points=tuple(numbers[places].tolist())
        )
    else:
        texts = texts_of(known.value_counts().head(MOST_VALUES).index)
        empty = Distribution(name, (0,) * (len(texts) + 2), texts=tuple(sorted(texts)))
    bins = empty.bins(values)
    counts = np.bincount(bins, minlength=len(empty.counts))
    usual = None if periods is None else usual_indices(bins, periods, len(counts))
    return Distribution(name, tuple(counts.tolist()), empty.texts, empty.edges, empty.points, usual)


def usual_indices(bins: Ints, periods: Ints, count: int) -> dict[int, float]:
    """The largest index of a window of 1, 2, 4, ... periods of these rows against all of them."""
    _, place = np.unique(periods, return_inverse=True)
    number = int(place.max(initial=-1)) + 1
    cells = np.bincount(place * count + bins, minlength=number * count).reshape(number, count)
    sums = np.vstack([np.zeros((1, count), dtype=np.int64), np.cumsum(cells, axis=0)])
    lengths = [2**power for power in range(20) if 2 ** (power + 1) <= number]
    return {length: largest(sums[length:] - sums[:-length], sums[-1]) for length in lengths}


def texts_of(values: Any) -> list[str]:
    """Values as texts: 1, 1.0 and "1" are the same text."""
    return [f"{value:.15g}" if isinstance(value, int | float | np.number) else str(value) for value in values]
