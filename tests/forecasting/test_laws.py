"""Laws of every recipe x member x task of plain tables and states.

A row (of a state: the rows of a key so far) has one forecast: alone, in any batch, in any order, and after loading.
"""

from dataclasses import dataclass

import engine_fleet
import explained
import numpy as np
import pandas as pd
import plain_tables
import pytest

from lockgate.bundle import table_format
from lockgate.errors import BadData
from lockgate.forecaster.table import TableForecaster
from lockgate.models.members import TABLE_MEMBERS
from lockgate.problem.description import Problem
from lockgate.problem.params import Params
from lockgate.training import train as training

TASKS = ("regression", "binary", "multiclass")
KINDS = ("table", "state")
STATE_FEATURES = ("last", {"rolling": [5, 20]}, "change", "age", "index")


@dataclass(frozen=True)
class Case:
    """A forecaster, rows that it has not learned, and rows that hang together: one row, or the rows of a key."""

    forecaster: TableForecaster
    rows: pd.DataFrame
    own: np.ndarray


def params_of(kind: str, task: str, member: str) -> Params:
    """Params with one member and few rounds."""
    metric = "mae" if task == "regression" else "log_loss"
    found = plain_tables.params(task, members=[member], metric=metric)
    return found if kind == "table" else found.model_copy(update={"problem": fleet_problem(task, member)})


def fleet_problem(task: str, member: str) -> Problem:
    """The fleet's remaining life, as a number or as classes."""
    changes = {"members": (member,), "task": task}
    if task != "regression":
        columns = engine_fleet.fleet_problem().columns
        described = {name: column.model_dump(exclude_defaults=True) for name, column in columns.items()}
        changes |= {"derived": None, "metric": "log_loss", "columns": described | {"cycles_left": {"type": "category"}}}
    if task == "binary":
        changes["positive"] = "soon"
    return engine_fleet.fleet_problem(*STATE_FEATURES, **changes)


def rows_of(kind: str, task: str, seed: int) -> pd.DataFrame:
    """Rows with their target."""
    if kind == "table":
        return plain_tables.rows(task, 150, seed=seed)
    rows = engine_fleet.fleet(8, seed=seed)
    rows = rows[rows["cycle"] % 3 == 0].reset_index(drop=True)
    left = rows["cycles_left"]
    if task == "regression":
        return rows
    names = ["soon", "later"] if task == "binary" else ["soon", "later", "late"]
    classes = np.select([left < 40, left < 90], names[:2], names[-1])
    return rows.assign(cycles_left=pd.Series(classes, dtype="str"))


@pytest.fixture(scope="module", params=[(kind, task) for kind in KINDS for task in TASKS], ids="-".join)
def kind_and_task(request):
    return request.param


@pytest.fixture(scope="module", params=list(TABLE_MEMBERS))
def case(request, kind_and_task) -> Case:
    kind, task = kind_and_task
    forecaster, _ = training.train(
        rows_of(kind, task, 1), pd.DataFrame(), params_of(kind, task, request.param), lambda *_: None
    )
    rows = rows_of(kind, task, 2)
    own = np.arange(len(rows)) == 7 if kind == "table" else (rows["unit"] == 3).to_numpy()
    return Case(forecaster, rows, own)


def test_alone_is_as_in_the_batch(case: Case) -> None:
    whole, alone = case.forecaster.predict(case.rows), case.forecaster.predict(case.rows[case.own])
    np.testing.assert_array_equal(alone, whole[case.own])


def test_the_order_of_rows_and_columns_changes_nothing(case: Case) -> None:
    order = np.random.default_rng(3).permutation(len(case.rows))
    shuffled = case.rows.iloc[order][case.rows.columns[::-1]]
    np.testing.assert_array_equal(case.forecaster.predict(shuffled), case.forecaster.predict(case.rows)[order])


def test_other_rows_change_nothing(case: Case) -> None:
    """Other rows; of a state, the rows of other keys, and later rows of the key."""
    keep = case.own.copy()
    if case.forecaster.problem.kind == "state":
        keep &= (case.rows["cycle"] < 90).to_numpy()
    changed = case.rows.copy()
    numeric = [name for name in changed.select_dtypes("float") if name != case.forecaster.problem.target]
    changed.loc[~keep, numeric] = changed.loc[~keep, numeric] * 2 + 50
    np.testing.assert_array_equal(case.forecaster.predict(changed)[keep], case.forecaster.predict(case.rows)[keep])


def test_the_target_of_a_request_is_not_read(case: Case) -> None:
    without = case.rows.drop(columns=case.forecaster.problem.target)
    np.testing.assert_array_equal(case.forecaster.predict(without), case.forecaster.predict(case.rows))


def test_the_number_of_threads_changes_nothing(case: Case) -> None:
    matrix = case.forecaster.state.transform(case.rows)
    for booster in case.forecaster.blend.fitted.values():
        np.testing.assert_array_equal(booster.raw(matrix.values, 1), booster.raw(matrix.values, 2))


def test_rows_are_not_changed(case: Case) -> None:
    before = case.rows.copy(deep=True)
    case.forecaster.predict(case.rows)
    pd.testing.assert_frame_equal(case.rows, before)


def test_an_explanation_adds_up_to_the_forecast_alone_in_a_batch_and_in_any_order(case: Case) -> None:
    rows, places = case.rows, np.flatnonzero(case.own)
    before = rows.copy(deep=True)
    batch = np.unique([*places[:5], *np.linspace(0, len(rows) - 1, 12).astype(int)])
    found = explained.explained(case.forecaster, rows, batch)
    pd.testing.assert_frame_equal(rows, before)
    own = np.flatnonzero(np.isin(batch, places[:5]))
    alone = explained.explained(case.forecaster, rows[case.own], np.arange(len(places))[:5])
    explained.assert_same(alone, explained.take(found, own[: len(alone.base)]))
    order = np.random.default_rng(3).permutation(len(rows))
    shuffled = explained.explained(case.forecaster, rows.iloc[order], np.argsort(order)[batch])
    explained.assert_same(shuffled, found)


def test_the_contributions_of_a_member_add_up_to_its_output_on_any_number_of_threads(case: Case) -> None:
    values = case.forecaster.state.transform(case.rows).values[:40]
    for booster in case.forecaster.blend.fitted.values():
        found, threaded = booster.contributions(values, 1), booster.contributions(values, 2)
        np.testing.assert_array_equal(found.values, threaded.values)
        total, raw = found.base + found.values.sum(axis=-1), booster.raw(values, 1)
        if found.of_margin and raw.ndim == 1:
            total = 1 / (1 + np.exp(-total))
        elif found.of_margin:
            total = np.exp(total) / np.exp(total).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(total, raw, rtol=1e-5, atol=1e-6)


def test_a_loaded_bundle_forecasts_the_same(case: Case) -> None:
    again = table_format.restore(table_format.contents(case.forecaster))
    np.testing.assert_array_equal(again.predict(case.rows), case.forecaster.predict(case.rows))
    for bound in ("lower", "upper"):
        of_both = (getattr(each.interval(case.rows, 0.8), bound) for each in (again, case.forecaster))
        np.testing.assert_array_equal(*of_both)


def test_missing_values_have_a_forecast(case: Case) -> None:
    rows = case.rows.copy()
    for name in ("size", "colour", "city") if "size" in rows else engine_fleet.SENSORS:
        rows[name] = None
    assert np.isfinite(case.forecaster.predict(rows)).all()


def test_forecasts_are_possible(case: Case) -> None:
    """Probabilities are from 0 to 1, and of several classes they sum to 1; periods left are from 0 to the cap."""
    found, problem = case.forecaster.predict(case.rows), case.forecaster.problem
    if problem.task != "regression":
        assert found.min() >= 0 and found.max() <= 1
    if problem.task == "multiclass":
        np.testing.assert_allclose(found.sum(axis=1), 1)
    if problem.derived:
        assert found.min() >= 0 and found.max() <= engine_fleet.CAP


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("member", list(TABLE_MEMBERS))
def test_fifty_rows_and_a_constant_column_are_enough(kind: str, member: str) -> None:
    rows = rows_of(kind, "regression", 1)
    rows = rows.head(50) if kind == "table" else rows.groupby("unit").head(7).head(50)
    rows = rows.assign(**{"flag": 1} if kind == "table" else {"sensor_1": 5.0}).reset_index(drop=True)
    forecaster, _ = training.train(rows, pd.DataFrame(), params_of(kind, "regression", member), lambda *_: None)
    assert np.isfinite(forecaster.predict(rows)).all()


def test_states_of_one_key_are_refused() -> None:
    rows = rows_of("state", "regression", 1)
    with pytest.raises(BadData, match="all rows have one key"):
        training.train(
            rows[rows["unit"] == 1], pd.DataFrame(), params_of("state", "regression", "linear"), lambda *_: None
        )


def test_members_named_in_another_order_are_the_same_forecaster() -> None:
    rows = rows_of("state", "regression", 1)
    problem = fleet_problem("regression", "linear")
    found = [
        training.train(
            rows,
            pd.DataFrame(),
            params_of("state", "regression", "linear").model_copy(
                update={"problem": problem.model_copy(update={"members": members})}
            ),
            lambda *_: None,
        )[0]
        for members in (("lightgbm", "linear"), ("linear", "lightgbm"))
    ]
    np.testing.assert_array_equal(found[0].predict(rows), found[1].predict(rows))
