"""What the data card says of a table, as a summary of each part; the summaries of all parts add up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate import digests

if TYPE_CHECKING:
    from lockgate.problem.description import Problem

LISTED_VALUES = 50


@dataclass(frozen=True)
class ColumnSummary:
    """Rows and missing values of a column; the rows of each value of text and flags, the range of numbers and times."""

    rows: int
    missing: int
    counts: "pd.Series[int] | None" = None  # by value; None for numbers and times, and for many values
    distinct: NDArray[np.uint64] | None = None  # hashes of the values, if they are many
    low: Any = None
    high: Any = None

    @classmethod
    def of(cls, column: "pd.Series[Any]") -> "ColumnSummary":
        """The summary of a column."""
        missing = int(column.isna().sum())
        if column.dtype == "str" or column.dtype == "int8":
            return _of_values(len(column), missing, column.value_counts())
        if missing == len(column):
            return cls(len(column), missing)
        return cls(len(column), missing, low=column.min(), high=column.max())

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """Hashes of the distinct values of text and flags."""
        if self.distinct is not None:
            return self.distinct
        return np.array([], np.uint64) if self.counts is None else _hashes(self.counts)

    def card(self) -> dict[str, Any]:
        """The summary as a JSON value."""
        if self.distinct is not None:
            return {"missing": self.missing, "distinct": len(self.distinct)}
        if self.counts is not None:
            counts = self.counts.sort_index()
            return {"missing": self.missing, "counts": {str(value): int(count) for value, count in counts.items()}}
        if self.low is None:
            return {"missing": self.missing}
        low, high = (_json(value) for value in (self.low, self.high))
        return {"missing": self.missing, "min": low, "max": high}


def _of_values(rows: int, missing: int, counts: "pd.Series[int]") -> ColumnSummary:
    if len(counts) > LISTED_VALUES:
        return ColumnSummary(rows, missing, distinct=_hashes(counts))
    return ColumnSummary(rows, missing, counts)


def _hashes(counts: "pd.Series[int]") -> NDArray[np.uint64]:
    return np.sort(pd.util.hash_array(counts.index.to_numpy()))


def _json(value: Any) -> Any:
    return str(value).removesuffix(" 00:00:00") if isinstance(value, pd.Timestamp) else value.item()


def added_columns(parts: Sequence[ColumnSummary]) -> ColumnSummary:
    """The summary of a column from those of its parts."""
    rows, missing = sum(part.rows for part in parts), sum(part.missing for part in parts)
    if any(part.distinct is not None for part in parts):
        hashes = np.unique(np.concatenate([part.hashes for part in parts]))
        return ColumnSummary(rows, missing, distinct=hashes)
    if counted := [part.counts for part in parts if part.counts is not None]:
        return _of_values(rows, missing, pd.concat(counted).groupby(level=0).sum())
    low = min((part.low for part in parts if part.low is not None), default=None)
    high = max((part.high for part in parts if part.high is not None), default=None)
    return ColumnSummary(rows, missing, low=low, high=high)


@dataclass(frozen=True)
class TableSummary:
    """Counts, ranges and the digest of rows, which hold all rows of their keys."""

    rows: int
    keys: int
    first: int  # periods by number; 0 without a time
    last: int
    scored: int
    positive: int
    classes: frozenset[Any]
    columns: dict[str, ColumnSummary]
    digest: str

    @classmethod
    def of(cls, problem: "Problem", rows: pd.DataFrame) -> "TableSummary":
        """The summary of at least one row."""
        numbers = problem.period.number(rows[problem.time_name].to_numpy()) if problem.time else np.zeros(1, np.int64)
        target = rows[problem.target]
        return cls(
            rows=len(rows),
            keys=len(rows[list(problem.keys)].drop_duplicates()) if problem.keys else 0,
            first=int(numbers.min()),
            last=int(numbers.max()),
            scored=int((rows[problem.where.column] == problem.where.equals).sum()) if problem.where else 0,
            positive=int((target.astype(str) == problem.positive).sum()) if problem.positive else 0,
            classes=frozenset(target.unique() if problem.task != "regression" else ()),
            columns={str(name): ColumnSummary.of(rows[name]) for name in rows},
            digest=digests.of_frame(rows),
        )

    @property
    def periods(self) -> int:
        """The number of periods from the first to the last one."""
        return self.last - self.first + 1

    def card(self, problem: "Problem") -> dict[str, Any]:
        """The summary as a JSON value."""
        found: dict[str, Any] = {"count": self.rows}
        if problem.keys:
            found["keys"] = self.keys
        if problem.time:
            found |= {"first": problem.period.text(self.first), "last": problem.period.text(self.last)}
        if problem.where:
            found["scored"] = self.scored
        if problem.positive:
            found["positive_share"] = self.positive / self.rows
        columns = {name: column.card() for name, column in self.columns.items()}
        return found | {"columns": columns, "digest": self.digest}


def added(parts: Sequence[TableSummary]) -> TableSummary:
    """The summary of a table from those of its parts, which have different keys; its digest is made of theirs."""
    return TableSummary(
        rows=sum(part.rows for part in parts),
        keys=sum(part.keys for part in parts),
        first=min(part.first for part in parts),
        last=max(part.last for part in parts),
        scored=sum(part.scored for part in parts),
        positive=sum(part.positive for part in parts),
        classes=frozenset().union(*(part.classes for part in parts)),
        columns={name: added_columns([part.columns[name] for part in parts]) for name in parts[0].columns},
        digest=digests.of_parts([part.digest for part in parts]),
    )
