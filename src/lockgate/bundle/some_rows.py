"""Some rows of a table, evenly spread, as a reference."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.problem.description import Problem

MOST_FORECASTS = 10_000

Ints = NDArray[np.int64]


def some_keys(problem: Problem, rows: pd.DataFrame) -> pd.DataFrame:
    """Whole keys with at most about MOST_FORECASTS rows in all."""
    if not problem.keys or len(rows) <= MOST_FORECASTS:
        return rows.reset_index(drop=True)
    key = rows.groupby(list(problem.keys), sort=True).ngroup().to_numpy()
    keys = int(key.max()) + 1
    return rows[np.isin(key, spread(keys, max(1, keys * MOST_FORECASTS // len(rows))))].reset_index(drop=True)


def spread(count: int, most: int) -> Ints:
    """At most `most` places of a sequence of `count`, evenly spread."""
    return np.unique(np.linspace(0, max(0, count - 1), min(count, most)).round().astype(np.int64))
