"""Drift: whether the values that are asked now have another distribution than the training rows. Pure.

A column has drifted if its population stability index is above the limit, and above that of every window as long
in the training rows (a promotion or a holiday comes and goes by nature), and if a two-sample test agrees.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lockgate.bundle.snapshot import MISSING, Distribution, Snapshot, forecast_values, stability_index
from lockgate.monitoring.live import Live
from lockgate.problem.params import DriftRule


@dataclass(frozen=True)
class ColumnDrift:
    """A column: its stability index, the limit that it must exceed, and the corrected p-value of the two-sample test.

    `drifted` is None with too few rows.
    """

    name: str
    rows: int
    index: float
    limit: float
    p_value: float
    drifted: bool | None


@dataclass(frozen=True)
class Drift:
    """The drift of each column and of the forecasts in one window."""

    columns: tuple[ColumnDrift, ...]

    @property
    def broken(self) -> bool | None:
        """Whether a column has drifted; None if no column has enough rows."""
        known = [column.drifted for column in self.columns if column.drifted is not None]
        return any(known) if known else None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns that have drifted."""
        return tuple(column.name for column in self.columns if column.drifted)


def drift(snapshot: Snapshot, live: Live, rule: DriftRule, min_rows: int) -> Drift:
    """The drift of the rows of one window against the snapshot; a row that was asked several times counts once."""
    asked = live.where(~live.about.duplicated(["key", "period"], keep="last").to_numpy())
    periods = int(asked.about["period"].nunique()) if live.problem.kind == "panel" else 0
    pairs = [(each, asked.rows[each.name]) for each in snapshot.columns if each.name in asked.rows]
    if snapshot.forecasts:
        pairs.append((snapshot.forecasts, forecast_values(asked.forecast, asked.classes)))
    return Drift(tuple(_column(each, values, periods, (rule, min_rows, len(pairs))) for each, values in pairs))


def _column(
    before: Distribution, values: "pd.Series[Any]", periods: int, terms: tuple[DriftRule, int, int]
) -> ColumnDrift:
    rule, min_rows, columns = terms
    after, rows = before.counted(values), len(values)
    index = stability_index(np.asarray(before.counts), after)
    limit = max(rule.index, before.usual_index(periods), by_chance(before.counts, rows))
    if rows < min_rows:
        return ColumnDrift(before.name, rows, index, limit, float("nan"), None)
    p_value = min(1.0, columns * two_sample(before, values, after))  # Bonferroni
    return ColumnDrift(before.name, rows, index, limit, p_value, bool(index > limit and p_value < rule.significance))


def by_chance(counts: Sequence[int], rows: int) -> float:
    """The index that rows of the same distribution hardly exceed: its mean and two standard deviations."""
    bins = sum(1 for count in counts if count)
    return float((bins + 2 * (2 * bins) ** 0.5) * (1 / max(1, sum(counts)) + 1 / max(1, rows)))


def two_sample(before: Distribution, values: "pd.Series[Any]", after: Any) -> float:
    """The p-value of a two-sample test: of chi-square for texts; for numbers the smaller of two, doubled.

    These are the test of Kolmogorov and Smirnov for the numbers, and chi-square for the share of missing values.
    """
    both = np.array([before.counts, after])
    if not before.is_number:
        return chi_square(both)
    missing = chi_square(np.column_stack([both[:, MISSING], both.sum(axis=1) - both[:, MISSING]]))
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return missing
    from scipy import stats

    return min(1.0, 2 * min(float(stats.ks_2samp(before.points, numbers).pvalue), missing))


def chi_square(counts: Any) -> float:
    """The p-value of two rows of counts; 1 where they have one column with rows."""
    from scipy import stats

    some = counts[:, counts.sum(axis=0) > 0]
    return float(stats.chi2_contingency(some).pvalue) if some.shape[1] > 1 else 1.0
