"""A table of text: each column as its distinct texts and, for each row, the place of its text."""

import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

CHANCE = 3.0  # times the expected equal pairs, and times their deviation: more pairs are copies


@dataclass(frozen=True)
class Texts:
    """A column: distinct texts in order of first appearance, and for each row the place of its text among them."""

    name: str
    distinct: tuple[str, ...]
    codes: NDArray[np.int64]

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """The number of rows of each distinct text."""
        return np.bincount(self.codes, minlength=len(self.distinct))

    def rows_with(self, texts: frozenset[str]) -> int:
        """The number of rows whose text is one of these."""
        return int(sum(count for text, count in zip(self.distinct, self.counts, strict=True) if text in texts))

    def among(self, texts: frozenset[str]) -> NDArray[np.bool_]:
        """For each row whether its text is one of these."""
        inside: NDArray[np.bool_] = np.array([text in texts for text in self.distinct], dtype=bool)[self.codes]
        return inside


@dataclass(frozen=True)
class TextTable:
    """The columns of a file, in its order."""

    columns: tuple[Texts, ...]
    by_name: dict[str, Texts] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {column.name: column for column in self.columns})

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.columns[0].codes)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    def joint_codes(self, names: tuple[str, ...]) -> NDArray[np.int64]:
        """For each row the place of its combination of values of these columns; 0 without columns."""
        joint = np.zeros(self.rows, dtype=np.int64)
        for name in names:
            column = self.by_name[name]
            _, joint = np.unique(joint * len(column.distinct) + column.codes, return_inverse=True)
        return joint

    def distinct_rows(self) -> "TextTable":
        """The table without rows that are equal to an earlier row in every column."""
        _, first = np.unique(self.joint_codes(self.names), return_index=True)
        if len(first) == self.rows:
            return self
        return self.take(np.sort(first))

    def take(self, kept: NDArray[np.int64]) -> "TextTable":
        """Some of the rows, by place."""
        return TextTable(tuple(Texts(each.name, each.distinct, each.codes[kept]) for each in self.columns))

    def repeated_rows(self) -> int:
        """How many rows are equal to an earlier row in every column."""
        return self.rows - len(np.unique(self.joint_codes(self.names)))

    def has_copies(self) -> bool:
        """Whether more rows are equal than chance explains.

        Chance: of the pairs of rows that are equal in all other columns, those that are also equal in the column with
        the most values, if its values were drawn anew.
        """
        widest = max(self.columns, key=lambda column: len(column.distinct))
        others = tuple(name for name in self.names if name != widest.name)
        share = float(np.sum((widest.counts / self.rows) ** 2))
        expected = _pairs(self.joint_codes(others)) * share
        return _pairs(self.joint_codes(self.names)) > CHANCE * (expected + math.sqrt(expected))


def _pairs(codes: NDArray[np.int64]) -> float:
    """The number of pairs of rows with one code."""
    counts = np.bincount(codes).astype(np.float64)
    return float((counts * (counts - 1) / 2).sum())


def repeated_names(names: tuple[str, ...]) -> list[str]:
    """The names that appear twice or more."""
    return sorted(name for name, count in Counter(names).items() if count > 1)
