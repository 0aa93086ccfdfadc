"""The feature matrix of a declared recipe. A row's features depend on the row and the history up to the cutoff."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.features.known_inputs import KnownInputs
from lockgate.features.panel_recipe import holidays
from lockgate.features.panel_recipe.declaration import STATISTICS, Declaration
from lockgate.features.panel_recipe.linear import Linear
from lockgate.features.panel_recipe.past import GROUP_STATISTICS, NEVER, Past, flags
from lockgate.features.panel_recipe.period_calendar import COLUMNS, groups, moments
from lockgate.features.panel_recipe.regressors import Layout
from lockgate.features.recipe import GROUP_MEAN, RIDGE, Matrix
from lockgate.features.scale import Scale
from lockgate.problem.columns import Role
from lockgate.problem.description import Problem

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Column = NDArray[np.float64] | NDArray[np.float32] | NDArray[np.int64] | NDArray[np.int8]


@dataclass(frozen=True)
class History:
    """All that the matrix of rows after a cutoff is made from."""

    cutoff: int
    declared: Declaration
    layout: Layout
    linear: Linear
    past: Past
    scale: Scale  # of the keys
    static: NDArray[np.float32]  # (keys, static features)
    static_names: tuple[str, ...]
    places: Ints | None = None  # of the keys among all keys; None: these are all keys


def matrix(history: History, names: tuple[str, ...], rows: KnownInputs) -> Matrix:
    """Features of rows after the cutoff, and the offsets of boosters."""
    expected = history.linear.predict(history.layout.of_rows(rows), rows.key)
    usual = _group(history, rows)[:, 0]
    columns: dict[str, Column] = {
        "ahead": rows.period - history.cutoff,
        "linear": expected,
        "size": _size(history)[rows.key],
        **_calendar(history, rows),
        **_holidays(history, rows),
        **_past(history, rows, expected),
        **_events(history, rows),
        **_known(history, rows),
    }
    values = np.column_stack([columns[name] for name in names]).astype(np.float32)
    offsets = {RIDGE: expected, GROUP_MEAN: np.where(np.isnan(usual), expected, usual)}
    return Matrix(values, names, offsets, history.scale.take(rows.key))


def feature_names(problem: Problem, declared: Declaration, layout: Layout) -> tuple[str, ...]:
    """The names of the features, in order."""
    relative = [f"{name}_{window}" for window in declared.rolling for name in declared.statistics]
    flagged = flags(layout)
    return (
        "ahead",
        "linear",
        "size",
        *declared.calendar,
        *(holidays.names(problem.period) if declared.holidays else ()),
        *(f"lag_{age}" for age in declared.lags),
        *(f"seasonal_{season}" for season in declared.seasonal),
        *relative,
        *(f"residual_{window}" for window in declared.rolling),
        *(f"{name}_so_far" for name in STATISTICS if declared.expanding),
        *(f"group_{name}" for name in GROUP_STATISTICS if declared.groups),
        *(f"since_{name}" for name in flagged if declared.since),
        *(["age"] if declared.trend else []),
        *(["key"] if declared.key and problem.keys else []),
        *(column.name for column in layout.columns if declared.covariates),
        *(column.name for column in problem.of_role(Role.STATIC_FEATURES) if declared.static),
    )


def _size(history: History) -> Floats:
    """The size of each key: the mean log, or the log of the level."""
    if history.scale.level is None:
        return np.asarray(history.past.expanding[:, 0], dtype=np.float64)
    return np.log(history.scale.level)


def _calendar(history: History, rows: KnownInputs) -> dict[str, Column]:
    at = moments(history.layout.period, rows.period)
    return {name: COLUMNS[name](at) for name in history.declared.calendar}


def _holidays(history: History, rows: KnownInputs) -> dict[str, Column]:
    days = history.layout.holidays
    return {} if days is None else dict(holidays.columns(days, history.layout.period, rows.period))


def _past(history: History, rows: KnownInputs, expected: Floats) -> dict[str, Column]:
    """Lags and statistics relative to the linear forecast of the row; standard deviations as they are."""
    declared, past, ahead = history.declared, history.past, rows.period - history.cutoff
    newest = past.recent.shape[1] - 1
    columns: dict[str, Column] = {}
    for age in declared.lags:
        columns[f"lag_{age}"] = past.filled[rows.key, newest - np.maximum(age - ahead, 0)] - expected
    for season in declared.seasonal:
        back = -ahead % season
        last = past.recent[rows.key, newest - back]
        before = past.recent[rows.key, newest - back - season]
        columns[f"seasonal_{season}"] = np.where(np.isnan(last), before, last) - expected
    for place, window in enumerate(declared.rolling):
        columns[f"residual_{window}"] = past.residuals[rows.key, place]
        for statistic, name in enumerate(STATISTICS):
            columns[f"{name}_{window}"] = _relative(name, past.rolling[rows.key, place, statistic], expected)
    for statistic, name in enumerate(STATISTICS):
        columns[f"{name}_so_far"] = _relative(name, past.expanding[rows.key, statistic], expected)
    group = _group(history, rows)
    for statistic, name in enumerate(GROUP_STATISTICS):
        columns[f"group_{name}"] = _relative(name, group[:, statistic], expected)
    return columns


def _relative(name: str, values: NDArray[np.float32], expected: Floats) -> Column:
    return values if name == "std" else values - expected


def _group(history: History, rows: KnownInputs) -> NDArray[np.float32]:
    part, _ = groups(history.layout.period, rows.period)
    names = flags(history.layout)
    on = (rows.covariates[names[0]] == 1).astype(np.int64) if names else np.zeros(len(rows), dtype=np.int64)
    return np.asarray(history.past.groups[rows.key, part, on])


def _events(history: History, rows: KnownInputs) -> dict[str, Column]:
    past, columns = history.past, {"age": _since(rows.period, history.past.opened[rows.key])}
    for place, name in enumerate(flags(history.layout)):
        columns[f"since_{name}"] = _since(rows.period, past.events[rows.key, place])
    return dict(columns)


def _since(periods: Ints, events: Ints) -> Floats:
    return np.where(events == NEVER, np.nan, periods - events).astype(np.float64)


def _known(history: History, rows: KnownInputs) -> dict[str, Column]:
    return {
        "key": rows.key if history.places is None else history.places[rows.key],
        **{column.name: rows.covariates[column.name] for column in history.layout.columns},
        **{name: history.static[rows.key, place] for place, name in enumerate(history.static_names)},
    }
