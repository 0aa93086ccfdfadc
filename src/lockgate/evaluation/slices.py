"""Slices of the rows of a paired comparison: the ways to slice, and the rows of each slice."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.problem.columns import KEY, TARGET, TIME

WEEK = 7

# By name of the way: the value of each row, missing where it is unknown.
WAYS: Mapping[str, Callable[[pd.DataFrame], "pd.Series[Any]"]] = {
    "store type": lambda rows: rows["StoreType"],
    "assortment": lambda rows: rows["Assortment"],
    "promo": lambda rows: rows["Promo"],
    "weekday": lambda rows: rows[TIME].dt.day_of_week + 1,
    "week": lambda rows: rows["week"],
    "size": lambda rows: rows["size"],
}
IN_GATE = ("store type", "assortment", "promo", "week", "size")
IN_COMPARISON = (*IN_GATE, "weekday")
NAMES = {
    ("promo", "0"): "no promo",
    ("promo", "1"): "promo",
    ("size", "large"): "large stores",
    ("size", "small"): "small stores",
}


@dataclass(frozen=True)
class Slice:
    """The rows with one value in one way to slice."""

    by: str
    value: str
    rows: int

    @property
    def name(self) -> str:
        """The slice in words, such as "week 2"."""
        return NAMES.get((self.by, self.value), f"{self.by} {self.value}")


def split(rows: pd.DataFrame, ways: Sequence[str]) -> Iterator[tuple[Slice, NDArray[np.bool_]]]:
    """Each slice, and which of the rows are in the slice. A row with a missing value is in no slice of that way."""
    for by in ways:
        values = WAYS[by](rows)
        for value in sorted(values.dropna().unique()):
            chosen = (values == value).to_numpy(dtype=np.bool_)
            yield Slice(by, str(value), int(chosen.sum())), chosen


def with_attributes(rows: pd.DataFrame, stores: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """The rows of a holdout with StoreType, Assortment, week and size, missing where unknown."""
    attributes = stores.set_index(KEY)
    return rows.assign(
        StoreType=rows[KEY].map(attributes["StoreType"]),
        Assortment=rows[KEY].map(attributes["Assortment"]),
        week=week(rows[TIME], rows[TIME].min() - pd.Timedelta(days=1)),
        size=rows[KEY].map(store_sizes(history)),
    )


def store_sizes(history: pd.DataFrame) -> "pd.Series[Any]":
    """By store, "large" if its median past sales are above those of the median store, else "small".

    A store without past sales has no size.
    """
    median_sales = history[history[TARGET] > 0].groupby(KEY)[TARGET].median()
    return (median_sales > median_sales.median()).map({True: "large", False: "small"})


def week(dates: "pd.Series[pd.Timestamp]", cutoff: pd.Timestamp) -> "pd.Series[int]":
    """The week of the horizon of each date; week 1 begins on the day after the cutoff."""
    return ((dates - cutoff).dt.days - 1) // WEEK + 1
