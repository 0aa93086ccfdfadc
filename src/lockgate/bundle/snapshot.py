"""The training snapshot of a bundle: the distribution of each request column, of forecasts and of features, as JSON.

Monitoring compares what is asked now with it. Keys, times and dates are left out: they change by nature.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.bundle import distribution, feature_snapshot
from lockgate.bundle.distribution import Distribution, distribution_of, texts_of
from lockgate.bundle.feature_snapshot import Features
from lockgate.bundle.some_rows import MOST_FORECASTS, some_keys, spread
from lockgate.forecaster.ensemble import Forecaster
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.forecaster.window import Window
from lockgate.problem.columns import Column, Date, Role
from lockgate.problem.description import Problem

FILE = "snapshot.json"
FORMAT = 1
MOST_KEYS = 5_000  # with little history, by name
EARLIER = "the version was trained by an earlier release"

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Snapshot:
    """The distributions of the request columns, of forecasts and features (None: unknown), and what has none.

    `left_out` are columns that change by nature. `little_history` are the keys with few or old rows, as texts.
    `no_features` says why there are no features.
    """

    columns: tuple[Distribution, ...]
    forecasts: Distribution | None
    left_out: tuple[str, ...]
    little_history: tuple[str, ...]
    features: Features | None = None
    no_features: str = EARLIER

    def as_json(self) -> bytes:
        """The content of the file; equal snapshots give equal bytes."""
        return (json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True) + "\n").encode()


def restored(content: bytes) -> Snapshot:
    """The snapshot in a verified file."""
    found = json.loads(content)
    columns = tuple(distribution.restored(each) for each in found["columns"])
    forecasts = distribution.restored(found["forecasts"]) if found["forecasts"] else None
    features = feature_snapshot.restored(found["features"]) if found.get("features") else None
    names = tuple(found["left_out"]), tuple(found["little_history"])
    return Snapshot(columns, forecasts, *names, features, found.get("no_features", EARLIER))


def snapshot_of(forecaster: ForecasterProtocol, rows: pd.DataFrame) -> Snapshot:
    """The snapshot of a forecaster (of any kind) and its training rows, a frame as `prepare` writes it."""
    problem = forecaster.problem
    periods = _periods(problem, rows)
    columns = tuple(distribution_of(each.name, rows[each.name], periods) for each in compared(problem))
    asked = reference_rows(problem, rows, forecaster.window)
    forecasts, few = _of_forecasts(forecaster, problem, asked), _little_history(forecaster)
    features, no_features = feature_snapshot.features_of(forecaster, rows)
    return Snapshot(columns, forecasts, left_out(problem), few, features, no_features)


def compared(problem: Problem) -> tuple[Column, ...]:
    """The columns of a request that have a distribution: all but keys, times and dates."""
    return tuple(
        column
        for column in problem.request
        if column.role not in (Role.KEYS, Role.TIME) and not isinstance(column.kind, Date)
    )


def left_out(problem: Problem) -> tuple[str, ...]:
    """The names of the other columns of a request, but for keys."""
    names = [column.name for column in compared(problem)]
    return tuple(each.name for each in problem.request if each.role is not Role.KEYS and each.name not in names)


def key_texts(problem: Problem, rows: pd.DataFrame) -> list[str]:
    """The key of each row as a text."""
    columns = [texts_of(rows[name]) for name in problem.keys]
    return [" / ".join(parts) for parts in zip(*columns, strict=True)]


def reference_rows(problem: Problem, rows: pd.DataFrame, window: Window | None) -> pd.DataFrame:
    """pd.DataFrame whose forecasts are the reference: those of the next horizon of a panel, else training rows.

    The next horizon has the covariates of the same season a year (a longest season) earlier.
    """
    if window is not None:
        return _next_horizon(problem, rows, window)
    if problem.kind == "state":
        return some_keys(problem, rows)
    return rows.iloc[spread(len(rows), MOST_FORECASTS)].reset_index(drop=True)


def _next_horizon(problem: Problem, rows: pd.DataFrame, window: Window) -> pd.DataFrame:
    number = problem.period.number(rows[problem.time_name].to_numpy())
    season = problem.period.seasons[-1] if problem.period.seasons else window.horizon
    shift = season * -(-window.horizon // season)
    first = window.cutoff + 1 - shift
    chosen = (number >= first) & (number < first + window.horizon)
    found = some_keys(problem, rows[chosen])
    moved = problem.period.start(problem.period.number(found[problem.time_name].to_numpy()) + shift)
    return found.assign(**{problem.time_name: moved})


def _of_forecasts(forecaster: ForecasterProtocol, problem: Problem, asked: pd.DataFrame) -> Distribution | None:
    """The distribution of the forecasts of rows; None if there is no such row, as with a short history."""
    asked = asked.drop(columns=[problem.target], errors="ignore")
    refused = {found.row for found in forecaster.problems(asked)} if len(asked) else set()
    asked = asked.drop(index=sorted(refused)).reset_index(drop=True)
    if not len(asked):
        return None
    values = forecast_values(forecaster.predict(asked), forecaster.classes)
    return distribution_of("prediction", values, _periods(problem, asked))


def forecast_values(found: Floats, classes: Any) -> "pd.Series[Any]":
    """Forecasts as one column: numbers, the probability of the positive class, or the most probable of more classes."""
    if found.ndim == 1:
        return pd.Series(found)
    return pd.Series(np.asarray(classes, dtype=object)[np.argmax(found, axis=1)])


def _periods(problem: Problem, rows: pd.DataFrame) -> Ints | None:
    """The number of the period of each row of a panel; None for other problems, whose keys share no time."""
    return problem.period.number(rows[problem.time_name].to_numpy()) if problem.kind == "panel" else None


def _little_history(forecaster: ForecasterProtocol) -> tuple[str, ...]:
    if not isinstance(forecaster, Forecaster):
        return ()
    few = np.asarray(forecaster.state.little_history, dtype=np.bool_)
    return tuple(_keys(forecaster.problem, forecaster.state.series.frame[few]))


def _keys(problem: Problem, frame: pd.DataFrame) -> Iterator[str]:
    yield from sorted(key_texts(problem, frame))[:MOST_KEYS] if problem.keys else ()
