"""Missing rows of a panel: periods for which a key has no row, also before its first row and after its last one.

The gaps of parts with different keys add up to those of the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.problem.description import Problem

LISTED_GAPS = 10


@dataclass(frozen=True)
class Gaps:
    """The number of keys with a gap, and each stretch of missing periods (by number) with the number of its keys."""

    keys: int
    stretches: pd.DataFrame  # first, last, keys

    @classmethod
    def of(cls, problem: Problem, rows: pd.DataFrame, ends: tuple[int, int] | None = None) -> "Gaps":
        """The gaps of rows that are sorted by key and time.

        `ends` are the first and last period of all data; without them, of these rows.
        """
        number = problem.period.number(rows[problem.time_name].to_numpy())
        runs = _runs(_places(problem, rows), number, ends or (int(number.min()), int(number.max())))
        stretches = runs.groupby(["first", "last"], as_index=False).agg(keys=("key", "size"))
        return cls(int(runs["key"].nunique()), stretches)

    def card(self, problem: Problem) -> dict[str, Any]:
        """The gaps as a JSON value; at most LISTED_GAPS are listed, those of most keys first."""
        found = self.stretches.assign(periods=self.stretches["last"] - self.stretches["first"] + 1)
        listed = found.sort_values(["keys", "periods", "first"], ascending=[False, False, True]).head(LISTED_GAPS)
        text = problem.period.text
        return {
            "missing_rows": int((found["periods"] * found["keys"]).sum()),
            "keys": self.keys,
            "longest_periods": int(found["periods"].max()) if len(found) else 0,
            "listed": [
                {"first": text(int(gap.first)), "last": text(int(gap.last)), "keys": int(gap.keys)}
                for gap in listed.itertuples()
            ],
        }


def added(parts: Sequence[Gaps]) -> Gaps:
    """The gaps of a table from those of its parts."""
    stretches = pd.concat([part.stretches for part in parts]).groupby(["first", "last"], as_index=False).sum()
    return Gaps(sum(part.keys for part in parts), stretches)


def _places(problem: Problem, rows: pd.DataFrame) -> NDArray[np.int64]:
    if not problem.keys:
        return np.zeros(len(rows), dtype=np.int64)
    return np.asarray(rows.groupby(list(problem.keys)).ngroup())


def _runs(key: NDArray[np.int64], number: NDArray[np.int64], ends: tuple[int, int]) -> pd.DataFrame:
    """One row per key and stretch of missing periods: place of the key, first, last."""
    starts, stops = np.r_[True, key[1:] != key[:-1]], np.r_[key[1:] != key[:-1], True]
    before = np.where(starts, ends[0] - 1, np.r_[0, number[:-1]])  # the previous period of the key
    inner, tail = number - before > 1, stops & (number < ends[1])
    return pd.DataFrame(
        {
            "key": np.r_[key[inner], key[tail]],
            "first": np.r_[before[inner], number[tail]] + 1,
            "last": np.r_[number[inner] - 1, np.full(tail.sum(), ends[1])],
        }
    )
