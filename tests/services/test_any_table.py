"""A problem of every kind takes the same way: registered, judged, promoted, forecast by its version."""

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from any_problem import KINDS, built, prepare, problem_of
from page_visitor import Visitor

from lockgate.data import dataset
from lockgate.gate.verdict import policy_digest
from lockgate.lifecycle.stages import Stage
from lockgate.operations import predict, promote, register, validate
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.workspace import Workspace
from lockgate.problem.description import Split
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import Params

YES = MoveRequest("reviewed", dry_run=False, confirm=lambda move: None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_version_is_registered_judged_promoted_and_forecasts_the_same_from_the_registry(
    kind: str, backend: Workspace, tmp_path: Path
) -> None:
    made, params = built(kind, tmp_path)
    receipt = register.register(backend, made, params)
    found = validate.validate(backend, receipt, made, params.policy, params.problem)
    assert {check["name"]: check["says"] for check in found.checks if check["outcome"] != "passed"} == {}
    assert backend.state().in_stage(Stage.STAGING).version == receipt.version
    effects = pd.read_csv(made.tables / "explained_rows.csv").groupby("row")
    np.testing.assert_allclose(effects["contribution"].sum(), effects["forecast"].first(), rtol=1e-9)
    assert (made.plots / "explained.png").is_file()
    promote.promote(backend, YES, None, policy_digest(params.policy), None)
    assert_the_pages_show_it(backend, params)
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


def assert_the_pages_show_it(backend: Workspace, params: Params) -> None:
    visitor = Visitor(backend.addresses.tracking_uri)
    page = visitor.get("/versions/1", model=backend.model).text
    assert "all 14 checks passed" in page
    assert METRICS[params.problem.metric].label in page
    assert page.count("<img ") >= 3
    for path in ("/history", "/monitoring"):
        assert visitor.get(path, model=backend.model).status_code == 200


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
