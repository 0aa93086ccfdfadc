"""What training learns of one partition of a panel, given what all keys share: a pure function for a worker."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.recipe import State, Table, Whole
from lockgate.features.recipes import recipe_of
from lockgate.features.shared import Shared
from lockgate.features.training_rows import TrainingRows, join, rows_after
from lockgate.forecaster.ensemble import Member
from lockgate.models.conformal import Residuals
from lockgate.problem.params import Params
from lockgate.training import folds, partitions
from lockgate.training.fitting import learning_task
from lockgate.training.partitions import Partition
from lockgate.training.selection import Choice, residuals_of

Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class SampleFold:
    """An inner fold, as the sample of the keys learned it."""

    cutoff: int
    history: int
    members: Mapping[str, Member]


@dataclass(frozen=True)
class Given:
    """What all partitions get: the params, what all keys share, and what the sample of the keys chose."""

    read: Callable[[int], pd.DataFrame]  # the rows of a file
    params: Params
    whole: Whole
    shared: Shared  # replayed
    training: Sequence[int]  # cutoffs of the final training rows
    folds: Sequence[SampleFold]
    choice: Choice
    boosters: Sequence[str]  # that learn all keys


@dataclass(frozen=True)
class Labels:
    """What a booster learns of the rows of a partition, in the type that the boosters keep."""

    labels: Numbers
    weights: Numbers


@dataclass(frozen=True)
class PartResult:
    """What is no larger than the keys and the inner folds of a partition."""

    residuals: tuple[Residuals, ...]  # of the blend, for each fold; the keys by their place in the partition
    state: State  # as of the last period
    counts: Sequence[int]  # of the training rows after each cutoff
    columns: int  # of the training rows

    @property
    def rows(self) -> int:
        """The number of training rows."""
        return sum(self.counts)


@dataclass(frozen=True)
class LearnedPart:
    """The training rows of a partition, for each booster, and the small results."""

    values: Numbers
    labels: Mapping[str, Labels]
    result: PartResult


def learn(partition: Partition, given: Given) -> LearnedPart:
    """Fit the states of a partition at all cutoffs; make its training rows, and the residuals of its inner folds."""
    rows = partitions.rows_of(partition.file, given.read, partition.part.series)
    table = partitions.table_of(given.params.problem, [rows], partition.part, given.whole)
    of_folds, learners = {fold.cutoff for fold in given.folds}, partition.learners
    final, windows = _windows(table, of_folds if learners is not None else {*of_folds, *given.training}, given)
    residuals = tuple(_residuals(windows[fold.cutoff], fold, given) for fold in given.folds)
    if learners is not None:
        windows = _windows(table.take(learners), given.training, given)[1]
    of_training = [windows[cutoff] for cutoff in given.training]
    counts, training = [len(each.target) for each in of_training], join(of_training)
    del windows, of_training
    labels = {name: _labels(name, training, given) for name in given.boosters}
    values = training.matrix.values
    return LearnedPart(values, labels, PartResult(residuals, final, counts, values.shape[1]))


def _windows(table: Table, cutoffs: Collection[int], given: Given) -> tuple[State, dict[int, TrainingRows]]:
    """The state at the last period, and the rows after each cutoff."""
    problem, horizon = given.params.problem, given.params.horizon
    states = dict(recipe_of(problem).fit(table, {*cutoffs, table.last}, horizon, given.shared))
    final = states.pop(table.last)
    return final, {cutoff: rows_after(table, states.pop(cutoff), given.shared) for cutoff in sorted(cutoffs)}


def result_of(learned: LearnedPart) -> PartResult:
    """The small results of a partition."""
    return learned.result


def starts_of(parts: Sequence[PartResult]) -> list[list[int]]:
    """The first row of each partition at each cutoff, where their rows are joined: by cutoff, then by key."""
    counts = np.array([each.counts for each in parts])
    before = np.cumsum(counts.T.ravel()) - counts.T.ravel()
    found: list[list[int]] = before.reshape(counts.T.shape).T.tolist()
    return found


def unfilled(rows: int, columns: int) -> Numbers:
    """The values of joined rows, before `filled` puts those of each partition in; this takes no memory yet."""
    return np.empty((rows, columns), dtype=np.float32)


def filled(values: Numbers, part: LearnedPart, starts: Sequence[int]) -> Numbers:
    """The same array with the values of a partition in their places; a repeat changes nothing.

    One partition after the other is put in and then freed, so that the rows are not in memory twice.
    """
    values = values if values.flags.writeable else values.copy()  # one that came from another worker
    _put(part.values, values, starts, part.result.counts)
    return values


def values_alone(part: LearnedPart) -> Numbers:
    """The values of a partition that is alone on its worker."""
    return part.values


def labels_of(parts: Sequence[LearnedPart], name: str) -> Labels:
    """What a booster learns of joined rows."""
    rows = sum(each.result.rows for each in parts)
    found = Labels(np.empty(rows, dtype=np.float32), np.empty(rows, dtype=np.float32))
    for part, starts in zip(parts, starts_of([each.result for each in parts]), strict=True):
        own, counts = part.labels[name], part.result.counts
        _put(own.labels, found.labels, starts, counts)
        _put(own.weights, found.weights, starts, counts)
    return found


def _put(own: Numbers, joined: Numbers, starts: Sequence[int], counts: Sequence[int]) -> None:
    """Copy the rows of a partition into joined rows: those of each cutoff to their start."""
    ends = np.cumsum(counts)
    for start, end, count in zip(starts, ends, counts, strict=True):
        joined[start : start + count] = own[end - count : end]


def labels_alone(found: Labels) -> Numbers:
    """The labels."""
    return found.labels


def weights_alone(found: Labels) -> Numbers:
    """The weights."""
    return found.weights


def _labels(name: str, rows: TrainingRows, given: Given) -> Labels:
    learned = learning_task(name, rows, given.params, given.shared)
    return Labels(learned.labels.astype(np.float32), learned.weights.astype(np.float32))


def _residuals(window: TrainingRows, fold: SampleFold, given: Given) -> Residuals:
    blended = given.choice.blended(folds.forecasts(fold.members, window, given.params.threads))
    return Residuals(window.key, residuals_of(window, blended), fold.history)
