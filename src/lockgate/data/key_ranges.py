"""Ranges of keys with about equal numbers of rows: the partitions of a panel that is larger than memory."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ROWS = "rows of a key"  # the column of counts beside the keys

Key = tuple[Any, ...]


@dataclass(frozen=True)
class KeyRange:
    """All keys from `first` on, before `until`; None is without a bound. Keys are compared column by column."""

    number: int
    first: Key | None = None
    until: Key | None = None


def bounds(counts: pd.DataFrame, ranges: Sequence[KeyRange]) -> NDArray[np.int64]:
    """The first row of each range, and the number of rows, among rows that are sorted by key.

    `counts` are the keys of these rows with their numbers of rows. A missing key is after all others.
    """
    rows, keys = counts[ROWS].to_numpy(), [counts[name].to_numpy(dtype=object) for name in counts if name != ROWS]
    before = np.r_[0, np.cumsum(rows)]

    def key(place: int) -> Key:
        return tuple(column[place] for column in keys)

    inner = [bisect_left(range(len(counts)), each.first, key=key) for each in ranges if each.first is not None]
    return np.asarray(before[[0, *inner, len(counts)]], dtype=np.int64)


def counted(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The keys of rows, sorted, each with its number of rows."""
    return rows.groupby(list(keys), dropna=False).size().rename(ROWS).reset_index()


def added(counts: Sequence[pd.DataFrame], keys: Sequence[str]) -> pd.DataFrame:
    """The keys of several tables, sorted, each with its number of rows in all of them."""
    return pd.concat(counts).groupby(list(keys), dropna=False, as_index=False)[ROWS].sum()


def ranges(counts: pd.DataFrame, target: int) -> tuple[KeyRange, ...]:
    """Ranges of about the same number of rows: at most `target` and those of one more key.

    They depend on the keys and their numbers of rows only.
    """
    rows = counts[ROWS].to_numpy()
    before = np.cumsum(rows) - rows
    wanted = max(1, -(-int(rows.sum()) // target))
    begins = np.flatnonzero(np.diff(before * wanted // max(1, int(rows.sum())), prepend=0) > 0)
    known = counts.drop(columns=ROWS)
    begins = begins[known.iloc[begins].notna().all(axis=1).to_numpy()]
    bounds: list[Key | None] = [None, *known.iloc[begins].itertuples(index=False, name=None), None]
    return tuple(KeyRange(number, first, until) for number, (first, until) in enumerate(pairwise(bounds)))
