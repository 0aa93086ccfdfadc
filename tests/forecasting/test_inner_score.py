"""A sweep scores settings as the training does on its inner folds, fold by fold."""

from dataclasses import replace
from functools import partial

import any_problem
import pandas as pd
import plain_tables
import pytest
import small_chain

from lockgate.data import split
from lockgate.engine import choice
from lockgate.problem.params import EngineParams, Params, TrainingParams
from lockgate.sweep.executor import Executor
from lockgate.training import inner_score
from lockgate.training.inner_score import Tables, score_first_folds
from lockgate.training.train import train

FEW_ROUNDS = TrainingParams(max_rounds=12, patience=5)
FEW = ("lightgbm", "linear")


def problem_of(kind: str) -> tuple[Params, Tables]:
    if kind == "chain":
        return small_chain.params(), Tables(small_chain.parts().rows, small_chain.chain().stores, kind)
    problem, tables = any_problem.problem_of(kind)
    described = problem.model_copy(update={"members": FEW})
    params = plain_tables.params("regression").model_copy(update={"problem": described, "training": FEW_ROUNDS})
    return params, Tables(split.split(problem, tables.rows).rows, tables.static, kind)


def on_all_folds(tables: Tables, params: Params) -> list[inner_score.InnerScore]:
    found = [score_first_folds(tables, params, 1)]
    while not found[-1].done:
        found.append(score_first_folds(tables, params, len(found) + 1))
    return found


def reported(tables: Tables, params: Params) -> dict[str, float]:
    report = train(tables.rows, tables.static, params, lambda *_: None)[1]
    return {each.fold: each.scores[params.problem.metric] for each in report.scores if each.member == "blend"}


@pytest.mark.parametrize(
    "kind",
    [
        "panel",
        "table of binary",
        "table of regression",
        *(pytest.param(kind, marks=pytest.mark.long) for kind in ("chain", "table of multiclass", "state")),
    ],
)
def test_the_score_on_all_folds_is_that_of_the_training(kind: str) -> None:
    params, tables = problem_of(kind)
    found, expected = on_all_folds(tables, params), reported(tables, params)
    assert found[-1].together == expected.pop("all")
    assert found[-1].of_folds == expected
    assert [len(each.of_folds) for each in found] == list(range(1, len(expected) + 1))


def test_a_score_does_not_depend_on_what_the_process_has_kept() -> None:
    """A fold that is scored again on another worker has the same score."""
    params, tables = problem_of("panel")
    other = params.model_copy(update={"members": params.members.with_learning_rates(4)})
    first = [score_first_folds(tables, each, 2) for each in (params, other)]
    inner_score.forget()
    alone = [score_first_folds(tables, each, 2) for each in (other, params)][::-1]
    assert [replace(each, cpu_seconds=0) for each in first] == [replace(each, cpu_seconds=0) for each in alone]
    assert first[0].together != first[1].together


def kept() -> bool:
    """Whether this process keeps the folds of some data."""
    return inner_score._KEPT.known is not None


@pytest.mark.parametrize("where", ["here", "on Dask"])
def test_after_a_sweep_no_process_keeps_its_data(where: str, request: pytest.FixtureRequest) -> None:
    params, tables = problem_of("table of regression")
    address = None if where == "here" else request.getfixturevalue("dask_address")
    with choice.here(EngineParams(kind="dask", address=address) if address else EngineParams(), 60.0) as engine:
        executor = Executor(engine, tables)
        executor.submit(1, params, 1)
        assert executor.next()[0] == 1
        processes = partial(engine.run, kept) if address else lambda: {"here": kept()}
        assert True in processes().values()
        executor.close()
        assert set(processes().values()) == {False}


def test_other_data_under_the_same_settings_are_scored_anew() -> None:
    params, tables = problem_of("table of regression")
    fewer = Tables(tables.rows.iloc[:300].reset_index(drop=True), pd.DataFrame(), "fewer")
    assert score_first_folds(tables, params, 1).together != score_first_folds(fewer, params, 1).together
