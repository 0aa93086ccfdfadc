"""The last step of preparing a panel in parts: rows and holdout of each key range, by one rule for all ranges.

The rule is that of split.py: the same rows are held out whether or not they are in parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data import dataset, split
from lockgate.data.gaps import Gaps
from lockgate.data.range_assembly import file_of
from lockgate.data.table_summary import TableSummary
from lockgate.problem.description import Problem

TOP_BITS = 16  # of a hash: its bucket in the search for the highest hash that is held out
ALL = "all rows"  # the one class of a split at random

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Rule:
    """Which rows are held out: those after a period, those of some groups, or those up to a hash for each class."""

    after: int | None = None
    groups: pd.DataFrame | None = None
    highest: Mapping[Any, int] = field(default_factory=dict)

    def held(self, problem: Problem, rows: pd.DataFrame) -> NDArray[np.bool_]:
        """The rows that are held out."""
        if self.after is not None:
            return np.asarray(problem.period.number(rows[problem.time_name].to_numpy()) > self.after)
        if self.groups is not None:
            return split.is_in(rows, self.groups)
        held = np.zeros(len(rows), dtype=np.bool_)
        for name, (places, hashes) in _by_class(problem, rows).items():
            held[places] = hashes <= np.uint64(self.highest[name])
        return held


def _by_class(problem: Problem, rows: pd.DataFrame) -> dict[Any, tuple[NDArray[np.intp], Hashes]]:
    """The places and hashes of the rows of each class of a stratified split; of all rows for a split at random."""
    hashes = split.hashes(rows)
    if problem.holdout.by == "random":
        return {ALL: (np.arange(len(rows)), hashes)}
    found = rows.groupby(problem.target, dropna=False).indices
    return {name: (places, hashes[places]) for name, places in found.items()}


@dataclass(frozen=True)
class Buckets:
    """Counts the hashes of a key range by class and by their first bits."""

    problem: Problem
    scratch: Path

    def __call__(self, number: int) -> dict[Any, NDArray[np.int64]]:
        """The numbers of rows of each bucket, by class."""
        rows = dataset.read_file(file_of(self.scratch, number), "rows")
        return {
            name: np.bincount((hashes >> np.uint64(64 - TOP_BITS)).astype(np.int64), minlength=1 << TOP_BITS)
            for name, (_, hashes) in _by_class(self.problem, rows).items()
        }


@dataclass(frozen=True)
class InBucket:
    """Picks the hashes of one bucket of each class in a key range."""

    problem: Problem
    scratch: Path
    bucket: Mapping[Any, int]

    def __call__(self, number: int) -> dict[Any, Hashes]:
        """The hashes in the bucket of their class."""
        rows = dataset.read_file(file_of(self.scratch, number), "rows")
        return {
            name: hashes[(hashes >> np.uint64(64 - TOP_BITS)) == np.uint64(self.bucket[name])]
            for name, (_, hashes) in _by_class(self.problem, rows).items()
        }


@dataclass(frozen=True)
class Places:
    """Where the highest hash that is held out is found: its bucket, and its place among the hashes of this bucket."""

    bucket: dict[Any, int]
    place: dict[Any, int]


def places(problem: Problem, found: Sequence[Mapping[Any, NDArray[np.int64]]]) -> Places:
    """The bucket of each class in which its share of held rows ends."""
    bucket, place = {}, {}
    for name in {name: None for counts in found for name in counts}:
        below = np.cumsum(sum(counts[name] for counts in found if name in counts))
        wanted = split.held_rows(problem.holdout.share, int(below[-1]))
        bucket[name] = int(np.searchsorted(below, wanted))
        place[name] = wanted - 1 - (int(below[bucket[name] - 1]) if bucket[name] else 0)
    return Places(bucket, place)


def by_hash(at: Places, found: Sequence[Mapping[Any, Hashes]]) -> Rule:
    """The rule that holds out the rows up to the hash at these places."""
    highest = {}
    for name, place in at.place.items():
        hashes = np.concatenate([part[name] for part in found if name in part])
        highest[name] = int(np.partition(hashes, place)[place])
    return Rule(highest=highest)


@dataclass(frozen=True)
class SplitRange:
    """The summaries of both sides of a key range, None for a side without a row, and the gaps of its keys."""

    number: int
    rows: TableSummary | None
    holdout: TableSummary | None
    gaps: Gaps


def part_name(number: int) -> str:
    """The file name of a part of the prepared rows or holdout."""
    return f"part-{number:05}.parquet"


@dataclass(frozen=True)
class Splitting:
    """Splits key ranges, and writes both sides into the folders `rows` and `holdout` of `folder`."""

    problem: Problem
    rule: Rule
    ends: tuple[int, int]  # first and last period of all rows, by number
    scratch: Path
    folder: Path

    def __call__(self, number: int) -> SplitRange:
        """Split a key range that has a row."""
        found = dataset.read_file(file_of(self.scratch, number), "rows")
        held = self.rule.held(self.problem, found)
        rows, holdout = (self._side(name, found[kept], number) for name, kept in (("rows", ~held), ("holdout", held)))
        return SplitRange(number, rows, holdout, Gaps.of(self.problem, found, self.ends))

    def _side(self, name: str, side: pd.DataFrame, number: int) -> TableSummary | None:
        if side.empty:
            return None
        dataset.write_file(self.folder / name / part_name(number), side.reset_index(drop=True))
        return TableSummary.of(self.problem, side)
