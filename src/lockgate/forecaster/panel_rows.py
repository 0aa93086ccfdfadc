"""Reads and checks the raw rows of a request for a panel by its description; a refusal names the allowed values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.known_inputs import Categories, KnownInputs, covariate_columns, encoded
from lockgate.features.series import Series
from lockgate.forecaster import time_values, typed_rows
from lockgate.forecaster.checked_rows import BrokenRule, CheckedRows, RowProblem
from lockgate.forecaster.window import Window
from lockgate.problem.columns import Date, Flag, Whole
from lockgate.problem.description import Problem

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

SHOWN_KEYS = 5


@dataclass(frozen=True)
class PanelRequest:
    """The rows that a forecaster takes: by the description of its problem, of its series, in its window."""

    problem: Problem
    series: Series
    categories: Categories
    window: Window

    def read(self, rows: pd.DataFrame) -> CheckedRows:
        """Check raw rows and turn them into arrays, in their order; `rows` is not changed.

        A column whose missing values have a meaning may be missing as a whole; other columns are ignored. Raises
        BadData that names the first bad rows.
        """
        found = self._typed(rows)
        typed_rows.refuse(rows, found.rules)
        covariates = encoded(covariate_columns(self.problem), found.frame, self.categories)
        learned, unknown = _learned(self.problem, found.frame)
        return CheckedRows(KnownInputs(found.places, found.periods, covariates), learned, unknown)

    def problems(self, rows: pd.DataFrame) -> list[RowProblem]:
        """All problems of raw rows, by row; empty if they can be forecast. Raises BadData for a missing column."""
        return sorted(typed_rows.described(rows, self._typed(rows).rules), key=lambda found: found.row)

    def _typed(self, rows: pd.DataFrame) -> "_Typed":
        problem = self.problem
        frame, rules = typed_rows.read(problem, problem.request, rows)
        periods, places = _periods(problem, frame[problem.time_name]), self.series.places(_keys(problem, frame))
        broken = {rule.column: rule.bad for rule in rules}
        own = [
            *self._key_rules(frame, places, broken),
            *self._time_rules(periods, broken[problem.time_name]),
            *typed_rows.weekday_rules(problem, rows, frame[problem.time_name]),
        ]
        replaced = (*problem.keys, problem.time_name)
        return _Typed(frame, places, periods, [*own, *(rule for rule in rules if rule.column not in replaced)])

    def _time_rules(self, periods: Ints, no_time: Bools) -> Iterator[BrokenRule]:
        problem, window = self.problem, self.window
        name, allowed = problem.time_name, window.allowed(problem.period)
        kind = problem.column(name).kind
        form = f"; {time_values.form_of(kind, problem.period)}" if isinstance(kind, Date) else ""
        yield BrokenRule(name, no_time, allowed + form)
        yield BrokenRule(name, ~no_time & ((periods <= window.cutoff) | (periods > window.last)), allowed)

    def _key_rules(self, frame: pd.DataFrame, places: Ints, broken: Mapping[str, Bools]) -> Iterator[BrokenRule]:
        """A rule for each key column whose value no series has, and one for a combination that no series has."""
        unknown, named, allowed = places < 0, np.zeros(len(frame), dtype=np.bool_), self._known_keys()
        for name in self.problem.keys:
            alone = broken[name] | (unknown & ~frame[name].isin(self.series.frame[name]).to_numpy(dtype=np.bool_))
            yield BrokenRule(name, alone & ~named, allowed)
            named |= alone
        if self.problem.keys:
            yield BrokenRule(self.problem.keys[-1], unknown & ~named, allowed)

    def _known_keys(self) -> str:
        keys = self.problem.keys
        frame = self.series.frame[list(keys)]
        first = "; ".join(", ".join(map(str, row)) for row in frame.head(SHOWN_KEYS).itertuples(index=False))
        shown = f" ({first}; ...)" if len(frame) > SHOWN_KEYS else f" ({first})"
        if len(keys) == 1 and isinstance(self.problem.column(keys[0]).kind, Whole):
            shown = f" from {frame[keys[0]].min()} to {frame[keys[0]].max()}"
        return f"known values of {' and '.join(keys)}: {len(frame)}{shown}; a new one needs a training"


@dataclass(frozen=True)
class _Typed:
    """The columns of a request by their types, the place of each key, the period of each row, and the rules."""

    frame: pd.DataFrame
    places: Ints
    periods: Ints
    rules: list[BrokenRule]


def _keys(problem: Problem, frame: pd.DataFrame) -> pd.DataFrame:
    """The key columns, whole numbers as integers; a value that is no number is refused by the rule of its column."""
    keys = frame[list(problem.keys)]
    whole = [name for name in problem.keys if isinstance(problem.column(name).kind, Whole | Flag)]
    return keys.assign(**{name: keys[name].where(np.isfinite(keys[name]), -1).astype(np.int64) for name in whole})


def _periods(problem: Problem, times: "pd.Series[Any]") -> Ints:
    """The period of each time; 0 for an unknown time, which the rule of its column refuses."""
    if problem.period.is_integer:
        return np.asarray(times.where(np.isfinite(times), 0), dtype=np.int64)
    known = times.fillna(pd.Timestamp(0)).to_numpy().astype("datetime64[s]")
    return problem.period.number(known)


def _learned(problem: Problem, frame: pd.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The rows that are learned and scored, and those that do not say so: they are taken as learned."""
    if problem.where is None:
        return np.ones(len(frame), dtype=np.bool_), np.zeros(len(frame), dtype=np.bool_)
    values = frame[problem.where.column]
    unknown = values.isna().to_numpy(dtype=np.bool_)
    return unknown | (values == problem.where.equals).to_numpy(dtype=np.bool_), unknown
