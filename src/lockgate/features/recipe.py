"""The interface of a recipe: `fit(table, cutoffs, horizon)` gives states, and a state transforms rows into a matrix.

Training, forecaster, bundle and leakage check use the features of the ensemble through this interface only. So the
leakage check can fit any recipe again on a changed table: docs/decisions/one-interface-of-recipes.md.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.known_inputs import KnownInputs, StoreAttributes, panel_rows
from lockgate.features.panel import Panel, panel

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SERVED_HORIZONS = 2  # a version serves after its holdout is over
RIDGE = "ridge"  # the offset that is also a forecast, and so a member of the blend


@dataclass(frozen=True)
class Matrix:
    """Features of rows, and the offsets (log sales) that boosters start from."""

    values: NDArray[np.float32]  # (rows, names)
    names: tuple[str, ...]
    offsets: Mapping[str, Floats]  # by name; one entry a row

    def take(self, which: NDArray[np.int64]) -> "Matrix":
        """Some of the rows, by place."""
        offsets = {name: offset[which] for name, offset in self.offsets.items()}
        return Matrix(self.values[which], self.names, offsets)

    @classmethod
    def join(cls, parts: Sequence["Matrix"]) -> "Matrix":
        """All rows of several matrices of one recipe."""
        names, offsets = parts[0].names, parts[0].offsets
        return cls(
            np.concatenate([part.values for part in parts]),
            names,
            {name: np.concatenate([part.offsets[name] for part in parts]) for name in offsets},
        )


@dataclass(frozen=True)
class Table:
    """The rows of a table, laid out as stores x days, and the attributes of the stores."""

    history: Panel
    attributes: StoreAttributes

    @classmethod
    def of(cls, rows: pd.DataFrame, attributes: StoreAttributes) -> "Table":
        """Lay out rows (as in ingest.Tables.rows) of these stores, on all days from their first to their last."""
        return cls(panel(rows, attributes.store_ids), attributes)

    @property
    def first(self) -> int:
        """Day number of the first day."""
        return self.history.first

    @property
    def last(self) -> int:
        """Day number of the last day."""
        return self.history.last

    def known_inputs(self, first: int, last: int) -> KnownInputs:
        """Every store x day of the days first..last as rows, stores outermost."""
        return panel_rows(self.history.between(first, last))

    def log_sales(self, first: int, last: int) -> Floats:
        """The log sales of the rows of `known_inputs`; NaN where nothing was sold."""
        return self.history.between(first, last).log_sales.ravel()

    def with_log_sales(self, first: int, log_sales: Floats) -> "Table":
        """The same table with other log sales, (stores, days), from the day `first` on."""
        changed = self.history.log_sales.copy()
        start = first - self.first
        changed[:, start : start + log_sales.shape[1]] = log_sales
        return replace(self, history=replace(self.history, log_sales=changed))

    def take(self, stores: NDArray[np.int64]) -> "Table":
        """Some of the stores, by place."""
        names = [field.name for field in fields(Panel) if field.name != "first"]
        history = replace(self.history, **{name: getattr(self.history, name)[stores] for name in names})
        return Table(history, self.attributes.take(stores))


class State(Protocol):
    """What a recipe has learned from the table up to a cutoff."""

    @property
    def cutoff(self) -> int:
        """Day number of the last day that was used."""

    @property
    def horizon(self) -> int:
        """The days after the cutoff for which it was fitted; it transforms rows of SERVED_HORIZONS times as many."""

    @property
    def attributes(self) -> StoreAttributes:
        """The attributes of its stores."""

    @property
    def little_history(self) -> Flags:
        """The stores with little or no sales history, (stores,)."""

    def transform(self, rows: KnownInputs) -> Matrix:
        """The matrix of rows after the cutoff; a row's features do not depend on the other rows."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its arrays by name, as a bundle stores them; `Recipe.restore` makes the state from them."""


@dataclass(frozen=True)
class Recipe:
    """The functions of a recipe, and the names of its features."""

    names: tuple[str, ...]
    fit: Callable[[Table, Iterable[int], int], Mapping[int, State]]  # (table, cutoffs, horizon): a state by cutoff
    restore: Callable[[Mapping[str, NDArray[Any]], int, int], State]  # (arrays, cutoff, horizon)
