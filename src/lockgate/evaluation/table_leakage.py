"""Leakage check of plain tables and states: it fits the recipe again on the training rows and on changed ones.

A state of features must be that of the training rows. A row's own target must not change the features that the row is
learned with, and a later row of a key must not change the features of an earlier one.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.evaluation.leakage import LeakageReport
from lockgate.features.tabular import FeatureMatrix, Learned, TabularState
from lockgate.features.tabular_recipes import tabular_recipe
from lockgate.forecaster import typed_rows
from lockgate.forecaster.table import TableForecaster, learned
from lockgate.models.table_task import feature_target
from lockgate.problem.description import Problem
from lockgate.problem.target_values import target_values

Floats = NDArray[np.float64]

TOLERANCE = 1e-4  # relative, of a stored state: far above rounding on another processor
EXACT = 0.0  # of two states of this process: one target in a large group changes its mean by less than TOLERANCE
MOST_ROWS = 5_000  # of the training rows whose features are compared
OWN_TARGETS = 3  # training rows whose target is changed, one at a time
SEED = 20


@dataclass(frozen=True)
class _Training:
    """The typed training rows, and their target as the features learn it."""

    problem: Problem
    rows: pd.DataFrame
    target: Floats  # (rows, outputs)

    @classmethod
    def of(cls, forecaster: TableForecaster, rows: pd.DataFrame) -> "_Training":
        """As the training takes them from the prepared rows."""
        problem = forecaster.problem
        target = target_values(problem, rows[problem.target], forecaster.classes)
        kept = np.isfinite(target) & learned(problem, rows)
        typed = typed_rows.typed(problem, rows.loc[kept].reset_index(drop=True))
        return cls(problem, typed, feature_target(target[kept], len(forecaster.classes)))

    def fitted(self, target: Floats) -> Learned:
        """The recipe, fitted on these targets of the rows."""
        return tabular_recipe(self.problem).fit(self.problem, self.rows, target, SEED)

    @property
    def some_rows(self) -> pd.DataFrame:
        """Rows to compare features on, at most about MOST_ROWS: whole keys, or rows from all parts of a table."""
        if len(self.rows) <= MOST_ROWS:
            return self.rows
        if not self.problem.keys:
            spread = np.linspace(0, len(self.rows) - 1, MOST_ROWS).astype(np.int64)  # a file may be sorted by a column
            return self.rows.iloc[spread].reset_index(drop=True)
        key = self.rows.groupby(list(self.problem.keys), sort=False).ngroup()
        return self.rows[key <= key.iloc[MOST_ROWS - 1]].reset_index(drop=True)


def check(forecaster: TableForecaster, rows: pd.DataFrame) -> LeakageReport:
    """Check a forecaster's features with the prepared training rows."""
    training = _Training.of(forecaster, rows)
    fitted, shown = training.fitted(training.target), training.some_rows
    rng = np.random.default_rng(SEED)
    permuted = training.fitted(training.target[rng.permutation(len(training.target))])
    expected = fitted.state.transform(shown)
    leaks = {*_of_own_target(training, fitted), *_of_later_rows(training.problem, fitted.state, shown)}
    return LeakageReport(
        tuple(name for name in expected.names if name in leaks),
        len(expected.names),
        len(_changed(permuted.state.transform(shown), expected, EXACT)),
        _changed(forecaster.state.transform(shown), expected, TOLERANCE),
        "",
    )


def _changed(found: FeatureMatrix, expected: FeatureMatrix, tolerance: float) -> tuple[str, ...]:
    """The features that only one of the two has, or that differ by more than a tolerance."""
    columns = dict(zip(found.names, found.values.T, strict=True))
    differ = [
        name
        for name, values in zip(expected.names, expected.values.T, strict=True)
        if name not in columns or not np.allclose(columns[name], values, rtol=tolerance, atol=tolerance, equal_nan=True)
    ]
    return (*differ, *(name for name in found.names if name not in set(expected.names)))


def _of_own_target(training: _Training, fitted: Learned) -> tuple[str, ...]:
    """The features of a training row that change with its own target."""
    places = np.linspace(0, len(training.target) - 1, OWN_TARGETS).astype(np.int64)
    found: list[str] = []
    for place in places:
        target = training.target.copy()
        target[place] = training.target.max(axis=0) - target[place] + training.target.min(axis=0)
        again = training.fitted(target).matrix
        own = np.array([place])
        found += _changed(again.take(own), fitted.matrix.take(own), EXACT)
    return tuple(found)


def _of_later_rows(problem: Problem, state: TabularState, rows: pd.DataFrame) -> tuple[str, ...]:
    """The features of the first half of each key's rows that change when the second half is there."""
    if problem.kind != "state":
        return ()
    order = rows.groupby(list(problem.keys), sort=False)[problem.time_name].rank(method="first")
    size = rows.groupby(list(problem.keys), sort=False)[problem.time_name].transform("size")
    earlier = np.flatnonzero((order <= (size + 1) // 2).to_numpy())
    alone = state.transform(rows.iloc[earlier].reset_index(drop=True))
    return _changed(alone, state.transform(rows).take(earlier), EXACT)
