"""Drift between two parts of a table: the population stability index of a column."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BINS = 10
SPREAD = 0.5  # rows added to each bin, so that an empty bin has a logarithm
NOTED, LARGE = 0.1, 0.25  # usual limits of the index
MOST_CATEGORIES = 50


def stability_index(before: "pd.Series[Any]", after: "pd.Series[Any]") -> float:
    """The population stability index: sum over bins of (share after - before) x log(share after / before).

    Numbers and dates are put into ten bins by the quantiles of `before`; texts into the most frequent ones, and the
    rest. Missing values are a bin of their own.
    """
    codes = _codes(before, after)
    counts = [np.bincount(part, minlength=int(max(each.max(initial=0) for each in codes)) + 1) for part in codes]
    first, second = ((each + SPREAD) / (each + SPREAD).sum() for each in counts)
    return float(((second - first) * np.log(second / first)).sum())


def by_chance(before: int, after: int) -> float:
    """The index that two parts of one distribution hardly exceed, by their rows: mean and two deviations, ten bins."""
    spread: float = (2.0 * BINS) ** 0.5
    return (BINS + 2 * spread) * (1 / max(1, before) + 1 / max(1, after))


def _codes(before: "pd.Series[Any]", after: "pd.Series[Any]") -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if before.dtype.kind not in "biufM":
        frequent = list(before.value_counts().index[:MOST_CATEGORIES])
        place = {text: number + 2 for number, text in enumerate(frequent)}
        return _of_texts(before, place), _of_texts(after, place)
    first, second = (numbers_of(part) for part in (before, after))
    edges = (
        np.unique(np.nanquantile(first, np.linspace(0, 1, BINS + 1)[1:-1])) if np.isfinite(first).any() else first[:0]
    )
    return _of_numbers(first, edges), _of_numbers(second, edges)


def numbers_of(column: "pd.Series[Any]") -> NDArray[np.float64]:
    """Numbers as they are, dates as seconds, texts as codes; NaN is missing."""
    if column.dtype.kind == "M":
        seconds = column.to_numpy().astype("datetime64[s]")
        numbers, missing = seconds.astype(np.int64), np.isnat(seconds)
    elif column.dtype.kind in "biuf":
        numbers, missing = column.to_numpy(), column.isna().to_numpy()
    else:
        numbers, _ = pd.factorize(column)
        missing = numbers < 0
    found: NDArray[np.float64] = numbers.astype(np.float64)
    found[missing] = np.nan
    return found


def _of_texts(column: "pd.Series[Any]", place: dict[Any, int]) -> NDArray[np.int64]:
    """0: missing, 1: any other text."""
    return np.array([0 if pd.isna(text) else place.get(text, 1) for text in column], dtype=np.int64)


def _of_numbers(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """0: missing."""
    bins = np.searchsorted(edges, values, side="left") + 1
    bins[~np.isfinite(values)] = 0
    return bins.astype(np.int64)
