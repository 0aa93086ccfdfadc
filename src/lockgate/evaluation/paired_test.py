"""Paired test of two forecasts on the same rows: overall and on each slice."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.evaluation import bootstrap
from lockgate.evaluation.bootstrap import Difference
from lockgate.problem.metrics import rmspe, scored

Floats = NDArray[np.float64]

SEED = 1  # the same rows and forecasts give the same interval
FEWEST_ROWS = 200  # of a slice: a difference of 0.005 is about what so many rows can tell
FEWEST_STORES = 10  # of a slice: from fewer, a bootstrap over stores draws the same ones again and again


@dataclass(frozen=True)
class Slice:
    """Some of the rows, and by how much our RMSPE is above theirs on them."""

    name: str
    rows: int
    difference: Difference


@dataclass(frozen=True)
class Contest:
    """Our RMSPE and theirs on the rows with sales; NaN where a forecast is no number, or no row is left.

    `left_out` names the slices that have too few rows or stores to say anything.
    """

    ours: float
    theirs: float
    rows: int
    difference: Difference
    slices: tuple[Slice, ...] = ()
    left_out: tuple[str, ...] = ()

    def interval(self, part: Slice) -> tuple[float, float]:
        """The interval of a slice's difference; those of all slices hold at once."""
        return part.difference.interval(len(self.slices))

    @property
    def worst(self) -> Slice | None:
        """The slice that is most surely worse."""
        return max(self.slices, key=lambda part: self.interval(part)[0], default=None)


def labels(history: pd.DataFrame, stores: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Which slices each row belongs to, a column for each way to slice; missing where nobody knows, like a new store's
    size. A store is large if its median past sales are above those of the median store.
    """
    attributes = stores.set_index("Store")
    usual = history[history["Sales"] > 0].groupby("Store")["Sales"].median()
    size = (usual > usual.median()).map({True: "large stores", False: "small stores"})
    week = (rows["Date"] - rows["Date"].min()).dt.days // bootstrap.WEEK + 1
    return pd.DataFrame(
        {
            "store type": "store type " + rows["Store"].map(attributes["StoreType"]),
            "assortment": "assortment " + rows["Store"].map(attributes["Assortment"]),
            "promo": rows["Promo"].map({0: "no promo", 1: "promo"}),
            "week": "week " + week.astype(str),
            "size": rows["Store"].map(size),
        }
    )


def contest(rows: pd.DataFrame, ours: Floats, theirs: Floats, slicing: pd.DataFrame | None = None) -> Contest:
    """Hold forecasts against each other on rows with Store, Date and Sales; `slicing` is what `labels` says of them."""
    counts = scored(rows["Sales"])
    errors = _Errors.of(rows[counts], ours[counts], theirs[counts])
    found = [] if slicing is None else list(_slices(errors, slicing[counts]))
    return Contest(
        rmspe(rows["Sales"], ours),
        rmspe(rows["Sales"], theirs),
        int(counts.sum()),
        errors.difference(),
        tuple(part for part in found if isinstance(part, Slice)),
        tuple(part for part in found if isinstance(part, str)),
    )


def rmspe_interval(rows: pd.DataFrame, forecast: Floats) -> tuple[float, float]:
    """The bootstrap 95 % interval of the RMSPE on rows with Store, Date and Sales; NaN if no row can be scored."""
    counts = scored(rows["Sales"])
    errors = _Errors.of(rows[counts], forecast[counts], forecast[counts])
    if not (len(errors.day) and np.isfinite(errors.ours).all()):
        return float("nan"), float("nan")
    return bootstrap.rmspe_interval(bootstrap.sums(errors.ours, errors.store, errors.day), SEED)


@dataclass(frozen=True)
class _Errors:
    """Percentage errors of both on the same rows."""

    ours: Floats
    theirs: Floats
    store: NDArray[np.int64]
    day: NDArray[np.int64]

    @classmethod
    def of(cls, rows: pd.DataFrame, ours: Floats, theirs: Floats) -> "_Errors":
        sales = rows["Sales"].to_numpy(dtype=np.float64)
        day = rows["Date"].to_numpy().astype("datetime64[D]").astype(np.int64)
        return cls(ours / sales - 1, theirs / sales - 1, rows["Store"].to_numpy(dtype=np.int64), day)

    def where(self, chosen: NDArray[np.bool_]) -> "_Errors":
        return _Errors(self.ours[chosen], self.theirs[chosen], self.store[chosen], self.day[chosen])

    def difference(self) -> Difference:
        return bootstrap.difference((self.ours, self.theirs), self.store, self.day, SEED)


def _slices(errors: _Errors, slicing: pd.DataFrame) -> Iterator[Slice | str]:
    """Each slice, or its name alone where it is too small."""
    for _, column in slicing.items():
        for name in sorted(column.dropna().unique()):
            part = errors.where((column == name).to_numpy(dtype=np.bool_))
            enough = len(part.store) >= FEWEST_ROWS and len(np.unique(part.store)) >= FEWEST_STORES
            yield Slice(str(name), len(part.store), part.difference()) if enough else str(name)
