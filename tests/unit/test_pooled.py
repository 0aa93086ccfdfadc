"""Statistics of rows in parts are those of one array, to the last bit."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from lockgate.data.rows_by_part import RowsByPart
from lockgate.models import pooled

SHARES = (0.0, 0.1, 0.25, 1 / 3, 0.5, 0.9, 1.0)
VALUES = {
    "normal": lambda drawn, count: drawn.normal(size=count),
    "whole numbers": lambda drawn, count: drawn.integers(-3, 4, size=count).astype(np.float64),
    "of any size": lambda drawn, count: np.exp(5 * drawn.normal(size=count)),
    "missing": lambda drawn, count: np.where(drawn.random(count) < 0.3, np.nan, drawn.normal(size=count)),
    "all missing": lambda _, count: np.full(count, np.nan),
}


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("count", [1, 2, 7, 129, 1000, 50_001])
def test_mean_and_quantiles_are_equal_to_the_last_bit(kind, count):
    drawn = np.random.default_rng(count)
    whole = pd.DataFrame({"value": VALUES[kind](drawn, count)})
    ends = [0, *np.sort(drawn.integers(0, count + 1, size=3)), count]  # also parts without a row
    parts = [whole.iloc[start:end] for start, end in pairwise(ends)]
    rows = RowsByPart(tuple((lambda part=part: part) for part in parts))
    known = whole["value"].dropna().to_numpy()
    expected = np.quantile(known, SHARES) if known.size else np.full(len(SHARES), np.nan)
    one = RowsByPart.of(whole)
    for each in (rows, one):
        np.testing.assert_array_equal(pooled.quantiles(each, "value", SHARES), expected)
        np.testing.assert_array_equal(pooled.median(each, "value"), whole["value"].median())
    np.testing.assert_array_equal(pooled.mean(rows, "value"), pooled.mean(one, "value"))
    np.testing.assert_allclose(pooled.mean(one, "value"), whole["value"].mean(), rtol=1e-12, atol=1e-15)
