"""Paired test of two forecasts on the same rows: overall and on each slice."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.evaluation import bootstrap, slices
from lockgate.evaluation.bootstrap import Difference, Rows
from lockgate.evaluation.slices import WEEK, Slice
from lockgate.problem.columns import KEY, OPEN, TARGET, TIME
from lockgate.problem.metrics import Metric

Floats = NDArray[np.float64]

SEED = 1  # the same rows and forecasts give the same interval
FEWEST_ROWS = 200  # of a slice: a difference of about 0.005 can be detected with this number
FEWEST_STORES = 10  # of a slice: with fewer stores, the bootstrap draws the same stores too often


@dataclass(frozen=True)
class SliceDifference(Slice):
    """A slice, and how much worse the candidate's score is than that of the reference on its rows."""

    difference: Difference


@dataclass(frozen=True)
class PairedTest:
    """The scores of a candidate and of a reference on the same rows, and how much worse the candidate is.

    NaN if a forecast is no number, or if there is no row. `left_out` names the slices with too few rows or stores, and
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


def compare(
    metric: Metric, rows: pd.DataFrame, candidate: Floats, reference: Floats, ways: Sequence[str] = ()
) -> PairedTest:
    """Test two forecasts of rows with key, time, target, OPEN and the columns of the ways to slice."""
    counts = scored_rows(metric, rows)
    kept, ours, theirs = rows[counts], candidate[counts], reference[counts]
    scored = _bootstrap_rows(kept)

    def difference(chosen: NDArray[np.bool_]) -> Difference:
        return bootstrap.difference(metric, scored.where(chosen), ours[chosen], theirs[chosen], SEED)

    tested, left_out = [], []
    for part, chosen in slices.split(kept, ways):
        found = difference(chosen)
        is_large = part.rows >= FEWEST_ROWS and len(np.unique(scored.key[chosen])) >= FEWEST_STORES
        if is_large and np.isfinite(found.error):
            tested.append(SliceDifference(part.by, part.value, part.rows, found))
        else:
            left_out.append(part.name)
    return PairedTest(
        metric.score(scored.actual, ours),
        metric.score(scored.actual, theirs),
        len(kept),
        difference(np.ones(len(kept), dtype=np.bool_)),
        tuple(tested),
        tuple(left_out),
    )


def interval(metric: Metric, rows: pd.DataFrame, forecast: Floats) -> tuple[float, float]:
    """The bootstrap 95 % interval of the score on rows with key, time, target and OPEN; NaN if there is no score."""
    counts = scored_rows(metric, rows)
    return bootstrap.interval(metric, _bootstrap_rows(rows[counts]), forecast[counts], SEED)


def scored_rows(metric: Metric, rows: pd.DataFrame) -> NDArray[np.bool_]:
    """The rows that are scored: those of open stores that count for the metric. A closed store sells 0 by rule."""
    sales = rows[TARGET].to_numpy(dtype=np.float64)
    return np.asarray((rows[OPEN] != 0).to_numpy(dtype=np.bool_) & metric.scored(sales))


def _bootstrap_rows(rows: pd.DataFrame) -> Rows:
    sales, store = rows[TARGET].to_numpy(dtype=np.float64), rows[KEY].to_numpy(dtype=np.int64)
    return Rows(sales, store, rows[TIME].to_numpy().astype("datetime64[D]").astype(np.int64), WEEK)
