"""The training snapshot of a bundle: the distribution of each request column, and of forecasts, as JSON.

Monitoring compares what is asked now with it. Keys, times and dates are left out: they change by nature.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.forecaster.ensemble import Forecaster
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.forecaster.window import Window
from lockgate.problem.columns import Column, Date, Role
from lockgate.problem.description import Problem

FILE = "snapshot.json"
FORMAT = 1
BINS = 10  # of a number, by its quantiles
FEW_VALUES = 20  # a number with at most this many values is counted by value
MOST_VALUES = 50  # texts with a bin of their own
POINTS = 256  # evenly spaced values of a sorted number, for the two-sample test
SPREAD = 0.5  # rows added to each bin, so that an empty bin has a logarithm
MOST_FORECASTS = 10_000
MOST_KEYS = 5_000  # with little history, by name
MISSING, OTHER = 0, 1  # the first bins

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Distribution:
    """The values of a column in the training rows.

    `counts` are the rows in each bin: missing, other, and then a bin for each text of `texts` or between `edges`.
    `points` are evenly spaced values of the sorted numbers; () for texts. `usual` has, by the length of a window in
    periods, the largest stability index of such a window in the training rows; empty without a shared time.
    """

    name: str
    counts: tuple[int, ...]
    texts: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    points: tuple[float, ...] = ()
    usual: Mapping[int, float] | None = None

    @property
    def is_number(self) -> bool:
        """Whether the values are compared as numbers."""
        return bool(self.points)

    def bins(self, values: "pd.Series[Any]") -> Ints:
        """The bin of each value."""
        if self.is_number:
            numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64)
            return np.where(np.isfinite(numbers), np.searchsorted(self.edges, numbers, side="left") + 2, MISSING)
        place = {text: number + 2 for number, text in enumerate(self.texts)}
        codes, found = pd.factorize(values)
        known = np.array([*(place.get(text, OTHER) for text in texts_of(found)), MISSING], dtype=np.int64)
        return np.asarray(known[codes])

    def counted(self, values: "pd.Series[Any]") -> Ints:
        """The number of values in each bin."""
        return np.bincount(self.bins(values), minlength=len(self.counts))

    def usual_index(self, periods: int) -> float:
        """The largest index of a window of at most `periods` in the training rows; 0 where it is unknown."""
        known = [index for length, index in (self.usual or {}).items() if length <= max(1, periods)]
        return known[-1] if known else 0.0


@dataclass(frozen=True)
class Snapshot:
    """The distributions of the request columns and of forecasts (None: unknown), and what has no distribution.

    `left_out` are columns that change by nature. `little_history` are the keys with few or old rows, as texts.
    """

    columns: tuple[Distribution, ...]
    forecasts: Distribution | None
    left_out: tuple[str, ...]
    little_history: tuple[str, ...]

    def as_json(self) -> bytes:
        """The content of the file; equal snapshots give equal bytes."""
        return (json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True) + "\n").encode()


def restored(content: bytes) -> Snapshot:
    """The snapshot in a verified file."""
    found = json.loads(content)
    columns = tuple(_distribution(each) for each in found["columns"])
    forecasts = _distribution(found["forecasts"]) if found["forecasts"] else None
    return Snapshot(columns, forecasts, tuple(found["left_out"]), tuple(found["little_history"]))


def _distribution(found: Mapping[str, Any]) -> Distribution:
    usual = {int(length): index for length, index in found["usual"].items()} if found["usual"] else None
    lists = {name: tuple(found[name]) for name in ("counts", "texts", "edges", "points")}
    return Distribution(found["name"], **lists, usual=dict(sorted(usual.items())) if usual else None)


def snapshot_of(forecaster: ForecasterProtocol, rows: pd.DataFrame) -> Snapshot:
    """The snapshot of a forecaster (of any kind) and its training rows, a frame as `prepare` writes it."""
    problem = forecaster.problem
    periods = _periods(problem, rows)
    columns = tuple(distribution_of(each.name, rows[each.name], periods) for each in compared(problem))
    asked = reference_rows(problem, rows, forecaster.window)
    return Snapshot(columns, _of_forecasts(forecaster, problem, asked), left_out(problem), _little_history(forecaster))


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


def distribution_of(name: str, values: "pd.Series[Any]", periods: Ints | None = None) -> Distribution:
    """The distribution of a column; `periods` number the period of each row, None without a shared time."""
    known = values.dropna()
    if values.dtype.kind in "iuf" and known.nunique() > FEW_VALUES:
        numbers = np.sort(known.to_numpy(dtype=np.float64))
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, BINS + 1)[1:-1]))
        places = np.linspace(0, len(numbers) - 1, min(POINTS, len(numbers))).round().astype(np.int64)
        empty = Distribution(
            name, (0,) * (len(edges) + 3), edges=tuple(edges.tolist()), points=tuple(numbers[places].tolist())
        )
    else:
        texts = texts_of(known.value_counts().head(MOST_VALUES).index)
        empty = Distribution(name, (0,) * (len(texts) + 2), texts=tuple(sorted(texts)))
    bins = empty.bins(values)
    counts = np.bincount(bins, minlength=len(empty.counts))
    usual = None if periods is None else usual_indices(bins, periods, len(counts))
    return Distribution(name, tuple(counts.tolist()), empty.texts, empty.edges, empty.points, usual)


def stability_index(before: Ints, after: Ints) -> float:
    """The population stability index of the rows in each bin: sum of (share after - before) x log(after / before)."""
    first, second = ((each + SPREAD) / (each + SPREAD).sum() for each in (np.asarray(before), np.asarray(after)))
    return float(((second - first) * np.log(second / first)).sum())


def usual_indices(bins: Ints, periods: Ints, count: int) -> dict[int, float]:
    """The largest index of a window of 1, 2, 4, ... periods of these rows against all of them."""
    _, place = np.unique(periods, return_inverse=True)
    number = int(place.max(initial=-1)) + 1
    cells = np.bincount(place * count + bins, minlength=number * count).reshape(number, count)
    sums = np.vstack([np.zeros((1, count), dtype=np.int64), np.cumsum(cells, axis=0)])
    lengths = [2**power for power in range(20) if 2 ** (power + 1) <= number]
    return {length: _largest(sums[length:] - sums[:-length], sums[-1]) for length in lengths}


def _largest(windows: Ints, whole: Ints) -> float:
    first, second = ((each + SPREAD) / (each + SPREAD).sum(axis=-1, keepdims=True) for each in (whole, windows))
    return float(((second - first) * np.log(second / first)).sum(axis=1).max())


def texts_of(values: Any) -> list[str]:
    """Values as texts: 1, 1.0 and "1" are the same text."""
    return [f"{value:.15g}" if isinstance(value, int | float | np.number) else str(value) for value in values]


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
        return _some_keys(problem, rows)
    return rows.iloc[_spread(len(rows), MOST_FORECASTS)].reset_index(drop=True)


def _next_horizon(problem: Problem, rows: pd.DataFrame, window: Window) -> pd.DataFrame:
    number = problem.period.number(rows[problem.time_name].to_numpy())
    season = problem.period.seasons[-1] if problem.period.seasons else window.horizon
    shift = season * -(-window.horizon // season)
    first = window.cutoff + 1 - shift
    chosen = (number >= first) & (number < first + window.horizon)
    found = _some_keys(problem, rows[chosen])
    moved = problem.period.start(problem.period.number(found[problem.time_name].to_numpy()) + shift)
    return found.assign(**{problem.time_name: moved})


def _some_keys(problem: Problem, rows: pd.DataFrame) -> pd.DataFrame:
    """Whole keys with at most about MOST_FORECASTS rows in all."""
    if not problem.keys or len(rows) <= MOST_FORECASTS:
        return rows.reset_index(drop=True)
    key = rows.groupby(list(problem.keys), sort=True).ngroup().to_numpy()
    keys = int(key.max()) + 1
    return rows[np.isin(key, _spread(keys, max(1, keys * MOST_FORECASTS // len(rows))))].reset_index(drop=True)


def _spread(count: int, most: int) -> Ints:
    """At most `most` places of a sequence of `count`, evenly spread."""
    return np.unique(np.linspace(0, max(0, count - 1), min(count, most)).round().astype(np.int64))


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
