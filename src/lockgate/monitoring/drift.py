"""Drift: whether the values that are asked now have another distribution than the training rows. Pure.

A column has drifted if its population stability index is above the limit, and above that of every window as long
in the training rows (a promotion or a holiday comes and goes by nature), and if a two-sample test agrees. Features that
the version computes are compared in the same way; the rows of a key are alike, so the groups of the training rows
have about as many keys, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lockgate.bundle.distribution import MISSING, Distribution
from lockgate.bundle.feature_snapshot import Features, rounded
from lockgate.bundle.snapshot import Snapshot, forecast_values
from lockgate.monitoring.live import Live
from lockgate.monitoring.live_features import LiveFeatures, newest
from lockgate.problem.params import DriftRule

BOTH = 2  # columns of counts
FEWEST_EXPECTED = 5  # rows of a cell, for chi-square


@dataclass(frozen=True)
class ColumnDrift:
    """A column: its stability index, the limit that it must exceed, and the corrected p-value of the two-sample test.

    `drifted` is None with too few rows, or with too few keys or periods of a feature. `origin` is that of a feature.
    """

    name: str
    rows: int
    index: float
    limit: float
    p_value: float
    drifted: bool | None
    origin: str = ""

    @property
    def label(self) -> str:
        """The name, and the origin of a feature that is named otherwise."""
        return f"{self.name} ({self.origin})" if self.origin not in ("", self.name) else self.name


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
        """The names of the columns that have drifted, with the origin of a feature."""
        return tuple(column.label for column in self.columns if column.drifted)


@dataclass(frozen=True)
class _Asked:
    """The rows, keys and periods of a window, and the terms: the rule, the fewest rows, the columns in all."""

    rows: int
    keys: int
    periods: int
    terms: tuple[DriftRule, int, int]

    @classmethod
    def of(cls, live: Live, terms: tuple[DriftRule, int, int]) -> "_Asked":
        periods = int(live.about["period"].nunique()) if live.problem.kind == "panel" else 0
        return cls(len(live), int(live.about["key"].nunique()), periods, terms)


def drift(snapshot: Snapshot, live: Live, rule: DriftRule, min_rows: int) -> Drift:
    """The drift of the rows of one window against the snapshot; a row that was asked several times counts once."""
    asked = live.where(newest(live))
    pairs = [(each, asked.rows[each.name]) for each in snapshot.columns if each.name in asked.rows]
    if snapshot.forecasts:
        pairs.append((snapshot.forecasts, forecast_values(asked.forecast, asked.classes)))
    given = _Asked.of(asked, (rule, min_rows, len(pairs)))
    return Drift(tuple(_column(each, values, given) for each, values in pairs))


def feature_drift(features: Features, asked: LiveFeatures, rule: DriftRule, min_rows: int) -> Drift:
    """The drift of the computed features of one window; a row that was asked several times counts once."""
    once = asked.where(newest(asked.live))
    given = _Asked.of(once.live, (rule, min_rows, len(features.compared)))
    place = {name: number for number, name in enumerate(once.names)}
    nothing = np.empty(0)
    found = (
        replace(
            _column(each, pd.Series(rounded(once.values[:, place[each.name]] if len(once.live) else nothing)), given),
            origin=origin,
        )
        for each, origin in zip(features.compared, features.origins, strict=True)
    )
    return Drift(tuple(found))


def _column(before: Distribution, values: "pd.Series[Any]", asked: _Asked) -> ColumnDrift:
    rule, min_rows, columns = asked.terms
    after, rows = before.counted(values), asked.rows
    index = before.index(after)
    limit = max(rule.index, before.usual_index(asked.periods, asked.keys), by_chance(before.counts, rows))
    if rows < min_rows or not np.isfinite(limit):
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
    """The p-value of two rows of counts; 1 where they have one column with rows. Exact for two columns of which one is
    rare, where chi-square is too small.
    """
    from scipy import stats

    some = counts[:, counts.sum(axis=0) > 0]
    if some.shape[1] < BOTH:
        return 1.0
    if some.shape[1] == BOTH and stats.contingency.expected_freq(some).min() < FEWEST_EXPECTED:
        return float(stats.fisher_exact(some).pvalue)
    return float(stats.chi2_contingency(some).pvalue)
