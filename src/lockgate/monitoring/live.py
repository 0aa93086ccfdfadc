"""Logged forecasts with what came true, as typed rows: the input of every number of the monitor. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.forecaster import typed_rows
from lockgate.problem.columns import Flag, Whole
from lockgate.problem.description import Problem
from lockgate.problem.target_values import outside_where

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# The columns of a logged row with the truth in force (missing: not known yet). `truth_at` is the time when a truth of
# the row was loaded first, whatever was corrected later.
LOGGED = (
    "at", "request_id", "row", "role", "version", "degraded", "confidence", "period", "horizon", "segment", "features",
    "prediction", "lower", "upper", "class", "probabilities", "truth_value", "truth_class", "truth_at",
)  # fmt: skip
ABOUT = tuple(name for name in LOGGED if name not in ("segment", "features", "probabilities"))
ANSWERS = ("served", "canary", "batch")  # roles of forecasts that a caller has received


@dataclass(frozen=True)
class Live:
    """Logged rows: `rows` are the columns of the request by their types, and the target where it is known.

    `about` has the columns ABOUT, and `key`: the key of the row as text. `forecast` is (rows,), or (rows, classes) for
    more than two `classes`.
    """

    problem: Problem
    rows: pd.DataFrame
    about: pd.DataFrame
    forecast: Floats
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def known(self) -> Bools:
        """The rows whose truth is known."""
        return np.asarray(self.about["truth_at"].notna(), dtype=np.bool_)

    @property
    def scored(self) -> Bools:
        """The rows whose truth is known and that `where` does not leave out."""
        return np.asarray(self.known & ~outside_where(self.problem, self.rows))

    @property
    def waiting(self) -> Bools:
        """The rows whose truth is not known yet; those that `where` leaves out wait for none."""
        return np.asarray(~self.known & ~outside_where(self.problem, self.rows))

    def where(self, chosen: Bools) -> "Live":
        """Some of the rows."""
        return replace(
            self,
            rows=self.rows[chosen].reset_index(drop=True),
            about=self.about[chosen].reset_index(drop=True),
            forecast=self.forecast[chosen],
        )

    def of_version(self, version: int) -> "Live":
        """The rows that this version has scored."""
        return self.where((self.about["version"] == version).to_numpy(dtype=np.bool_))

    def of_roles(self, roles: Sequence[str]) -> "Live":
        """The rows with one of these roles."""
        return self.where(self.about["role"].isin(list(roles)).to_numpy(dtype=np.bool_))


def live_of(problem: Problem, logged: pd.DataFrame) -> Live:
    """The typed rows of a log: a frame with the columns LOGGED.

    A column that the log lacks, or a value that is no longer allowed, is missing.
    """
    logged = logged.reset_index(drop=True)
    raw = pd.DataFrame(
        [{**features, **segment} for features, segment in zip(logged["features"], logged["segment"], strict=True)],
        index=logged.index,
    )
    rows = _typed(problem, raw)
    target = logged["truth_value"] if problem.task == "regression" else logged["truth_class"]
    forecast, classes = _forecast(problem, logged)
    about = logged[list(ABOUT)].assign(key=_keys(problem, logged))
    return Live(problem, rows.assign(**{problem.target: target}), about, forecast, classes)


def _typed(problem: Problem, raw: pd.DataFrame) -> pd.DataFrame:
    for column in problem.request:
        if column.name not in raw:
            raw[column.name] = pd.Series([None] * len(raw), dtype=object)
    columns, rules = typed_rows.read(problem, problem.request, raw)
    frame = pd.DataFrame(columns, index=raw.index)
    for rule in rules:
        if rule.bad.any():
            frame[rule.column] = frame[rule.column].where(~rule.bad)
    whole = [column.name for column in problem.request if isinstance(column.kind, Whole | Flag)]
    return frame.astype({name: "int64" for name in whole if not frame[name].isna().any()})  # 1 and not 1.0


def _forecast(problem: Problem, logged: pd.DataFrame) -> tuple[Floats, tuple[str, ...]]:
    """The forecasts as the metric takes them, and the classes of more than two."""
    if problem.task != "multiclass":
        return logged["prediction"].to_numpy(dtype=np.float64), ()
    given = [each or {} for each in logged["probabilities"]]
    classes = tuple(sorted({name for each in given for name in each}))
    found = np.array(
        [[each.get(name, 0.0 if each else np.nan) for name in classes] for each in given], dtype=np.float64
    )
    return found.reshape(len(given), len(classes)), classes


def _keys(problem: Problem, logged: pd.DataFrame) -> Any:
    """The key of each row as text; without keys and time, the row itself."""
    if problem.keys or problem.time:
        return [" / ".join(_text(each[name]) for name in problem.keys) for each in logged["segment"]]
    return [f"{request} {row}" for request, row in zip(logged["request_id"], logged["row"], strict=True)]


def _text(value: Any) -> str:
    return f"{value:.15g}" if isinstance(value, int | float) else str(value)
