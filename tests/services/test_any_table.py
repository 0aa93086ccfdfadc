"""A problem of every kind takes the same way: registered, judged, promoted, forecast by its version."""

from pathlib import Path

import engine_fleet
import mlflow
import numpy as np
import pandas as pd
import panel_tables
import plain_tables
import pytest

from lockgate.bundle import store
from lockgate.data import dataset, split
from lockgate.data.data_card import card_of
from lockgate.data.ingest import FileSource, Tables
from lockgate.gate.verdict import policy_digest
from lockgate.lifecycle.stages import Stage
from lockgate.operations import predict, promote, register, validate
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.stage_files import Build
from lockgate.operations.workspace import Workspace
from lockgate.problem.description import Problem, Split
from lockgate.problem.params import Params
from lockgate.training import report_files
from lockgate.training.train import train

YES = MoveRequest("reviewed", dry_run=False, confirm=lambda move: None)
LENIENT = {"min_scored_rows": 10, "min_gain_over_baseline": 0.0, "min_share_of_naive": 0.0}


def problem_of(kind: str) -> tuple[Problem, Tables]:
    if kind == "panel":
        rows, static = panel_tables.rows("month")
        return panel_tables.problem("month"), Tables(rows, static)
    if kind == "state":
        return engine_fleet.fleet_problem("last", "change"), Tables(engine_fleet.fleet(10), pd.DataFrame())
    task = kind.removeprefix("table of ")
    return plain_tables.params(task).problem, Tables(plain_tables.rows(task, 400), pd.DataFrame())


def built(kind: str, folder: Path) -> tuple[Build, Params]:
    """Prepared tables and a bundle, as the stages leave them."""
    problem, tables = problem_of(kind)
    limit = {"regression": 1e6, "binary": 0.69, "multiclass": 1.09}[problem.task]
    given = plain_tables.params("regression")
    gate = given.gate.model_copy(update=LENIENT | {"limit": limit})
    params = given.model_copy(update={"problem": problem.model_copy(update={"members": ()}), "gate": gate})
    made = Build(folder / "prepared", folder / "build")
    prepare(problem, tables, made.prepared)
    forecaster, report = train(dataset.read(made.prepared, "rows"), tables.static, params, lambda *_: None)
    store.save(forecaster, made.bundle)
    report_files.write(report, made.build)
    return made, params


def prepare(problem: Problem, tables: Tables, folder: Path) -> None:
    parts = split.split(problem, tables.rows)
    frames = {"rows": parts.rows, "holdout": parts.holdout, "static": tables.static}
    dataset.write(folder, frames, card_of(problem, FileSource(()), tables, parts))


@pytest.mark.parametrize("kind", ["table of regression", "table of binary", "table of multiclass", "state", "panel"])
def test_a_version_is_registered_judged_promoted_and_forecasts_the_same_from_the_registry(
    kind: str, backend: Workspace, tmp_path: Path
) -> None:
    made, params = built(kind, tmp_path)
    receipt = register.register(backend, made, params)
    found = validate.validate(backend, receipt, made, params.policy, params.problem)
    assert {check["name"]: check["says"] for check in found.checks if check["outcome"] != "passed"} == {}
    assert backend.state().in_stage(Stage.STAGING).version == receipt.version
    promote.promote(backend, YES, None, policy_digest(params.policy), None)
    rows = dataset.read(made.prepared, "holdout").drop(columns=params.problem.target)
    rows.to_parquet(tmp_path / "ask.parquet", index=False)
    order = predict.Order(params.problem, tmp_path / "ask.parquet", tmp_path / "out.parquet", False, 0.9)
    assert predict.predict(backend, order, Stage.PRODUCTION).rows == len(rows)
    answers = pd.read_parquet(tmp_path / "out.parquet")
    assert set(answers["model_version"]) == {receipt.version}
    mlflow.set_tracking_uri(backend.addresses.tracking_uri)
    mlflow.set_registry_uri(backend.addresses.tracking_uri)
    served = mlflow.pyfunc.load_model(f"models:/{backend.model}/{receipt.version}").predict(rows, {"confidence": 0.9})
    outputs = mlflow.models.get_model_info(f"models:/{backend.model}/{receipt.version}").signature.outputs
    assert outputs.input_names() == list(served)
    for name in served:
        np.testing.assert_array_equal(answers[name].to_numpy(dtype=object), served[name].to_numpy(dtype=object))


def test_a_version_is_not_judged_on_a_holdout_of_rows_that_it_may_have_learned(
    backend: Workspace, tmp_path: Path
) -> None:
    """A larger share holds rows that were training rows before."""
    made, params = built("state", tmp_path)
    register.register(backend, made, params)
    problem, tables = problem_of("state")
    wider = problem.model_copy(update={"split": Split(by="group", share=0.5)})
    prepare(wider, tables, tmp_path / "wider")
    found = validate.validate_registered(backend, 1, tmp_path / "wider", params.policy, wider)
    failed = {check["name"]: check["outcome"] for check in found.checks if check["outcome"] != "passed"}
    assert (found.outcome, failed["holdout unseen"]) == ("inconclusive", "inconclusive")
