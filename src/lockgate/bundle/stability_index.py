"""The population stability index: how far rows in bins are from other rows in the same bins."""

import numpy as np
from numpy.typing import NDArray

SPREAD = 0.5  # rows added to each bin, so that an empty bin has a logarithm

Counts = NDArray[np.int64] | NDArray[np.float64]


def stability_index(before: Counts, after: Counts) -> float:
    """The index of the rows in each bin: sum of (share after - before) x log(after / before)."""
    return largest(after[None, :], before)


def largest(windows: Counts, whole: Counts) -> float:
    """The largest index of several windows, (windows, bins), against the whole, (bins,)."""
    first, second = ((each + SPREAD) / (each + SPREAD).sum(axis=-1, keepdims=True) for each in (whole, windows))
    return float(((second - first) * np.log(second / first)).sum(axis=1).max())
