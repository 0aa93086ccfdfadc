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
from lockgate.forecaster.raw_rows import RawRows
from lockgate.forecaster.typed_rows import Columns
from lockgate.forecaster.window import Window
from lockgate.problem.columns import Date, Flag, Whole
from lockgate.problem.description import EXACT, Problem

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

SHOWN_KEYS = 5
EPOCH = np.datetime64(0, "s")


@dataclass(frozen=True)
class PanelRequest:
    """The rows that a forecaster takes: by the description of its problem, of its series, in its window."""

    problem: Problem
    series: Series
    categories: Categories
    window: Window

    def read(self, rows: RawRows) -> CheckedRows:
        """Check raw rows and turn them into arrays, in their order; `rows` is not changed.

        A column whose missing values have a meaning may be missing as a whole; other columns are ignored. Raises
        BadData that names the first bad rows.
        """
        found = self._typed(rows)
        typed_rows.refuse(rows, found.rules)
        covariates = encoded(covariate_columns(self.problem), found.columns, self.categories)
        learned, unknown = _learned(self.problem, found)
        return CheckedRows(KnownInputs(found.places, found.periods, covariates), learned, unknown)

    def problems(self, rows: RawRows) -> list[RowProblem]:
        """All problems of raw rows, by row; empty if they can be forecast. Raises BadData for a missing column."""
        return sorted(typed_rows.described(rows, self._typed(rows).rules), key=lambda found: found.row)

    def _typed(self, rows: RawRows) -> "_Typed":
        problem = self.problem
        columns, rules = typed_rows.read(problem, problem.request, rows)
        times = columns[problem.time_name]
        periods = _periods(problem, times)
        places = self.series.places_of([_key(problem, name, columns) for name in problem.keys], len(rows))
        broken = {rule.column: rule.bad for rule in rules}
        own = [
            *self._key_rules(columns, places, broken),
            *self._time_rules(periods, broken[problem.time_name]),
            *typed_rows.weekday_rules(problem, rows, times),
        ]
        replaced = (*problem.keys, problem.time_name)
        return _Typed(columns, places, periods, [*own, *(rule for rule in rules if rule.column not in replaced)])

    def _time_rules(self, periods: Ints, no_time: Bools) -> Iterator[BrokenRule]:
        problem, window = self.problem, self.window
        name, allowed = problem.time_name, window.allowed(problem.period)
        kind = problem.column(name).kind
        form = f"; {time_values.form_of(kind, problem.period)}" if isinstance(kind, Date) else ""
        yield BrokenRule(name, no_time, allowed + form)
        yield BrokenRule(name, ~no_time & ((periods <= window.cutoff) | (periods > window.last)), allowed)

    def _key_rules(self, columns: Columns, places: Ints, broken: Mapping[str, Bools]) -> Iterator[BrokenRule]:
        """A rule for each key column whose value no series has, and one for a combination that no series has."""
        unknown = places < 0
        if not any(bad.any() for bad in (unknown, *(broken[name] for name in self.problem.keys))):
            return
        named, allowed = np.zeros(len(places), dtype=np.bool_), self._known_keys()
        for name in self.problem.keys:
            known = pd.Index(columns[name]).isin(self.series.frame[name])
            alone = broken[name] | (unknown & ~known)
            yield BrokenRule(name, alone & ~named, allowed)
            named |= alone
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

    columns: Columns
    places: Ints
    periods: Ints
    rules: list[BrokenRule]


def _key(problem: Problem, name: str, columns: Columns) -> NDArray[Any]:
    """A key column, whole numbers as integers; a value that is no number is refused by the rule of its column."""
    if not isinstance(problem.column(name).kind, Whole | Flag):
        return columns[name]
    return np.where(np.abs(columns[name]) < EXACT, columns[name], -1).astype(np.int64)


def _periods(problem: Problem, times: NDArray[Any]) -> Ints:
    """The period of each time; 0 for an unknown time, which the rule of its column refuses."""
    if problem.period.is_integer:
        return np.where(np.abs(times) < EXACT, times, 0).astype(np.int64)
    return problem.period.number(np.where(np.isnat(times), EPOCH, times))


def _learned(problem: Problem, found: _Typed) -> tuple[Bools, Bools]:
    """The rows that are learned and scored, and those that do not say so: they are taken as learned."""
    if problem.where is None:
        return np.ones(len(found.places), dtype=np.bool_), np.zeros(len(found.places), dtype=np.bool_)
    values = found.columns[problem.where.column]
    unknown = pd.isna(values)
    return unknown | np.asarray(values == problem.where.equals), unknown
