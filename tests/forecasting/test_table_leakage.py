"""The leakage check of plain tables and states: honest features pass, and planted leaks are named."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import engine_fleet
import numpy as np
import pandas as pd
import plain_tables
import pytest

from lockgate.evaluation import table_leakage
from lockgate.features import tabular_recipes
from lockgate.features.tabular import FeatureMatrix, Learned, TabularRecipe, TabularState
from lockgate.forecaster.table import TableForecaster
from lockgate.training import train as training


def trained(kind: str) -> tuple[TableForecaster, pd.DataFrame]:
    """A forecaster of one linear member, and its training rows."""
    given = plain_tables.params("regression", members=["linear"])
    rows = plain_tables.rows("regression", 200)
    if kind == "state":
        problem = engine_fleet.fleet_problem("last", "change", members=("linear",))
        given, rows = given.model_copy(update={"problem": problem}), engine_fleet.fleet(8)
    forecaster, _ = training.train(rows, pd.DataFrame(), given, lambda *_: None)
    return forecaster, rows


@pytest.fixture(scope="module", params=["table", "state"])
def case(request: pytest.FixtureRequest) -> tuple[TableForecaster, pd.DataFrame]:
    return trained(request.param)


@dataclass(frozen=True)
class Peeking:
    """A state with one more feature."""

    state: TabularState
    more: Callable[[pd.DataFrame], np.ndarray]

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.state.names, "peek")

    def transform(self, rows: pd.DataFrame) -> FeatureMatrix:
        return with_peek(self.state.transform(rows), self.more(rows))


def with_peek(matrix: FeatureMatrix, column: np.ndarray) -> FeatureMatrix:
    return FeatureMatrix(np.column_stack([matrix.values, column.astype(np.float32)]), (*matrix.names, "peek"))


def planted(monkeypatch: pytest.MonkeyPatch, kind: str, leak: Callable[[Learned, np.ndarray], Learned]) -> None:
    honest = tabular_recipes.BY_KIND[kind]
    recipe = TabularRecipe(lambda problem, rows, target, seed: leak(honest.fit(problem, rows, target, seed), target),
                           honest.restore)  # fmt: skip
    monkeypatch.setitem(tabular_recipes.BY_KIND, kind, recipe)


def test_an_honest_forecaster_passes(case: tuple[TableForecaster, pd.DataFrame]) -> None:
    found = table_leakage.check(*case)
    assert (found.leaking_features, found.history_mismatch) == ((), ())
    assert found.tested_features == len(case[0].state.names)


def test_a_feature_that_holds_the_target_of_its_own_row_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    forecaster, rows = trained("table")

    def leak(learned: Learned, target: np.ndarray) -> Learned:
        state = Peeking(learned.state, lambda given: np.zeros(len(given)))
        return Learned(state, with_peek(learned.matrix, target[:, 0]))

    planted(monkeypatch, "table", leak)
    assert table_leakage.check(forecaster, rows).leaking_features == ("peek",)


def test_a_feature_of_later_rows_of_the_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    forecaster, rows = trained("state")

    def length(given: pd.DataFrame) -> np.ndarray:
        return given.groupby("unit")["cycle"].transform("max").to_numpy(dtype=np.float64)

    def leak(learned: Learned, _: np.ndarray) -> Learned:
        state = Peeking(learned.state, length)
        return Learned(state, with_peek(learned.matrix, np.zeros(len(learned.matrix.values))))

    planted(monkeypatch, "state", leak)
    assert table_leakage.check(forecaster, rows).leaking_features == ("peek",)


def test_a_bundle_of_other_rows_is_found(case: tuple[TableForecaster, pd.DataFrame]) -> None:
    forecaster, rows = case
    fewer = rows.iloc[: len(rows) // 2].reset_index(drop=True)
    other = table_leakage._Training.of(forecaster, fewer)
    changed = replace(forecaster, state=other.fitted(other.target).state)
    assert table_leakage.check(changed, rows).history_mismatch
