"""The recipe of a panel state: its state, and how the state is fitted, stored and restored."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.panel_state.conditions import Conditions, conditions
from lockgate.features.panel_state.declaration import Declaration, declaration
from lockgate.features.panel_state.rows import Order, change, filled, rolling, weighted_mean
from lockgate.features.tabular import Arrays, FeatureMatrix, Floats, Learned, TabularRecipe
from lockgate.problem.columns import Category, Column, Date, Months, Role
from lockgate.problem.description import Problem
from lockgate.system.single_thread import on_one_thread

Ints = NDArray[np.int64]

BLOCK = 20_000  # rows whose statistics are computed at a time
FIRST_ROWS = 5  # of a key, from which a change is counted
MOST_INDICATORS = 12  # values of a category with a column each
PENALTY = 10.0  # of the index's regression, in rows
SAME = 1e-9  # a spread below this share of the mean is rounding
FOLDS = 5
WORDS = {"condition": "operating condition", "index": "index of all columns"}


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of the kept columns in each condition, (conditions, columns)."""

    kept: Ints  # places of the columns that vary within a condition
    conditions: Conditions
    mean: Floats
    spread: Floats  # infinite for a column that is constant in the condition

    def of(self, values: Floats, condition: Ints) -> Floats:
        """The kept columns in units of their standard deviation from the mean of the condition."""
        return (values[:, self.kept] - self.mean[condition]) / self.spread[condition]


@dataclass(frozen=True)
class StateOfKeys:
    """What the recipe has learned: the scaling, the weights of the index, and the texts of categories."""

    problem: Problem
    scaling: Scaling
    weights: Floats  # (kept columns, outputs)
    texts: Mapping[str, tuple[str, ...]]  # of each category column, those with an indicator

    @cached_property
    def declared(self) -> Declaration:
        """The declared features."""
        return declaration(self.problem)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of its features."""
        columns = (*self.problem.keys, self.problem.time_name, *(column.name for column in covariates(self.problem)))
        return tuple(name for name, _ in self._features(pd.DataFrame({name: [] for name in columns})))

    @property
    def origins(self) -> tuple[str, ...]:
        """What each feature is made of: a column, or words."""
        indicators = {f"{name}={text}": name for name, texts in self.texts.items() for text in texts}
        columns = (indicators.get(name) or name.rpartition(".")[0] or name for name in self.names)
        return tuple(WORDS.get(column, column) for column in columns)

    @property
    def changing(self) -> tuple[str, ...]:
        """The age of a key."""
        return tuple(name for name in self.names if name == "age")

    def transform(self, rows: pd.DataFrame) -> FeatureMatrix:
        """The matrix of rows; a row's features depend on the rows of its key up to its time only."""
        found = np.empty((len(rows), len(self.names)), dtype=np.float32)
        for block in Order.of(self.problem, rows).blocks(BLOCK):
            columns = self._features(rows.iloc[block.rows])
            found[block.rows] = np.column_stack([column for _, column in columns])
        return FeatureMatrix(found, self.names)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its arrays by name."""
        scaling = self.scaling
        return {
            "kept": scaling.kept,
            "mean": scaling.mean,
            "spread": scaling.spread,
            "condition_columns": scaling.conditions.columns,
            "condition_spread": scaling.conditions.spread,
            "condition_centres": scaling.conditions.centres,
            "weights": self.weights,
            **{f"texts {name}": np.array(texts, dtype=np.str_) for name, texts in self.texts.items()},
        }

    def _features(self, rows: pd.DataFrame) -> list[tuple[str, Floats]]:
        """Name and values of each feature of rows that are sorted by key and time."""
        order = Order.of(self.problem, rows)
        values = numbers(self.problem, rows)
        condition = self.scaling.conditions.of(values)
        scaled = self.scaling.of(values, condition)
        names = [column.name for place, column in enumerate(numeric(self.problem)) if place in self.scaling.kept]
        if self.declared.index:
            indices = _index(filled(order, scaled), self.weights)
            scaled = np.column_stack([scaled, indices])
            names += [f"index_{place}" if place else "index" for place in range(indices.shape[1])]
        found = [
            (f"{name}.{statistic}", table[:, place])
            for statistic, table in _statistics(self.declared, order, scaled)
            for place, name in enumerate(names)
        ]
        if len(self.scaling.conditions.centres) > 1:
            found.append(("condition", condition.astype(np.float64)))
        if self.declared.age or not found:
            found.append(("age", order.age()))
        return [*found, *self._indicators(rows)]

    def _indicators(self, rows: pd.DataFrame) -> list[tuple[str, Floats]]:
        return [
            (f"{name}={text}", np.asarray(_texts(rows, name) == text, dtype=np.float64))
            for name, texts in self.texts.items()
            for text in texts
        ]


@on_one_thread
def fit(problem: Problem, rows: pd.DataFrame, target: Floats, seed: int) -> Learned:
    """The state of rows and their target, (rows, outputs); the index of a training row is that of other keys."""
    order, declared = Order.of(problem, rows), declaration(problem)
    ordered, target = rows.iloc[order.rows], target[order.rows]
    scaling = _scaling(problem, order, numbers(problem, ordered), declared)
    texts = {column.name: _frequent(_texts(ordered, column.name)) for column in categories(problem)}
    state = StateOfKeys(problem, scaling, np.zeros((len(scaling.kept), target.shape[1])), texts)
    if not declared.index:
        return Learned(state, state.transform(rows))
    return _with_index(state, rows, target, seed)


def restore(problem: Problem, arrays: Arrays) -> StateOfKeys:
    """The state of the arrays that it gave."""
    found = Conditions(arrays["condition_columns"], arrays["condition_spread"], arrays["condition_centres"])
    scaling = Scaling(arrays["kept"], found, arrays["mean"], arrays["spread"])
    texts = {column.name: tuple(arrays[f"texts {column.name}"].tolist()) for column in categories(problem)}
    return StateOfKeys(problem, scaling, arrays["weights"], texts)


PANEL_STATE = TabularRecipe(fit, restore)


def covariates(problem: Problem) -> tuple[Column, ...]:
    """The columns that are learned, in the order of their names."""
    columns = (column for column in problem.request if column.role not in (Role.KEYS, Role.TIME))
    return tuple(sorted(columns, key=lambda column: column.name))


def categories(problem: Problem) -> tuple[Column, ...]:
    """The columns of texts."""
    return tuple(column for column in covariates(problem) if isinstance(column.kind, Category | Months))


def numeric(problem: Problem) -> tuple[Column, ...]:
    """The columns of numbers, flags and dates."""
    return tuple(column for column in covariates(problem) if not isinstance(column.kind, Category | Months))


def numbers(problem: Problem, rows: pd.DataFrame) -> Floats:
    """The numeric columns as numbers, (rows, columns); a date is its day."""
    columns = [_number(rows[column.name], isinstance(column.kind, Date)) for column in numeric(problem)]
    return np.column_stack(columns) if columns else np.zeros((len(rows), 0))


def _number(values: "pd.Series[Any]", is_date: bool) -> Floats:
    if not is_date:
        return np.asarray(pd.to_numeric(values, errors="coerce"), dtype=np.float64)
    days = values.to_numpy().astype("datetime64[D]")
    return np.where(np.isnat(days), np.nan, days.astype(np.int64).astype(np.float64))


def _texts(rows: pd.DataFrame, name: str) -> "pd.Series[str]":
    return rows[name].astype("str")


def _frequent(texts: "pd.Series[str]") -> tuple[str, ...]:
    """The most frequent texts, sorted; () for a constant column."""
    counts = texts.value_counts()
    ranked = sorted(counts.items(), key=lambda entry: (-entry[1], str(entry[0])))
    return tuple(sorted(str(text) for text, _ in ranked[:MOST_INDICATORS])) if len(ranked) > 1 else ()


def _statistics(declared: Declaration, order: Order, values: Floats) -> Iterator[tuple[str, Floats]]:
    """Name and values, (rows, columns), of each declared statistic."""
    if declared.last:
        yield "last", filled(order, values)
    for window, found in rolling(order, values, declared.rolling):
        yield from ((f"{name}_{window}", found[name]) for name in declared.statistics)
    if declared.expanding:
        yield "expanding_mean", weighted_mean(order, values, 1.0)
    for half_life in declared.ewm:
        yield f"ewm_{half_life}", weighted_mean(order, values, 0.5 ** (1 / half_life))
    if declared.change:
        ((_, newest),) = rolling(order, values, (FIRST_ROWS,))
        yield "change", change(order, newest["mean"], values, FIRST_ROWS)


def _scaling(problem: Problem, order: Order, values: Floats, declared: Declaration) -> Scaling:
    places = {column.name: place for place, column in enumerate(numeric(problem))}
    among = None if declared.conditions is None else [places[name] for name in declared.conditions if name in places]
    found = conditions(order, values, None if among is None else np.array(among, dtype=np.int64))
    condition = found.of(values)
    groups = [values[condition == place] for place in range(len(found.centres))]
    mean, spread = (np.stack(each) for each in zip(*map(_moments, groups), strict=True))
    kept = np.flatnonzero(np.isfinite(spread).any(axis=0))
    return Scaling(kept, found, mean[:, kept], spread[:, kept])


def _moments(values: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column; an infinite deviation for a constant one."""
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, (values - mean) ** 2, 0.0).sum(axis=0) / count)
    return mean, np.where(spread > SAME * np.maximum(np.abs(mean), 1.0), spread, np.inf)


def _with_index(state: StateOfKeys, rows: pd.DataFrame, target: Floats, seed: int) -> Learned:
    """The state with the index of all rows, and the matrix of rows with that of the keys of other folds.

    `target` is that of the rows sorted by key and time.
    """
    order = Order.of(state.problem, rows)
    values = numbers(state.problem, rows.iloc[order.rows])
    scaled = filled(order, state.scaling.of(values, state.scaling.conditions.of(values)))
    key = np.cumsum(order.place == 0) - 1
    fold = (np.random.default_rng(seed).permutation(key[-1] + 1) % FOLDS)[key]
    whole = replace(state, weights=_weights(scaled, target))
    matrix = np.empty((len(rows), len(whole.names)), dtype=np.float32)
    for number in np.unique(fold):
        own = fold == number
        of_others = whole if own.all() else replace(state, weights=_weights(scaled[~own], target[~own]))
        places = order.rows[own]
        matrix[places] = of_others.transform(rows.iloc[places]).values
    return Learned(whole, FeatureMatrix(matrix, whole.names))


def _weights(scaled: Floats, target: Floats) -> Floats:
    """Weights of a ridge regression of the target on the columns, for an index of standard deviation 1."""
    values = np.nan_to_num(scaled, nan=0.0)
    values = values - values.mean(axis=0)
    products = values.T @ values + PENALTY * np.eye(values.shape[1])
    weights = np.linalg.solve(products, values.T @ (target - target.mean(axis=0)))
    deviation = (values @ weights).std(axis=0)
    return np.asarray(weights / np.where(deviation > 0, deviation, 1.0))


def _index(scaled: Floats, weights: Floats) -> Floats:
    """The weighted sums of the columns, (rows, outputs), column by column: so a row's bits do not depend on others."""
    found = np.zeros((len(scaled), weights.shape[1]))
    for column, weight in zip(np.nan_to_num(scaled, nan=0.0).T, weights, strict=True):
        found += column[:, None] * weight
    return found
