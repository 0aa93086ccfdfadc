"""Paired test of two forecasts on the same rows: overall and on each slice."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data.rows_by_part import Rows as TableRows
from lockgate.evaluation import bootstrap
from lockgate.evaluation.bootstrap import Difference, Rows
from lockgate.evaluation.slices import Parts, Slice
from lockgate.models import baselines
from lockgate.models.baselines import Scales
from lockgate.problem.description import Problem
from lockgate.problem.metrics import Metric
from lockgate.problem.target_values import outside_where, target_values

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SEED = 1  # the same rows and forecasts give the same interval
FEWEST_ROWS = 200  # of a slice: a difference of about 0.005 can be detected with this number
FEWEST_KEYS = 10  # of a slice: with fewer keys, the bootstrap draws the same keys too often


@dataclass(frozen=True)
class SliceDifference(Slice):
    """A slice, and how much worse the candidate's score is than that of the reference on its rows."""

    difference: Difference


@dataclass(frozen=True)
class PairedTest:
    """The scores of a candidate and of a reference on the same rows, and how much worse the candidate is.

    NaN if a forecast is no number, or if there is no row. `left_out` names the slices with too few rows or keys, and
    those without a score.
    """

    candidate_score: float
    reference_score: float
    rows: int
    difference: Difference
    slices: tuple[SliceDifference, ...] = ()
    left_out: tuple[str, ...] = ()

    def interval(self, part: SliceDifference) -> tuple[float, float]:
        """The interval of a slice's difference; the intervals of all slices hold at once."""
        return part.difference.interval(len(self.slices))

    @property
    def worst(self) -> SliceDifference | None:
        """The slice with the highest lower bound of the difference."""
        return max(self.slices, key=lambda part: self.interval(part)[0], default=None)


@dataclass(frozen=True)
class Actual:
    """Rows of a holdout as the metric counts them.

    `counts` marks the rows that are scored: those that `where` keeps and that the metric counts. `rows` holds only
    these rows: their target, their key and their period, for the bootstrap.
    """

    metric: Metric
    counts: Bools
    rows: Rows

    @classmethod
    def of(
        cls,
        problem: Problem,
        metric: Metric,
        rows: pd.DataFrame,
        classes: Sequence[str] = (),
        history: TableRows | Scales | None = None,
    ) -> "Actual":
        """The rows of a frame with the columns of the problem; `classes` are those of the forecasts.

        `history` are the training rows, or the scales of their keys, which MASE needs.
        """
        target = target_values(problem, rows[problem.target], classes)
        counts = ~outside_where(problem, rows) & metric.scored(target)
        unit = baselines.units_of(problem, metric, history, rows[counts])
        return cls(metric, counts, replace(bootstrap_rows(problem, rows[counts], target[counts]), unit=unit))

    def score(self, forecast: Floats) -> float:
        """The score of forecasts of all rows."""
        return self.rows.score(self.metric, forecast[self.counts])

    def interval(self, forecast: Floats) -> tuple[float, float]:
        """The bootstrap 95 % interval of the score of forecasts of all rows; NaN if there is no score."""
        return bootstrap.interval(self.metric, self.rows, forecast[self.counts], SEED)

    def compare(self, candidate: Floats, reference: Floats, parts: Parts = ()) -> PairedTest:
        """Test two forecasts of all rows; `parts` are slices of all rows."""
        ours, theirs = candidate[self.counts], reference[self.counts]
        tested, left_out = [], []
        for part, in_part in parts:
            chosen = in_part[self.counts]
            found, count = self._difference(ours, theirs, chosen), int(chosen.sum())
            is_large = count >= FEWEST_ROWS and len(np.unique(self.rows.key[chosen])) >= FEWEST_KEYS
            if is_large and np.isfinite(found.error):
                tested.append(SliceDifference(part.by, part.value, count, found))
            elif count:
                left_out.append(part.name)
        return PairedTest(
            self.rows.score(self.metric, ours),
            self.rows.score(self.metric, theirs),
            len(ours),
            self._difference(ours, theirs, np.ones(len(ours), dtype=np.bool_)),
            tuple(tested),
            tuple(left_out),
        )

    def _difference(self, ours: Floats, theirs: Floats, chosen: Bools) -> Difference:
        return bootstrap.difference(self.metric, self.rows.where(chosen), ours[chosen], theirs[chosen], SEED)


def bootstrap_rows(problem: Problem, rows: pd.DataFrame, actual: Floats) -> Rows:
    """The clusters of rows: key and block of time for a panel, key for states, rows for a plain table.

    Rows of a table that is split by group are clusters of their group.
    """
    groups = list(problem.keys)
    if problem.kind == "table":
        split = problem.holdout
        groups = [split.column or problem.keys[0]] if split.by == "group" else []
        if not groups:
            return Rows(actual, np.arange(len(rows)), np.zeros(len(rows), dtype=np.int64))
    key = rows.groupby(groups, dropna=False).ngroup().to_numpy(dtype=np.int64) if groups else np.zeros(len(rows), int)
    if problem.kind != "panel":
        return Rows(actual, key, np.zeros(len(rows), dtype=np.int64))
    return Rows(actual, key, problem.period.number(rows[problem.time_name].to_numpy()), problem.period.block)
