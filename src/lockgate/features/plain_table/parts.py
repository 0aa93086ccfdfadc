"""The parts of a recipe: each makes some columns of the matrix from rows, and is stored as arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.plain_table.sources import Source, Texts

Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]

DATE_PARTS = ("year", "month", "day", "weekday", "day_of_year", "days")
FEWEST_OF_VALUE = 2  # rows of a category with a column of its own
LEAST_PRIOR, MOST_PRIOR = 1.0, 100.0  # rows of the overall mean in a category's mean


class Part(Protocol):
    """Some columns of the matrix."""

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""

    def columns(self, rows: pd.DataFrame) -> Floats:
        """Their values, (rows, names)."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its arrays; `of_arrays` of its class reads them."""


@dataclass(frozen=True)
class Number:
    """A number, and an indicator of missing values if the training rows have some but not only missing ones."""

    source: Source
    indicator: bool

    @classmethod
    def fit(cls, source: Source, rows: pd.DataFrame) -> "Number | None":
        values = source.numbers(rows)
        missing = np.isnan(values)
        if missing.all() or (not missing.any() and values.min() == values.max()):
            return None
        return cls(source, bool(missing.any()))

    @property
    def names(self) -> tuple[str, ...]:
        return (self.source.name, f"{self.source.name}.missing")[: 1 + self.indicator]

    def columns(self, rows: pd.DataFrame) -> Floats:
        values = self.source.numbers(rows)
        return np.column_stack([values, np.isnan(values)][: 1 + self.indicator])

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"source": self.source.array(), "indicator": np.array(self.indicator)}

    @classmethod
    def of_arrays(cls, arrays: Arrays) -> "Number":
        return cls(Source.of_array(arrays["source"]), bool(arrays["indicator"]))


@dataclass(frozen=True)
class DateParts:
    """The parts of a date that differ between the training rows, and its days since 1970."""

    source: Source
    parts: tuple[str, ...]

    @classmethod
    def fit(cls, source: Source, rows: pd.DataFrame) -> "DateParts | None":
        every = cls(source, DATE_PARTS).columns(rows)
        known = every[~np.isnan(every).any(axis=1)]
        differ = (known != known[:1]).any(axis=0) if len(known) else np.zeros(len(DATE_PARTS), dtype=np.bool_)
        parts = tuple(name for name, differs in zip(DATE_PARTS, differ, strict=True) if differs)
        return cls(source, parts) if parts else None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.source.name}.{part}" for part in self.parts)

    def columns(self, rows: pd.DataFrame) -> Floats:
        days = self.source.days(rows)
        known = ~np.isnat(days)
        filled = np.where(known, days, np.datetime64("1970-01-01"))
        months, years = filled.astype("datetime64[M]"), filled.astype("datetime64[Y]")
        number = filled.astype(np.int64)
        values = {
            "year": years.astype(np.int64) + 1970,
            "month": months.astype(np.int64) % 12 + 1,
            "day": number - months.astype("datetime64[D]").astype(np.int64) + 1,
            "weekday": (number + 3) % 7 + 1,
            "day_of_year": number - years.astype("datetime64[D]").astype(np.int64) + 1,
            "days": number,
        }
        return np.column_stack([np.where(known, values[part], np.nan) for part in self.parts])

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"source": self.source.array(), "parts": np.array(self.parts)}

    @classmethod
    def of_arrays(cls, arrays: Arrays) -> "DateParts":
        return cls(Source.of_array(arrays["source"]), tuple(map(str, arrays["parts"])))


@dataclass(frozen=True)
class OneHot:
    """An indicator of each of these values; of two values, of the second. An unseen value has none."""

    source: Source
    values: tuple[str, ...]

    @classmethod
    def fit(cls, source: Source, rows: pd.DataFrame) -> "OneHot | None":
        values, counts = np.unique(source.texts(rows).astype(str), return_counts=True)
        frequent = tuple(str(value) for value in values[counts >= FEWEST_OF_VALUE])
        if len(values) < 2 or not frequent:
            return None
        return cls(source, frequent[1:] if len(values) == len(frequent) == 2 else frequent)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.source.name}={value or 'missing'}" for value in self.values)

    def columns(self, rows: pd.DataFrame) -> Floats:
        texts = self.source.texts(rows)
        return np.column_stack([(texts == value).astype(np.float64) for value in self.values])

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"source": self.source.array(), "values": np.array(self.values)}

    @classmethod
    def of_arrays(cls, arrays: Arrays) -> "OneHot":
        return cls(Source.of_array(arrays["source"]), tuple(map(str, arrays["values"])))


@dataclass(frozen=True)
class Encoded:
    """Mean target of the rows with a value, shrunk towards the overall mean, and the log of their number."""

    source: Source
    values: NDArray[Any]  # of texts, sorted
    means: Floats  # (values + 1, outputs): the last is the overall mean, for an unseen value
    counts: Floats  # (values + 1,)

    @classmethod
    def fit(cls, source: Source, texts: Texts, target: Floats) -> "Encoded":
        values, places = np.unique(texts.astype(str), return_inverse=True)
        counts = np.bincount(places, minlength=len(values)).astype(np.float64)
        overall = target.mean(axis=0)
        means = [_shrunk_means(places, counts, column) for column in target.T]
        return cls(source, values, np.vstack([np.column_stack(means), overall]), np.append(counts, 0.0))

    @property
    def names(self) -> tuple[str, ...]:
        outputs = self.means.shape[1]
        targets = [f"{self.source.name}.target" + (f"_{place}" if outputs > 1 else "") for place in range(outputs)]
        return (*targets, f"{self.source.name}.rows")

    def columns(self, rows: pd.DataFrame) -> Floats:
        return self.of_texts(self.source.texts(rows))

    def of_texts(self, texts: Texts) -> Floats:
        """The columns of these values."""
        places = pd.Index(self.values.astype(object)).get_indexer(pd.Index(texts))  # -1: the last entry
        return np.column_stack([self.means[places], np.log1p(self.counts[places])])

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"source": self.source.array(), "values": self.values, "means": self.means, "counts": self.counts}

    @classmethod
    def of_arrays(cls, arrays: Arrays) -> "Encoded":
        return cls(Source.of_array(arrays["source"]), arrays["values"], arrays["means"], arrays["counts"])


@dataclass(frozen=True)
class GroupStatistics:
    """Mean of a number over the training rows of a group, and the difference of the row's number from it."""

    by: Source
    of: Source
    values: NDArray[Any]  # of texts, sorted
    means: Floats  # (values + 1,): the last is the overall mean

    @classmethod
    def fit(cls, by: Source, of: Source, rows: pd.DataFrame) -> "GroupStatistics | None":
        numbers = of.numbers(rows)
        known = ~np.isnan(numbers)
        if not known.any():
            return None
        values, places = np.unique(by.texts(rows)[known].astype(str), return_inverse=True)
        counts = np.bincount(places, minlength=len(values)).astype(np.float64)
        means = _shrunk_means(places, counts, numbers[known])
        return cls(by, of, values, np.append(means, numbers[known].mean()))

    @property
    def names(self) -> tuple[str, ...]:
        stem = f"{self.of.name}.of_{self.by.name}"
        return (f"{stem}.mean", f"{stem}.difference")

    def columns(self, rows: pd.DataFrame) -> Floats:
        places = pd.Index(self.values.astype(object)).get_indexer(pd.Index(self.by.texts(rows)))
        means = self.means[places]
        return np.column_stack([means, self.of.numbers(rows) - means])

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"by": self.by.array(), "of": self.of.array(), "values": self.values, "means": self.means}

    @classmethod
    def of_arrays(cls, arrays: Arrays) -> "GroupStatistics":
        by, of = Source.of_array(arrays["by"]), Source.of_array(arrays["of"])
        return cls(by, of, arrays["values"], arrays["means"])


def _shrunk_means(places: NDArray[np.int64], counts: Floats, target: Floats) -> Floats:
    """Mean of each value; the prior weight is the variance within values over the variance between their means."""
    means = np.bincount(places, target, minlength=len(counts)) / np.maximum(counts, 1)
    within = float(np.mean((target - means[places]) ** 2)) * len(target) / max(len(target) - len(counts), 1)
    several = counts > 1
    between = float(np.var(means[several])) if several.sum() > 1 else 0.0
    prior = float(np.clip(within / between if between > 0 else MOST_PRIOR, LEAST_PRIOR, MOST_PRIOR))
    return np.asarray((counts * means + prior * target.mean()) / (counts + prior))
