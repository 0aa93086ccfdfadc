"""Inner folds of a plain table or of states: rows at random, by class, or whole keys."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.errors import BadData
from lockgate.problem.description import Problem

FOLDS = 5
FEWEST_ROWS = 20
FEWEST_OF_CLASS = 5

Ints = NDArray[np.int64]


def fold_of_rows(problem: Problem, rows: pd.DataFrame, target: NDArray[np.float64], seed: int) -> Ints:
    """The number of the fold in which each row is scored.

    Rows of a key stay together in a state, and in a table whose rows have keys; else the folds of a classification
    have the same share of each class. Raises BadData for too few rows, keys or classes.
    """
    _check_size(problem, target)
    if problem.keys:
        groups = rows.groupby(list(problem.keys), sort=True, dropna=False).ngroup().to_numpy()
        if groups.max() + 1 < len(rows):
            return _by_group(groups, seed)
    order = np.random.default_rng(seed).permutation(len(rows))
    if problem.task != "regression":
        order = order[np.argsort(target[order], kind="stable")]
    fold = np.empty(len(rows), dtype=np.int64)
    fold[order] = np.arange(len(rows)) % FOLDS
    return fold


def _by_group(groups: Ints, seed: int) -> Ints:
    count = int(groups.max()) + 1
    if count < 2:
        raise BadData("all rows have one key", where="training needs at least 2", hint="add rows of other keys")
    return np.asarray((np.random.default_rng(seed).permutation(count) % min(FOLDS, count))[groups])


def _check_size(problem: Problem, target: NDArray[np.float64]) -> None:
    if len(target) < FEWEST_ROWS:
        raise BadData(
            f"{len(target)} rows with a target are not enough",
            where=f"training on {problem.target}",
            hint=f"at least {FEWEST_ROWS} are needed",
        )
    if problem.task == "regression":
        return
    counts = np.unique(target, return_counts=True)[1]
    if len(counts) < 2:
        raise BadData(
            f"all {len(target)} rows have one class",
            where=f"training on {problem.target}",
            hint="rows of at least two classes are needed; check problem.positive and problem.where",
        )
    if counts.min() < FEWEST_OF_CLASS:
        raise BadData(
            f"a class has {counts.min()} rows",
            where=f"training on {problem.target}",
            hint=f"at least {FEWEST_OF_CLASS} rows of each class are needed; join rare classes, or leave them out",
        )
