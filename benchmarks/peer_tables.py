"""The tables that another library gets of a problem: the columns that a competent user makes of the prepared rows.

Runs in the venv of the libraries, so it imports nothing of Lockgate. docs/explanation/peers.md says the same in words.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SEED = 1
FOLDS = 3
FEW_ROWS, MANY_WINDOWS, MANY_ROWS = 5_000, 6, 200_000  # a panel has several windows, or one
RELATIVE = ("mape", "rmspe", "smape", "rmsle")
STATE_WINDOWS = (5, 20, 50)  # rows
YEAR = {"hour": 168, "day": 364, "week": 52, "month": 12, "integer": 1}  # the longest season, in periods
SEASON = {"hour": 24, "day": 7, "week": 1, "month": 1, "integer": 1}
ROLLING = {"hour": (24, 168), "day": (7, 28, 91), "week": (4, 12, 26), "month": (3, 6, 12), "integer": (3, 10)}
PARTS = {
    "hour": ("hour", "dayofweek", "month"),
    "day": ("dayofweek", "day", "month", "year", "dayofyear"),
    "week": ("month", "year", "dayofyear"),
    "month": ("month", "year"),
    "integer": (),
}


@dataclass(frozen=True)
class Given:
    """The problem: its tables, its description, and the CPU-seconds of a fit."""

    rows: pd.DataFrame
    holdout: pd.DataFrame
    static: pd.DataFrame
    problem: dict[str, Any]
    cpu_seconds: float

    @classmethod
    def read(cls, folder: Path) -> "Given":
        """What peers.py has written into a folder."""
        rows, holdout, static = (
            pd.read_parquet(folder / f"peer_{name}.parquet") for name in ("rows", "holdout", "static")
        )
        asked = json.loads((folder / "peer.json").read_text())
        if where := asked["problem"]["where"]:
            rows = rows[rows[where["column"]] == where["equals"]]
        return cls(rows.reset_index(drop=True), holdout, static, asked["problem"], asked["cpu_seconds"])

    @property
    def target(self) -> str:
        return str(self.problem["target"])

    @property
    def keys(self) -> list[str]:
        return list(self.problem["keys"])

    @property
    def time(self) -> str:
        return str(self.problem["time"]["column"]) if self.problem["time"] else ""

    @property
    def period(self) -> str:
        return str(self.problem["time"]["period"])

    @property
    def is_panel(self) -> bool:
        return bool(self.problem["horizon"])

    @property
    def is_state(self) -> bool:
        return bool(self.problem["time"]) and not self.is_panel

    @property
    def classifies(self) -> bool:
        return bool(self.problem["task"] != "regression")

    @property
    def in_logs(self) -> bool:
        """Whether the log of the target is learned: errors are shares of a target that is above 0."""
        return bool(self.problem["metric"] in RELATIVE and (self.rows[self.target] > 0).mean() > 0.99)

    def labels(self) -> np.ndarray:
        """What is learned of `rows`: numbers, their logs, or 1 for the positive class."""
        target = self.rows[self.target]
        if self.classifies:
            return np.asarray(target.astype(str) == self.problem["positive"], dtype=int)
        values = np.asarray(target, dtype=np.float64)
        return np.log(np.maximum(values, values[values > 0].min())) if self.in_logs else values

    def forecasts(self, learned: np.ndarray) -> np.ndarray:
        """The forecasts of outputs in the scale of `labels`."""
        return np.exp(learned) if self.in_logs else np.asarray(learned, dtype=np.float64)

    def groups(self) -> np.ndarray | None:
        """The key of each row where whole keys are held out; else None."""
        if not self.is_state:
            return None
        return self.rows.groupby(self.keys).ngroup().to_numpy()


def splits(given: Given) -> list[tuple[np.ndarray, np.ndarray]]:
    """Inner folds, split as the holdout is: the last windows of the horizon, whole keys, or rows by class."""
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

    if given.is_panel:
        number = periods(given.period, given.rows[given.time])
        ends = [number.max() - place * given.problem["horizon"] for place in range(windows(given))]
        starts = [end - given.problem["horizon"] for end in ends]
        return [
            (np.flatnonzero(number <= start), np.flatnonzero((number > start) & (number <= end)))
            for start, end in zip(starts, ends, strict=True)
        ]
    if given.is_state:
        return list(GroupKFold(FOLDS).split(given.rows, groups=given.groups()))
    kind = StratifiedKFold if given.classifies else KFold
    return list(kind(FOLDS, shuffle=True, random_state=SEED).split(given.rows, given.labels()))


def windows(given: Given) -> int:
    """The number of windows of the horizon among the inner folds of a panel."""
    rows = len(given.rows)
    return MANY_WINDOWS if rows < FEW_ROWS else 1 if rows > MANY_ROWS else FOLDS


def both_tables(given: Given) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Columns of rows and of holdout, with the same categories; and what they are, in words."""
    if given.is_panel:
        train, test = _with_lags(given)
        words = "calendar, key, known and static columns, lags and rolling means that are at least a horizon old"
    elif given.is_state:
        train, test = (_window_statistics(given, frame) for frame in (given.rows, given.holdout))
        windows = ", ".join(map(str, STATE_WINDOWS))
        words = f"age, each column, its mean and deviation over {windows} rows, its change since the first 5 rows"
    else:
        train, test = (_dates(given, frame.drop(columns=given.target)) for frame in (given.rows, given.holdout))
        words = "the columns, and those that the description declares"
    for name in train.select_dtypes(exclude="number").columns:
        common = train[name].value_counts().index
        train[name], test[name] = (pd.Categorical(frame[name], categories=common) for frame in (train, test))
    return train, test, words


def periods(period: str, times: pd.Series) -> np.ndarray:
    """The number of the period of each time."""
    if period == "integer":
        return times.to_numpy(dtype=np.int64)
    unit = {"hour": "h", "day": "D", "week": "D", "month": "M"}[period]
    number = times.to_numpy().astype(f"datetime64[{unit}]").astype(np.int64)
    return number // 7 if period == "week" else number


def _dates(given: Given, frame: pd.DataFrame, parts: tuple[str, ...] = PARTS["day"]) -> pd.DataFrame:
    """Each date as parts of the calendar; the static features joined."""
    if len(given.static):
        frame = frame.merge(given.static, how="left", on=given.keys)
    for name in frame.select_dtypes("datetime").columns:
        date = frame.pop(name).dt
        frame = frame.assign(**{f"{name}_{part}": getattr(date, part) for part in parts})
    return frame.reset_index(drop=True)


def _with_lags(given: Given) -> tuple[pd.DataFrame, pd.DataFrame]:
    both = pd.concat([given.rows, given.holdout], ignore_index=True)
    number = periods(given.period, both[given.time])
    number -= number.min()
    key = both.groupby(given.keys).ngroup().to_numpy() if given.keys else np.zeros(len(both), dtype=int)
    known = np.arange(len(both)) < len(given.rows)
    grid = np.full((key.max() + 1, number.max() + 1), np.nan)
    grid[key[known], number[known]] = given.labels()
    found = {name: values[key, number] for name, values in _lags(given, grid).items()}
    frame = _dates(given, both.drop(columns=given.target), PARTS[given.period]).assign(**found)
    for name in given.keys:
        frame[name] = frame[name].astype(str)
    return frame[known].reset_index(drop=True), frame[~known].reset_index(drop=True)


def _lags(given: Given, grid: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays of keys x periods, each of targets that are at least a horizon older than their period."""
    horizon, season, year = int(given.problem["horizon"]), SEASON[given.period], YEAR[given.period]
    first, whole = -(-horizon // season) * season, -(-horizon // year) * year
    lags = dict.fromkeys([horizon, *(first + season * place for place in range(4)), whole, whole + year])
    found = {f"lag_{lag}": _shifted(grid, lag) for lag in lags}
    for window in ROLLING[given.period]:
        found[f"mean_{window}"] = _shifted(_rolling_mean(grid, window), horizon)
    found["mean_of_seasons"] = np.nanmean([_shifted(grid, first + season * place) for place in range(4)], axis=0)
    return found


def _shifted(grid: np.ndarray, by: int) -> np.ndarray:
    found = np.full(grid.shape, np.nan)
    found[:, by:] = grid[:, : max(grid.shape[1] - by, 0)]
    return found


def _rolling_mean(grid: np.ndarray, window: int) -> np.ndarray:
    known = ~np.isnan(grid)
    total, count = np.cumsum(np.where(known, grid, 0.0), axis=1), np.cumsum(known, axis=1)
    total[:, window:], count[:, window:] = (
        total[:, window:] - total[:, :-window],
        count[:, window:] - count[:, :-window],
    )
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _window_statistics(given: Given, frame: pd.DataFrame) -> pd.DataFrame:
    """Statistics of the rows of a key so far."""
    ordered = frame.sort_values([*given.keys, given.time])
    values = ordered.drop(columns=[given.target, *given.keys, given.time]).select_dtypes("number")
    values = values.loc[:, values.nunique() > 1]
    key = [ordered[name] for name in given.keys]
    found = [values]
    for window in STATE_WINDOWS:
        rolling = values.groupby(key).rolling(window, min_periods=1)
        for name, table in (("mean", rolling.mean()), ("std", rolling.std())):
            found.append(table.droplevel(list(range(len(key)))).add_suffix(f"_{name}_{window}"))
    start = values.groupby(key).expanding().mean().droplevel(list(range(len(key))))
    place = ordered.groupby(given.keys).cumcount()
    first = start.where(place < STATE_WINDOWS[0]).groupby(key).ffill()
    found.append((found[1] - first.add_suffix("_mean_5")).add_suffix("_change"))
    age = ordered[given.time] - ordered.groupby(given.keys)[given.time].transform("min")
    table = pd.concat([*found, age.rename("age")], axis=1)
    return table.loc[frame.index].reset_index(drop=True)
