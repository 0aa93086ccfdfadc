"""The series of a panel: one for each key, with its static features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.problem.description import Problem

Ints = NDArray[np.int64]

FEW = 50  # keys; for fewer, a dictionary is faster than an index of pandas
STORED = "series "  # before the names of the columns in a bundle


@dataclass(frozen=True)
class Series:
    """One row for each key, sorted by key: the key columns, then the static features by their own names.

    Without key columns there is one series.
    """

    keys: tuple[str, ...]
    frame: pd.DataFrame

    @classmethod
    def of(cls, problem: Problem, rows: pd.DataFrame, static: pd.DataFrame) -> "Series":
        """The keys of rows and of the table of static features, which may be empty."""
        keys = list(problem.keys)
        if not keys:
            return cls((), pd.DataFrame(index=range(1)))
        if static.empty:
            return cls(problem.keys, _distinct(rows[keys]))
        known = static.sort_values(keys).reset_index(drop=True)
        every = _distinct(pd.concat([known[keys], rows[keys].drop_duplicates().astype(known[keys].dtypes)]))
        return cls(problem.keys, known if len(every) == len(known) else every.merge(known, how="left", on=keys))

    @classmethod
    def of_arrays(cls, keys: tuple[str, ...], arrays: Mapping[str, NDArray[Any]]) -> "Series":
        """The series from their arrays; other arrays are ignored."""
        if not keys:
            return cls((), pd.DataFrame(index=range(1)))
        columns = {name.removeprefix(STORED): values for name, values in arrays.items() if name.startswith(STORED)}
        texts = {name: _texts(values) for name, values in columns.items() if values.dtype.kind == "U"}
        return cls(keys, pd.DataFrame(columns | texts))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The columns as arrays without Python objects, by their name in a bundle; a missing text is an empty one."""
        return {f"{STORED}{name}": _plain(column) for name, column in self.frame.items()}

    def __len__(self) -> int:
        return len(self.frame)

    def places(self, rows: pd.DataFrame) -> Ints:
        """The place of the key of each row; -1 for an unknown key."""
        return self.places_of([rows[name] for name in self.keys], len(rows))

    def places_of(self, keys: "Sequence[pd.Series[Any] | NDArray[Any]]", count: int) -> Ints:
        """The place of each of `count` keys, given by their columns; -1 for an unknown key."""
        if not keys:
            return np.zeros(count, dtype=np.int64)
        if count < FEW:
            asked_keys = zip(*(each.tolist() for each in keys), strict=True)
            return np.array([self._places.get(key, -1) for key in asked_keys], dtype=np.int64)
        asked = pd.Index(keys[0]) if len(keys) == 1 else pd.MultiIndex.from_arrays(list(keys))
        return np.asarray(self._index.get_indexer(asked), dtype=np.int64)

    def static(self, name: str) -> "pd.Series[Any]":
        """A static feature, one value a key."""
        return self.frame[name]

    def take(self, places: Ints) -> "Series":
        """Some of the series, by place."""
        return Series(self.keys, self.frame.iloc[places].reset_index(drop=True))

    @cached_property
    def _places(self) -> Mapping[tuple[Any, ...], int]:
        """The place of each key."""
        keys = zip(*(self.frame[name].tolist() for name in self.keys), strict=True)
        return {key: place for place, key in enumerate(keys)}

    @cached_property
    def _index(self) -> pd.Index:
        if len(self.keys) == 1:
            return pd.Index(self.frame[self.keys[0]])
        return pd.MultiIndex.from_frame(self.frame[list(self.keys)])


def _distinct(keys: pd.DataFrame) -> pd.DataFrame:
    return keys.drop_duplicates().sort_values(list(keys.columns)).reset_index(drop=True)


def _plain(column: "pd.Series[Any]") -> NDArray[Any]:
    values = column.to_numpy()
    if values.dtype.kind in "biuf":
        return np.asarray(values)
    if values.dtype.kind == "M":
        return np.asarray(values, dtype="datetime64[s]")
    return np.asarray(column.fillna("").to_numpy(dtype=object), dtype=np.str_)


def _texts(values: NDArray[Any]) -> "pd.Series[Any]":
    texts = pd.Series(values, dtype="str")
    return texts.where(texts != "")
