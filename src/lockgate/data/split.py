"""Splits rows into those to train on and a holdout: by time, by group, or by a share of the rows.

Groups and rows are chosen by a hash of their content. So the order of rows does not matter, and rows with equal content
are on one side. A group stays on its side whatever other groups the data have: its own hash alone decides. Rows are
chosen so that the share is exact, and new data move a few of the earlier rows.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.errors import BadConfiguration, BadData
from lockgate.problem.description import Problem

MIN_WINDOWS = 3  # of the holdout's length: one to learn, one to choose rounds, one held out
MIN_ROWS = 10  # on each side
MIN_GROUPS = 5


@dataclass(frozen=True)
class Split:
    """Rows to train on and holdout; `cutoff` is the last period of the rows as text, "" without a split by time."""

    rows: pd.DataFrame
    holdout: pd.DataFrame
    cutoff: str


def split(problem: Problem, rows: pd.DataFrame) -> Split:
    """Split off the holdout that the problem describes; both parts keep the order of the rows.

    Without a time, the holdout is in the order of its content: the same rows of a shuffled file are the same holdout.

    Raises BadConfiguration if the holdout is too large for the data, and BadData if one side has too few rows, or a
    class is missing on one side.
    """
    if problem.holdout.by == "time":
        return _by_time(problem, rows)
    held = _by_group(problem, rows) if problem.holdout.by == "group" else _by_rows(problem, rows)
    found = _parts(rows, held, "")
    refuse_small(problem, *(Side.of(problem, part) for part in (found.rows, found.holdout)))
    return found if problem.time else replace(found, holdout=_in_order_of_content(found.holdout))


def _by_time(problem: Problem, rows: pd.DataFrame) -> Split:
    number = problem.period.number(rows[problem.time_name].to_numpy())
    last = last_period(problem, int(number.min()), int(number.max()))
    return _parts(rows, number > last, problem.period.text(last))


def last_period(problem: Problem, first: int, last: int) -> int:
    """The last period to train on, of rows from `first` to `last`, all by number.

    Raises BadConfiguration if the holdout is too long for them.
    """
    length = problem.holdout.last or problem.horizon or 1
    periods = last - first + 1
    if periods < MIN_WINDOWS * length:
        key = "problem.split.last" if problem.split else "problem.horizon"
        raise BadConfiguration(
            f"{key} is {length}, too long for {problem.period.plural(periods)} of data",
            where=f"{problem.period.text(first)} .. {problem.period.text(last)}",
            hint=f"{key}: at most {periods // MIN_WINDOWS}, or put more {problem.period.plural(2)[2:]} into data/raw",
        )
    return last - length


def _parts(rows: pd.DataFrame, held: NDArray[np.bool_], cutoff: str) -> Split:
    return Split(rows[~held].reset_index(drop=True), rows[held].reset_index(drop=True), cutoff)


def _in_order_of_content(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.iloc[np.argsort(hashes(rows), kind="stable")].reset_index(drop=True)


def _by_group(problem: Problem, rows: pd.DataFrame) -> NDArray[np.bool_]:
    return is_in(rows, held_groups(problem, groups(problem, rows)))


def groups(problem: Problem, rows: pd.DataFrame) -> pd.DataFrame:
    """The groups of rows, one row each, of a split by group."""
    names = [problem.holdout.column] if problem.holdout.column else list(problem.keys)
    return rows[names].drop_duplicates()


def is_in(rows: pd.DataFrame, chosen: pd.DataFrame) -> NDArray[np.bool_]:
    """The rows of the chosen groups."""
    return np.asarray(pd.MultiIndex.from_frame(rows[list(chosen)]).isin(pd.MultiIndex.from_frame(chosen)))


def held_groups(problem: Problem, found: pd.DataFrame) -> pd.DataFrame:
    """The groups that are held out, of all groups. Raises BadData if there are too few."""
    names = list(found)
    if len(found) < MIN_GROUPS:
        what = f"{len(found)} different values of {' and '.join(names)} are too few for a split by group"
        raise BadData(what, where="problem.split", hint=f"at least {MIN_GROUPS} are needed; split by: random")
    return found[_below(hashes(found), problem.holdout.share)]


def _by_rows(problem: Problem, rows: pd.DataFrame) -> NDArray[np.bool_]:
    found, share = hashes(rows), problem.holdout.share
    if problem.holdout.by == "random":
        return _lowest(found, share)
    held = np.zeros(len(rows), dtype=np.bool_)
    for places in rows.groupby(problem.target, dropna=False).indices.values():
        held[places] = _lowest(found[places], share)
    return held


def hashes(frame: pd.DataFrame) -> NDArray[np.uint64]:
    """A hash of each row's content; the same on every machine."""
    return np.asarray(pd.util.hash_pandas_object(frame, index=False).to_numpy(dtype=np.uint64))


def _below(hashes: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """The entries whose hash is in the lowest share of all hashes: about this share of them.

    If there is none, the lowest entry; if they are all, all but the highest.
    """
    held = np.asarray(hashes < np.uint64(min(int(share * 2**64), 2**64 - 1)))
    if not held.any():
        return np.asarray(hashes == hashes.min())
    return np.asarray(hashes < hashes.max()) if held.all() else held


def _lowest(hashes: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """The share of entries with the lowest hashes, at least one; equal hashes are on one side."""
    count = held_rows(share, len(hashes))
    return np.asarray(hashes <= np.partition(hashes, count - 1)[count - 1])


def held_rows(share: float, rows: int) -> int:
    """The number of rows that are held out, at least one."""
    return max(1, round(share * rows))


@dataclass(frozen=True)
class Side:
    """The number of rows on a side of the split, and their classes."""

    rows: int
    classes: frozenset[Any]

    @classmethod
    def of(cls, problem: Problem, rows: pd.DataFrame) -> "Side":
        """The side with these rows; a regression has no classes."""
        return cls(len(rows), frozenset(rows[problem.target].unique() if problem.task != "regression" else ()))


def refuse_small(problem: Problem, training: Side, holdout: Side) -> None:
    """Raise BadData if a side has too few rows, or lacks a class of the other."""
    for name, side in (("training", training), ("holdout", holdout)):
        if side.rows < MIN_ROWS:
            what = f"{side.rows} rows remain for {name}, at least {MIN_ROWS} are needed"
            raise BadData(what, where="problem.split", hint="add rows, or change problem.split.share")
    if problem.task != "regression":
        _refuse_missing_class(problem, training.classes, holdout.classes)


def _refuse_missing_class(problem: Problem, training: frozenset[Any], holdout: frozenset[Any]) -> None:
    if one_sided := sorted(map(str, training ^ holdout)):
        what = f"class {one_sided[0]} of {problem.target} is missing in training or holdout"
        raise BadData(what, where="problem.split", hint="add rows of this class, or use split by: stratified")
    if len(training) < 2:
        what = f"{problem.target} has one class only"
        raise BadData(what, where="problem.target", hint="a classification needs rows of two classes")
    if problem.task == "binary" and problem.positive not in map(str, training):
        what = f"no row has the positive class {problem.positive}"
        hint = f"problem.positive is one of: {', '.join(sorted(map(str, training))[:5])}"
        raise BadData(what, where="problem.positive", hint=hint)
