"""Reads and checks the raw rows of a request for a panel by its description; a refusal names the allowed values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.known_inputs import KnownInputs, covariate_columns, encoded
from lockgate.features.recipe import State
from lockgate.forecaster import typed_rows
from lockgate.forecaster.input_rows import BrokenRule, CheckedRows, RowProblem
from lockgate.problem.columns import Flag, Whole
from lockgate.problem.description import Problem
from lockgate.problem.periods import Period

Bools = NDArray[np.bool_]

SHOWN_KEYS = 5


@dataclass(frozen=True)
class Window:
    """The periods that a forecaster takes: those after `cutoff` up to `last`."""

    cutoff: int
    last: int

    def allowed(self, period: Period) -> str:
        """The allowed times, as text."""
        return f"times from {period.text(self.cutoff + 1)} to {period.text(self.last)}"


def read(problem: Problem, state: State, window: Window, rows: pd.DataFrame) -> CheckedRows:
    """Check raw rows and turn them into arrays, in their order; `rows` is not changed.

    A column whose missing values have a meaning may be missing as a whole; other columns are ignored. Raises BadData
    that names the first bad rows.
    """
    frame, places, periods, rules = _read(problem, state, window, rows)
    typed_rows.refuse(rows, rules)
    covariates = encoded(covariate_columns(problem), frame, state.categories)
    learned, unknown = _learned(problem, frame)
    return CheckedRows(KnownInputs(places, periods, covariates), learned, unknown)


def problems(problem: Problem, state: State, window: Window, rows: pd.DataFrame) -> list[RowProblem]:
    """All problems of raw rows, by row; empty if they can be forecast. Raises BadData for a missing column."""
    rules = _read(problem, state, window, rows)[-1]
    return sorted(typed_rows.described(rows, rules), key=lambda found: found.row)


def _read(
    problem: Problem, state: State, window: Window, rows: pd.DataFrame
) -> tuple[pd.DataFrame, NDArray[np.int64], NDArray[np.int64], list[BrokenRule]]:
    frame, rules = typed_rows.read(problem, problem.request, rows)
    periods = _periods(problem, frame[problem.time_name])
    places = state.series.places(_keys(problem, frame))
    broken = {rule.column: rule.bad for rule in rules}
    known_time = ~broken[problem.time_name]
    outside = known_time & ((periods <= window.cutoff) | (periods > window.last))
    own = [
        *_key_rules(problem, state, frame, places, broken),
        BrokenRule(problem.time_name, outside, window.allowed(problem.period)),
        *typed_rows.weekday_rules(problem, rows, frame[problem.time_name]),
    ]
    return frame, places, periods, [*rules, *own]


def _key_rules(
    problem: Problem, state: State, frame: pd.DataFrame, places: NDArray[np.int64], broken: Mapping[str, Bools]
) -> Iterator[BrokenRule]:
    """A rule for each key column whose value no series has, and one for a combination that no series has."""
    unknown, named = places < 0, np.zeros(len(frame), dtype=np.bool_)
    for name in problem.keys:
        named |= broken[name]
    for name in problem.keys:
        alone = unknown & ~named & ~frame[name].isin(state.series.frame[name]).to_numpy(dtype=np.bool_)
        named |= alone
        yield BrokenRule(name, alone, _known_keys(problem, state))
    if problem.keys:
        yield BrokenRule(problem.keys[-1], unknown & ~named, _known_keys(problem, state))


def _known_keys(problem: Problem, state: State) -> str:
    frame = state.series.frame[list(problem.keys)]
    shown = "; ".join(", ".join(map(str, row)) for row in frame.head(SHOWN_KEYS).itertuples(index=False))
    more = "; ..." if len(frame) > SHOWN_KEYS else ""
    return f"known values of {' and '.join(problem.keys)}: {len(frame)} ({shown}{more}); a new one needs a training"


def _keys(problem: Problem, frame: pd.DataFrame) -> pd.DataFrame:
    """The key columns, whole numbers as integers; a value that is no number is refused by the rule of its column."""
    keys = frame[list(problem.keys)]
    whole = [name for name in problem.keys if isinstance(problem.column(name).kind, Whole | Flag)]
    return keys.assign(**{name: keys[name].where(np.isfinite(keys[name]), -1).astype(np.int64) for name in whole})


def _periods(problem: Problem, times: "pd.Series[Any]") -> NDArray[np.int64]:
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
