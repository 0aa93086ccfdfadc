"""Statistics of how the forecasts of two versions differ: overall, by slice, and the rows that differ most.

A pair of forecasts is a row with Store, Date, Promo, StoreType, week, first, second and Sales (NaN where unknown).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.problem import metrics

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
    """How far forecasts are from what was sold, over the rows with sales."""

    rows: int
    rmspe: float
    mae: float
    bias: float


@dataclass(frozen=True)
class Scored:
    """Both on the same rows with sales."""

    first: Score
    second: Score


@dataclass(frozen=True)
class Slice:
    """The rows of one store type, promo, weekday or week of the horizon; `scored` is None without sales."""

    by: str
    value: str
    rows: int
    mean: float
    mean_absolute: float
    scored: Scored | None


@dataclass(frozen=True)
class Apart:
    """A row on which the two are far apart."""

    store: int
    date: str
    first: float
    second: float
    difference: float
    sales: float | None


@dataclass(frozen=True)
class Agreement:
    """What two forecasts have in common, over the rows that both can forecast.

    `both_zero` counts the rows, closed stores mostly, for which both say 0: they agree and say nothing, and are in
    none of the differences.
    """

    rows: int
    both_zero: int
    spread: Spread | None
    slices: tuple[Slice, ...]
    farthest: tuple[Apart, ...]
    scored: Scored | None


def agreement(pairs: pd.DataFrame) -> Agreement:
    """Weigh two forecasts against each other."""
    open_days = telling(pairs)
    return Agreement(
        rows=len(pairs),
        both_zero=len(pairs) - len(open_days),
        spread=_spread(open_days["difference"].to_numpy()) if len(open_days) else None,
        slices=tuple(_slices(open_days)),
        farthest=tuple(_farthest(open_days)),
        scored=_scored(pairs),
    )


def telling(pairs: pd.DataFrame) -> pd.DataFrame:
    """The rows for which not both say 0, with their relative difference."""
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


def _slices(rows: pd.DataFrame) -> Iterator[Slice]:
    for by, values in _slicings(rows).items():
        for value, part in rows.groupby(values):
            yield Slice(
                by, str(value), len(part), float(part["difference"].mean()), float(part["difference"].abs().mean()),
                _scored(part),
            )  # fmt: skip


def _slicings(rows: pd.DataFrame) -> dict[str, "pd.Series[object]"]:
    weekdays = rows["Date"].dt.day_of_week + 1
    return {"store type": rows["StoreType"], "promo": rows["Promo"], "weekday": weekdays, "week": rows["week"]}


def _farthest(rows: pd.DataFrame) -> Iterator[Apart]:
    far = rows.assign(size=rows["difference"].abs()).sort_values(
        ["size", "Store", "Date"], ascending=[False, True, True]
    )
    for row in far.head(FARTHEST).itertuples():
        sales = None if np.isnan(row.Sales) else float(row.Sales)
        yield Apart(int(row.Store), f"{row.Date:%Y-%m-%d}", row.first, row.second, row.difference, sales)


def _scored(rows: pd.DataFrame) -> Scored | None:
    sales = rows["Sales"].to_numpy(dtype=np.float64)
    count = int(metrics.scored(sales).sum())
    if not count:
        return None
    first, second = (
        Score(count, metrics.rmspe(sales, forecast), metrics.mae(sales, forecast), metrics.bias(sales, forecast))
        for forecast in (rows["first"].to_numpy(), rows["second"].to_numpy())
    )
    return Scored(first, second)
