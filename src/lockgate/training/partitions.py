"""A panel in partitions with whole keys: what they have in common, and a sample of the keys.

The rows are in files, in the order of the keys. A partition is a file, or some keys of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.errors import BadData
from lockgate.features.known_inputs import Categories, categories_of, union_of
from lockgate.features.recipe import Part, Table, Whole, learned_targets, lowest_target, static_columns
from lockgate.features.series import Series
from lockgate.problem.columns import Role
from lockgate.problem.description import Problem

Ints = NDArray[np.int64]
MOST_UNEVEN = 1.1  # partitions of a worker beside those of an equal number; a further cut reads each file once more


@dataclass(frozen=True)
class Source:
    """The rows of a panel in files, and the static features of all keys. `read` can be pickled."""

    files: int
    read: Callable[[int], pd.DataFrame]  # the rows of a file, as `prepare` writes them
    static: pd.DataFrame


@dataclass(frozen=True)
class Outline:
    """What one file tells about itself."""

    keys: pd.DataFrame  # each key once
    learned: pd.DataFrame  # the keys with a target that is learned
    first: int
    last: int
    rows: int
    categories: Categories
    lowest: float | None  # target that is learned


@dataclass(frozen=True)
class Partition:
    """Some keys of a file."""

    file: int
    part: Part
    learners: Ints | None = None  # the keys, by place in `part`, whose rows the boosters learn; None: all


@dataclass(frozen=True)
class Layout:
    """All keys, and the partitions."""

    whole: Whole
    partitions: tuple[Partition, ...]
    series: Series
    learned: Ints  # the places of the keys with a target that is learned
    rows: int
    lowest: float | None = None  # target of all keys; a sample may have none as low

    def cut(self, workers: int) -> "Layout":
        """The same keys in more partitions, each cut alike, so that these workers get about as many each."""
        shares = _shares(len(self.partitions), workers)
        found = [
            Partition(each.file, Part(self.series.take(places), places))
            for each in self.partitions
            for places in np.array_split(each.part.places, min(shares, len(each.part.places)))
        ]
        return replace(self, partitions=tuple(found))

    def with_learners(self, keys: int, seed: int) -> "Layout":
        """Choose about `keys` keys for the boosters: the same share of each partition, at random, and at least one."""
        if keys >= len(self.series):
            return self
        ends = np.cumsum([0, *(len(each.part.series) for each in self.partitions)])
        counts = np.diff(np.round(ends * keys / len(self.series)).astype(np.int64))
        return replace(
            self,
            partitions=tuple(
                replace(each, learners=_chosen(len(each.part.series), int(count), (seed, number)))
                for number, (each, count) in enumerate(zip(self.partitions, counts, strict=True))
            ),
        )

    @property
    def learners(self) -> int:
        """The number of keys for the boosters."""
        return sum(len(each.part.series if each.learners is None else each.learners) for each in self.partitions)

    def sample(self, keys: int, seed: int) -> Part:
        """A sample of the keys with a target that is learned, at random; all keys if they are not more."""
        places = np.arange(len(self.series))
        if keys < len(places):
            possible = self.learned if len(self.learned) else places
            chosen = np.random.default_rng(seed).choice(possible, min(keys, len(possible)), replace=False)
            places = np.sort(chosen)
        return Part(self.series.take(places), places)


def _shares(partitions: int, workers: int) -> int:
    """The fewest shares of each partition with which no worker has more than MOST_UNEVEN of an equal number."""
    return next(
        shares
        for shares in range(1, workers + 1)
        if -(-partitions * shares // workers) <= MOST_UNEVEN * partitions * shares / workers
    )


def _chosen(keys: int, count: int, seed: Sequence[int]) -> Ints:
    return np.sort(np.random.default_rng(seed).choice(keys, max(1, count), replace=False))


def outline(file: int, read: Callable[[int], pd.DataFrame], problem: Problem) -> Outline:
    """The outline of a file. Raises BadData for a file without rows."""
    rows = read(file)
    if not len(rows):
        raise BadData(f"part {file} of the rows is empty", hint="dvc repro prepare")
    periods = problem.period.number(rows[problem.time_name].to_numpy())
    categories = categories_of(problem.of_role(Role.KNOWN_COVARIATES), rows)
    keys, learned = (each[list(problem.keys)].drop_duplicates() for each in (rows, learned_targets(problem, rows)))
    ends = int(periods.min()), int(periods.max())
    return Outline(keys, learned, *ends, len(rows), categories, lowest_target(problem, rows))


def layout(problem: Problem, outlines: Sequence[Outline], static: pd.DataFrame) -> Layout:
    """The layout with a partition a file. Raises BadData if the files are not in the order of their keys.

    A key without rows, of the static features alone, is in the partition of the keys before it.
    """
    series = Series.of(problem, pd.concat([each.keys for each in outlines], ignore_index=True), static)
    places = [series.places(each.keys) for each in outlines]
    for number in range(1, len(places)):
        if places[number - 1].max() >= places[number].min():
            raise BadData(f"parts {number - 1} and {number} of the rows are not in order", hint="dvc repro prepare")
    bounds = [0, *(int(each.min()) for each in places[1:]), len(series)]
    ranges = [np.arange(bounds[place], bounds[place + 1]) for place in range(len(places))]
    categories = union_of([each.categories for each in outlines])
    categories |= categories_of(static_columns(problem, series), series.frame)
    first, last = min(each.first for each in outlines), max(each.last for each in outlines)
    whole = Whole(first, last, len(series), categories)
    found = tuple(Partition(file, Part(series.take(each), each)) for file, each in enumerate(ranges))
    lowest = min((each.lowest for each in outlines if each.lowest is not None), default=None)
    learned = np.sort(np.concatenate([series.places(each.learned) for each in outlines]))
    return Layout(whole, found, series, learned, sum(each.rows for each in outlines), lowest)


def rows_of(file: int, read: Callable[[int], pd.DataFrame], keys: Series) -> pd.DataFrame:
    """The rows of a file that are of these keys."""
    rows = read(file)
    return rows[keys.places(rows) >= 0].reset_index(drop=True)


def table_of(problem: Problem, pieces: Sequence[pd.DataFrame], part: Part, whole: Whole) -> Table:
    """The table of some keys from their rows."""
    return Table.of_part(problem, pd.concat(pieces, ignore_index=True), part, whole)


def places_on(workers: Sequence[str], count: int) -> Mapping[int, str]:
    """The worker of each of `count` partitions: consecutive ones on one worker, about as many on each."""
    return {place: workers[place * len(workers) // count] for place in range(count)}
