"""Statistics of how the forecasts of two versions differ: overall, by slice, and the rows that differ most.

Which of the two is better, and how surely, is tested by `evaluation.paired_test`.

A pair of forecasts is a row with key, time, OPEN, first, second, target (NaN where unknown), and the
columns of the ways to slice (missing where unknown).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.evaluation import paired_test, slices
from lockgate.evaluation.slices import Slice
from lockgate.problem.columns import KEY, TARGET, TIME
from lockgate.problem.metrics import METRICS, Metric, bias

Floats = NDArray[np.float64]

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
NEAR = (0.01, 0.05, 0.10)
FARTHEST = 10


@dataclass(frozen=True)
class Spread:
    """The relative differences (second / first - 1) of some rows."""

    rows: int
    mean: float
    mean_absolute: float
    quantiles: Mapping[float, float]
    near: Mapping[float, float]  # the share of rows that differ by no more than this


@dataclass(frozen=True)
class Score:
    """Scores of forecasts, over the rows that count for the metric; `metric` is the name of that of `score`."""

    rows: int
    metric: str
    score: float
    mae: float
    bias: float


@dataclass(frozen=True)
class PairedScores:
    """The scores of both versions on the same rows."""

    first: Score
    second: Score


@dataclass(frozen=True)
class SliceAgreement(Slice):
    """A slice, and the relative differences on its rows; `scored` is None without sales."""

    mean: float
    mean_absolute: float
    scored: PairedScores | None


@dataclass(frozen=True)
class RowDifference:
    """The two forecasts of a row, and their relative difference."""

    store: int
    date: str
    first: float
    second: float
    difference: float
    sales: float | None


@dataclass(frozen=True)
class Agreement:
    """How two forecasts differ, over the rows that both versions can forecast.

    `both_zero` counts the rows for which both forecast 0, closed stores mostly; they are in none of the differences.
    """

    rows: int
    both_zero: int
    spread: Spread | None
    slices: tuple[SliceAgreement, ...]
    farthest: tuple[RowDifference, ...]
    scored: PairedScores | None


def agreement(pairs: pd.DataFrame, metric: Metric) -> Agreement:
    """The statistics of pairs of forecasts, scored by a metric where the sales are known."""
    open_days = not_both_zero(pairs)
    return Agreement(
        rows=len(pairs),
        both_zero=len(pairs) - len(open_days),
        spread=_spread(open_days["difference"].to_numpy()) if len(open_days) else None,
        slices=tuple(_slices(open_days, metric)),
        farthest=tuple(_farthest(open_days)),
        scored=_scored(pairs, metric),
    )


def not_both_zero(pairs: pd.DataFrame) -> pd.DataFrame:
    """The rows for which not both forecast 0, with their relative difference."""
    rows = pairs[(pairs["first"] != 0) | (pairs["second"] != 0)]
    return rows.assign(difference=relative(rows["first"].to_numpy(), rows["second"].to_numpy()))


def relative(first: Floats, second: Floats) -> Floats:
    """How much higher the second is, as a share of the first; a first below 1 counts as 1."""
    return np.asarray((second - first) / np.maximum(np.abs(first), 1.0))


def _spread(differences: Floats) -> Spread:
    size = np.abs(differences)
    found = np.quantile(differences, QUANTILES)
    return Spread(
        rows=len(differences),
        mean=float(differences.mean()),
        mean_absolute=float(size.mean()),
        quantiles=dict(zip(QUANTILES, found.tolist(), strict=True)),
        near={limit: float((size <= limit).mean()) for limit in NEAR},
    )


def _slices(rows: pd.DataFrame, metric: Metric) -> Iterator[SliceAgreement]:
    for part, chosen in slices.split(rows, slices.IN_COMPARISON):
        own = rows[chosen]
        mean, mean_absolute = float(own["difference"].mean()), float(own["difference"].abs().mean())
        yield SliceAgreement(part.by, part.value, part.rows, mean, mean_absolute, _scored(own, metric))


def _farthest(rows: pd.DataFrame) -> Iterator[RowDifference]:
    far = rows.assign(distance=rows["difference"].abs()).sort_values(
        ["distance", KEY, TIME], ascending=[False, True, True]
    )
    for row in far.head(FARTHEST).to_dict("records"):
        sales = None if np.isnan(row[TARGET]) else float(row[TARGET])
        date = f"{row[TIME]:%Y-%m-%d}"
        yield RowDifference(int(row[KEY]), date, row["first"], row["second"], row["difference"], sales)


def _scored(rows: pd.DataFrame, metric: Metric) -> PairedScores | None:
    scored = rows[paired_test.scored_rows(metric, rows)]
    if scored.empty:
        return None
    first, second = (_score(scored[TARGET], scored[forecast], metric) for forecast in ("first", "second"))
    return PairedScores(first, second)


def _score(sales: "pd.Series[float]", forecast: "pd.Series[float]", metric: Metric) -> Score:
    return Score(
        len(sales),
        metric.name,
        metric.score(sales, forecast),
        METRICS["mae"].score(sales, forecast),
        bias(sales, forecast),
    )
