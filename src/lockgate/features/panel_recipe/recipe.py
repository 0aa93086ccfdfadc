"""The recipe of any described panel: its state, and how the state is fitted, stored and restored."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockgate.features.key_range import KeyRange
from lockgate.features.known_inputs import Categories, KnownInputs, encoded
from lockgate.features.panel_recipe import holidays, linear, origins, target_scale
from lockgate.features.panel_recipe.declaration import Declaration, declaration
from lockgate.features.panel_recipe.linear import Linear
from lockgate.features.panel_recipe.matrix import History, feature_names, matrix
from lockgate.features.panel_recipe.past import Past, past
from lockgate.features.panel_recipe.regressors import Layout
from lockgate.features.recipe import Matrix, Recipe, Table, Terms
from lockgate.features.scale import Scale
from lockgate.features.series import Series
from lockgate.features.shared import NUMBER_OF_KEYS, Shared
from lockgate.problem.columns import Role
from lockgate.problem.description import Problem
from lockgate.problem.periods import PeriodName
from lockgate.problem.target_values import forecast_range
from lockgate.system.single_thread import on_one_thread

Arrays = Mapping[str, NDArray[Any]]

SHARED = ("centre", "spread_of_regressors", "first", "holidays", "floor")  # arrays of all keys
FEW_ROWS: dict[PeriodName, int] = {"hour": 168, "day": 28, "week": 12, "month": 12, "integer": 5}


@dataclass(frozen=True)
class PanelState:
    """The history at a cutoff, with the series."""

    history: History
    series: Series
    horizon: int
    names: tuple[str, ...]

    @property
    def cutoff(self) -> int:
        """Number of the last period that was used."""
        return self.history.cutoff

    @property
    def categories(self) -> Categories:
        """The texts of each known covariate that is a category."""
        return self.history.layout.categories

    @property
    def scale(self) -> Scale:
        """The scale of each series."""
        return self.history.scale

    @property
    def little_history(self) -> NDArray[np.bool_]:
        """The series with few rows, or whose last row is older than two horizons."""
        past, few = self.history.past, FEW_ROWS[self.history.layout.period.name]
        return np.asarray((past.rows < few) | (past.newest < self.cutoff - 2 * self.horizon))

    def transform(self, rows: KnownInputs) -> Matrix:
        """The matrix of rows after the cutoff."""
        return matrix(self.history, self.names, rows)

    @property
    def origins(self) -> tuple[str, ...]:
        """What each feature is made of."""
        return origins.origins(self.history, self.names, self.series.keys)

    @property
    def changing(self) -> tuple[str, ...]:
        """The features of the calendar, of holidays, of age and of the distance from training."""
        return tuple(name for name, words in zip(self.names, self.origins, strict=True) if words in origins.CHANGING)

    def terms(self, rows: KnownInputs) -> Terms:
        """The forecast of the linear model as a sum."""
        return origins.terms(self.history, rows)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays of the state, by their name in a bundle."""
        history = self.history
        return {
            **history.past.arrays(),
            "coefficients": history.linear.coefficients,
            "centre": history.linear.centre,
            "spread_of_regressors": history.linear.spread,
            "first": np.array(history.layout.first),
            **({} if history.layout.holidays is None else {"holidays": history.layout.holidays}),
            "floor": np.array([history.scale.floor, history.scale.shift]),
            "level": np.empty(0) if history.scale.level is None else history.scale.level,
            "static": history.static,
            **self.series.arrays(),
            **{f"categories {name}": np.array(texts, dtype=np.str_) for name, texts in self.categories.items()},
        }


def panel_recipe(problem: Problem) -> Recipe:
    """The recipe that a description declares."""
    declared = declaration(problem)
    names = feature_names(problem, declared, Layout.of(problem, 0, {}))

    def fit(table: Table, cutoffs: Iterable[int], horizon: int, shared: Shared | None = None) -> dict[int, PanelState]:
        return _fit(_Fit(declared, names, table, horizon, shared or Shared()), sorted(set(cutoffs)))

    def restore(arrays: Arrays, cutoff: int, horizon: int) -> PanelState:
        return _restore(problem, declared, arrays, (cutoff, horizon))

    return Recipe(names, fit, restore, is_shared)


def is_shared(array: str) -> bool:
    """Whether an array of a state is of all keys."""
    return array in SHARED or array.startswith("categories ")


@dataclass(frozen=True)
class _Fit:
    declared: Declaration
    names: tuple[str, ...]
    table: Table
    horizon: int
    shared: Shared

    @property
    def keys(self) -> KeyRange:
        """The keys of the table among those whose values are recorded."""
        count, places = self.shared.of(NUMBER_OF_KEYS, lambda: len(self.table.series)), self.table.places
        return KeyRange(count, self.shared.records or places is None or int(places[-1]) == count - 1)


@on_one_thread
def _fit(given: _Fit, cutoffs: list[int]) -> dict[int, PanelState]:
    """The state at each cutoff; each uses the periods up to it only."""
    table, problem = given.table, given.table.problem
    history, period = table.history, table.problem.period.name
    shift = target_scale.log_shift(history, period, given.shared)
    logs = Scale(None, 0.0, shift or 0.0)
    base = history if shift is None else replace(history, target=logs.scaled(history.target))
    layout = Layout.of(problem, table.first, table.categories, _holidays(given))
    ones = np.ones(len(table.series))

    def levels(cutoff: int) -> NDArray[np.float64]:
        return target_scale.levels(history, cutoff, period, given.shared) if shift is None else ones

    models = linear.fit(linear.Data(base, layout, levels, given.horizon, given.shared, given.keys), cutoffs)
    static, floor = _static(problem, table.series, table.categories), forecast_range(problem)[0]
    states = {}
    for cutoff in cutoffs:
        scale = Scale(levels(cutoff), floor) if shift is None else logs
        seen = base.between(base.first, cutoff)
        kept = past(seen, seen.target / levels(cutoff)[:, None], models[cutoff], layout, (given.declared, given.keys))
        found = History(
            cutoff, given.declared, layout, models[cutoff], kept, scale, static, static_names(problem), table.places
        )
        states[cutoff] = PanelState(found, table.series, given.horizon, given.names)
    return states


def _holidays(given: _Fit) -> NDArray[np.int64] | None:
    table, rule = given.table, given.declared.holidays
    return holidays.of_history(rule, table.problem.period, table.first, table.last) if rule else None


def static_names(problem: Problem) -> tuple[str, ...]:
    """The names of the static features."""
    return tuple(column.name for column in problem.of_role(Role.STATIC_FEATURES))


def _static(problem: Problem, series: Series, categories: Categories) -> NDArray[np.float32]:
    """The static features as numbers and codes, (keys, features); NaN for one that the series do not have."""
    columns = problem.of_role(Role.STATIC_FEATURES)
    held = tuple(column for column in columns if column.name in series.frame)
    codes = encoded(held, series.frame, categories)
    missing = np.full(len(series), np.nan)
    parts = [codes.get(column.name, missing) for column in columns]
    return np.column_stack(parts).astype(np.float32) if parts else np.empty((len(series), 0), dtype=np.float32)


def _restore(problem: Problem, declared: Declaration, arrays: Arrays, times: tuple[int, int]) -> PanelState:
    cutoff, horizon = times
    categories = {
        name.removeprefix("categories "): tuple(texts.tolist())
        for name, texts in arrays.items()
        if name.startswith("categories ")
    }
    layout = Layout.of(problem, int(arrays["first"]), categories, arrays.get("holidays"))
    level = arrays["level"] if arrays["level"].size else None
    model = Linear(arrays["coefficients"], arrays["centre"], arrays["spread_of_regressors"])
    scale = Scale(level, *arrays["floor"].tolist())
    found = History(
        cutoff, declared, layout, model, Past.of_arrays(arrays), scale, arrays["static"], static_names(problem)
    )
    return PanelState(found, Series.of_arrays(problem.keys, arrays), horizon, feature_names(problem, declared, layout))
