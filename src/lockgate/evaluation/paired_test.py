"""Paired test of two forecasts on the same rows: overall and on each slice."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.evaluation import bootstrap, slices
from lockgate.evaluation.bootstrap import Difference
from lockgate.evaluation.slices import Slice
from lockgate.problem.columns import KEY, TARGET, TIME
from lockgate.problem.metrics import rmspe, scored

Floats = NDArray[np.float64]

SEED = 1  # the same rows and forecasts give the same interval
FEWEST_ROWS = 200  # of a slice: a difference of about 0.005 can be detected with this number
FEWEST_STORES = 10  # of a slice: with fewer stores, the bootstrap draws the same stores too often


@dataclass(frozen=True)
class SliceDifference(Slice):
    """A slice, and the candidate's RMSPE on its rows minus the reference's."""

    difference: Difference


@dataclass(frozen=True)
class PairedTest:
    """The RMSPE of a candidate and of a reference on the same rows with sales.

    NaN if a forecast is no number, or if there is no row. `left_out` names the slices with too few rows or stores.
    """

    candidate_rmspe: float
    reference_rmspe: float
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


def compare(rows: pd.DataFrame, candidate: Floats, reference: Floats, ways: Sequence[str] = ()) -> PairedTest:
    """Test two forecasts of rows with key, time and target, and with the columns of the ways to slice."""
    counts = scored(rows[TARGET])
    sold = rows[counts]
    errors = _Errors.of(sold, candidate[counts], reference[counts])
    tested, left_out = [], []
    for part, chosen in slices.split(sold, ways):
        own = errors.where(chosen)
        if part.rows >= FEWEST_ROWS and len(np.unique(own.store)) >= FEWEST_STORES:
            tested.append(SliceDifference(part.by, part.value, part.rows, own.difference()))
        else:
            left_out.append(part.name)
    return PairedTest(
        rmspe(rows[TARGET], candidate),
        rmspe(rows[TARGET], reference),
        int(counts.sum()),
        errors.difference(),
        tuple(tested),
        tuple(left_out),
    )


def rmspe_interval(rows: pd.DataFrame, forecast: Floats) -> tuple[float, float]:
    """The bootstrap 95 % interval of the RMSPE on rows with key, time and target; NaN if no row can be scored."""
    counts = scored(rows[TARGET])
    errors = _Errors.of(rows[counts], forecast[counts], forecast[counts])
    if not (len(errors.day) and np.isfinite(errors.candidate).all()):
        return float("nan"), float("nan")
    return bootstrap.rmspe_interval(bootstrap.sums(errors.candidate, errors.store, errors.day), SEED)


@dataclass(frozen=True)
class _Errors:
    """Percentage errors of both forecasts on the same rows."""

    candidate: Floats
    reference: Floats
    store: NDArray[np.int64]
    day: NDArray[np.int64]

    @classmethod
    def of(cls, rows: pd.DataFrame, candidate: Floats, reference: Floats) -> "_Errors":
        sales = rows[TARGET].to_numpy(dtype=np.float64)
        day = rows[TIME].to_numpy().astype("datetime64[D]").astype(np.int64)
        return cls(candidate / sales - 1, reference / sales - 1, rows[KEY].to_numpy(dtype=np.int64), day)

    def where(self, chosen: NDArray[np.bool_]) -> "_Errors":
        return _Errors(self.candidate[chosen], self.reference[chosen], self.store[chosen], self.day[chosen])

    def difference(self) -> Difference:
        return bootstrap.difference((self.candidate, self.reference), self.store, self.day, SEED)
