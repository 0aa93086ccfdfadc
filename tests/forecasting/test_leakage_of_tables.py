"""Three leaks of plain tables and states are found by name, in large and sorted tables too; the gate says which."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import engine_fleet
import numpy as np
import pandas as pd
import plain_tables
import pytest

from lockgate.bundle import store
from lockgate.data import dataset
from lockgate.data.data_card import card_of
from lockgate.data.ingest import FileSource, Tables
from lockgate.data.split import Split
from lockgate.evaluation import sandboxed, table_leakage
from lockgate.evaluation.leakage import LeakageReport
from lockgate.features import tabular_recipes
from lockgate.features.tabular import FeatureMatrix, Learned, TabularRecipe, TabularState
from lockgate.forecaster.table import TableForecaster
from lockgate.gate import checks
from lockgate.gate.evidence import Outcome
from lockgate.training import train as training


def of_table(task: str, rows: pd.DataFrame) -> TableForecaster:
    given = plain_tables.params(task, members=["linear"])
    return training.train(rows, pd.DataFrame(), given, lambda *_: None)[0]


def of_states(rows: pd.DataFrame) -> TableForecaster:
    problem = engine_fleet.fleet_problem("last", "change", members=("linear",))
    given = plain_tables.params("regression", members=["linear"]).model_copy(update={"problem": problem})
    return training.train(rows, pd.DataFrame(), given, lambda *_: None)[0]


def answer(report: LeakageReport) -> tuple[Outcome, str]:
    return checks.CHECKS["no data leakage"](SimpleNamespace(leakage=report, uses_target_history=True), None)[:2]


def learned_with(forecaster: TableForecaster, rows: pd.DataFrame) -> TableForecaster:
    """The forecaster, with features that were learned from these rows."""
    other = table_leakage._Training.of(forecaster, rows)
    return replace(forecaster, state=other.fitted(other.target).state)


def in_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe of plain tables, whose encoding of a training row counts its own target."""
    honest = tabular_recipes.BY_KIND["table"]

    def fit(problem, rows, target, seed):
        state = honest.fit(problem, rows, target, seed).state
        return Learned(state, state.transform(rows))

    monkeypatch.setitem(tabular_recipes.BY_KIND, "table", TabularRecipe(fit, honest.restore))


@dataclass(frozen=True)
class WithNextValue:
    """A state whose last feature is the sensor's value in the next row of the key."""

    state: TabularState
    column: str

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.state.names, "next")

    def transform(self, rows: pd.DataFrame) -> FeatureMatrix:
        matrix, following = self.state.transform(rows), rows.groupby("unit")[self.column].shift(-1)
        values = np.column_stack([matrix.values, following.to_numpy(dtype=np.float32)])
        return FeatureMatrix(values, (*matrix.names, "next"))


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_an_honest_table_of_each_task_passes(task: str) -> None:
    rows = plain_tables.rows(task, 600)
    report = table_leakage.check(of_table(task, rows), rows)
    outcome, says = answer(report)
    assert (report.leaking_features, report.history_mismatch, outcome) == ((), (), Outcome.PASSED)
    assert report.features_using_history
    assert "depend on targets of training rows, none on the target of its own row" in says


def test_honest_states_pass() -> None:
    rows = engine_fleet.fleet(8)
    assert answer(table_leakage.check(of_states(rows), rows))[0] is Outcome.PASSED


def test_an_encoding_over_the_holdout_too_is_named() -> None:
    rows, holdout = plain_tables.rows("regression", 600), plain_tables.rows("regression", 150, seed=2)
    peeking = learned_with(of_table("regression", rows), pd.concat([rows, holdout], ignore_index=True))
    outcome, says = answer(table_leakage.check(peeking, rows))
    assert outcome is Outcome.INCONCLUSIVE
    assert "city.target" in says


def test_it_is_named_in_a_long_file_that_is_sorted_by_the_category() -> None:
    """The holdout holds only rows of the last city, which is not among the first rows of the file."""
    rows = plain_tables.rows("regression", 12_000).sort_values("city", kind="stable").reset_index(drop=True)
    last = rows[rows["city"] == rows["city"].iloc[-1]].head(100)
    both = pd.concat([rows, last.assign(price=last["price"] + 1)], ignore_index=True)
    forecaster = of_table("regression", rows)
    assert table_leakage.check(forecaster, rows).history_mismatch == ()
    assert "city.target" in table_leakage.check(learned_with(forecaster, both), rows).history_mismatch


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_a_target_encoding_within_the_fold_is_named(monkeypatch: pytest.MonkeyPatch, task: str) -> None:
    rows = plain_tables.rows(task, 600)
    forecaster = of_table(task, rows)
    in_fold(monkeypatch)
    report = table_leakage.check(forecaster, rows)
    outcome, says = answer(report)
    assert outcome is Outcome.REFUSED
    assert report.leaking_features
    assert all(name.startswith("city.target") for name in report.leaking_features)
    assert "change with the target of their own row" in says


def test_it_is_named_where_a_row_is_one_of_fifteen_thousand_of_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = plain_tables.rows("binary", 75_000)
    rows["city"] = pd.Series([f"city {place % 5}" for place in range(len(rows))], dtype="str")
    forecaster = of_table("binary", rows)
    assert table_leakage.check(forecaster, rows).leaking_features == ()
    in_fold(monkeypatch)
    assert table_leakage.check(forecaster, rows).leaking_features == ("city.target",)


def test_a_column_of_the_next_row_of_a_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, honest = engine_fleet.fleet(8), tabular_recipes.BY_KIND["state"]
    forecaster = of_states(rows)
    sensor = next(name for name in rows.select_dtypes("number").columns if name not in ("unit", "cycle"))

    def fit(problem, given, target, seed):
        state = WithNextValue(honest.fit(problem, given, target, seed).state, sensor)
        return Learned(state, state.transform(given))

    monkeypatch.setitem(tabular_recipes.BY_KIND, "state", TabularRecipe(fit, honest.restore))
    report = table_leakage.check(forecaster, rows)
    assert "next" in report.leaking_features
    assert answer(report)[0] is Outcome.REFUSED


def test_the_own_target_of_a_holdout_row_changes_none_of_its_features() -> None:
    rows, holdout = plain_tables.rows("regression", 300), plain_tables.rows("regression", 50, seed=2)
    forecaster = of_table("regression", rows)
    noisy = holdout.assign(price=np.random.default_rng(1).normal(size=len(holdout)))
    assert (forecaster.predict(noisy) == forecaster.predict(holdout)).all()


def test_the_child_that_opens_a_table_gives_the_same_report(tmp_path: Path) -> None:
    rows = plain_tables.rows("regression", 600)
    forecaster = of_table("regression", rows)
    digest = store.save(forecaster, tmp_path / "bundle")
    static = pd.DataFrame()
    parts = Split(rows, plain_tables.rows("regression", 50, seed=2), "")
    card = card_of(forecaster.problem, FileSource(()), Tables(rows, static), parts)
    dataset.write(tmp_path / "prepared", {"rows": rows, "holdout": parts.holdout}, card)
    request = sandboxed.Request(str(tmp_path / "bundle"), digest, (), str(tmp_path / "prepared"))
    found = sandboxed.forecast(request, rows.drop(columns="price"))
    assert found.uses_target_history
    assert found.leakage == table_leakage.check(forecaster, rows)
