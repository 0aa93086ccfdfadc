"""How far groups of keys and periods of the training rows are from all of them, by the stability index.

The rows of a key are alike in a feature that is made of its history. So some keys differ from all keys by chance, much
more than as many rows of different keys would.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockgate.bundle.stability_index import largest, stability_index

FEWEST = 8  # rows of a group, on average
ROWS = 200  # to which the rows of each group are scaled: the index of rows that are alike depends on their number
MARGIN = 2.0  # other keys may differ more than the groups of the training rows, which are few
UNKNOWN = float("inf")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """The largest index of a group in the training rows of `keys` keys.

    `usual` has it by the keys of a group (1, 2, 4, ..., and all keys of a panel), and then by its periods (1, 2, 4,
    ...; 1 without a shared time).
    """

    keys: int
    usual: Mapping[int, Mapping[int, float]]

    @classmethod
    def of(cls, bins: Ints, key: Ints, period: Ints, count: int) -> "Groups":
        """The groups of rows in `count` bins; keys and periods are numbered from 0."""
        keys, periods = int(key.max(initial=0)) + 1, int(period.max(initial=0)) + 1
        cells = np.bincount((key * periods + period) * count + bins, minlength=keys * periods * count)
        cells = cells.reshape(keys, periods, count)
        numbers = {*_numbers(keys), *([keys] if periods > 1 else [])}
        found = {number: _by_periods(_grouped(cells, number), cells.sum(axis=(0, 1))) for number in sorted(numbers)}
        return cls(keys, {number: usual for number, usual in found.items() if usual})

    @classmethod
    def restored(cls, found: Mapping[str, Any]) -> "Groups":
        """The groups of their JSON."""
        numbers = sorted(map(int, found["usual"]))
        usual = {
            number: {int(each): index for each, index in found["usual"][str(number)].items()} for number in numbers
        }
        return cls(found["keys"], {number: dict(sorted(by_period.items())) for number, by_period in usual.items()})

    def usual_index(self, keys: int, periods: int) -> float:
        """The index that rows of the same distribution hardly exceed; UNKNOWN for too few keys and periods.

        That of groups of as many periods, and of so few keys that they differ twice as much by chance as other keys do.
        """
        if keys >= self.keys in self.usual:
            return _last_until(self.usual[self.keys], periods)
        fewer = [number for number in self.usual if number * (2 / max(keys, 1) + 3 / self.keys) <= 1]
        return MARGIN * _last_until(self.usual[fewer[-1]], periods) if fewer else UNKNOWN

    def index(self, before: Ints, after: Ints) -> float:
        """The index of other rows in each bin, as that of the groups."""
        return stability_index(_scaled(before), _scaled(after))


def _numbered(found: Mapping[str, Any]) -> dict[int, Any]:
    """A mapping whose keys are numbers, the smallest first."""
    return dict(sorted((int(number), value) for number, value in found.items()))


def _last_until(by_periods: Mapping[int, float], periods: int) -> float:
    known = [index for length, index in by_periods.items() if length <= max(1, periods)]
    return known[-1] if known else UNKNOWN


def _by_periods(of_keys: Ints, whole: Ints) -> dict[int, float]:
    """The largest index of the groups of 1, 2, 4, ... periods, of (groups of keys, periods, bins)."""
    found = {}
    for length in _numbers(of_keys.shape[1]):
        groups = _grouped(of_keys.swapaxes(0, 1), length).reshape(-1, of_keys.shape[2])
        rows, usual = groups.sum(axis=1), groups.sum() / len(groups)
        if usual >= FEWEST:
            found[length] = largest(_scaled(groups[rows >= usual / 2]), _scaled(whole))
    return found


def _numbers(most: int) -> list[int]:
    """1, 2, 4, ...: those of which there are at least two groups."""
    return [2**power for power in range(32) if power == 0 or 2 * 2**power <= most]


def _grouped(cells: Ints, number: int) -> Ints:
    """Sums of `number` neighbours along the first axis; the last ones that are no whole group are left out."""
    whole = len(cells) // number * number
    return np.asarray(cells[:whole].reshape(-1, number, *cells.shape[1:]).sum(axis=1))


def _scaled(counts: Ints) -> Floats:
    """Counts of rows in bins, the last axis, as if there were ROWS of them."""
    return np.asarray(counts * (ROWS / np.maximum(counts.sum(axis=-1, keepdims=True), 1)))
