"""A model from elsewhere for every kind of problem: registered, judged, promoted, and forecasting as it did before."""

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import engine_fleet
import foreign_models
import mlflow
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import panel_tables
import plain_tables
import pytest
import skops.io
import xgboost
import yaml
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from lockgate.bundle.external_metadata import DeclaredMetadata
from lockgate.data import dataset, split
from lockgate.data.data_card import card_of
from lockgate.data.ingest import FileSource, Tables
from lockgate.database import versions
from lockgate.gate.verdict import policy_digest
from lockgate.lifecycle.stages import Stage
from lockgate.operations import import_model, predict, promote, validate
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.workspace import Workspace
from lockgate.problem.description import Problem
from lockgate.problem.params import Params
from lockgate.system.service_urls import DATABASE_VARIABLE, TRACKING_VARIABLE

YES = MoveRequest("bought", dry_run=False, confirm=lambda move: None)
LENIENT = {"min_scored_rows": 10, "min_gain_over_baseline": 0.0, "min_share_of_naive": 0.0}
TEXTS, NUMBERS = ["colour", "city"], ["size", "flag"]
COLUMNS = [*TEXTS, *NUMBERS]


def tables_of(kind: str) -> tuple[Problem, Tables]:
    if kind == "panel":
        rows, static = panel_tables.rows("day")
        return panel_tables.problem("day"), Tables(rows, static)
    if kind == "state":
        return engine_fleet.fleet_problem(), Tables(engine_fleet.fleet(10), pd.DataFrame())
    return plain_tables.params(kind).problem, Tables(plain_tables.rows(kind, 400), pd.DataFrame())


def prepared(kind: str, folder: Path) -> tuple[Path, Params]:
    """Prepared tables of a kind of problem, and params with a gate that a good model passes."""
    (problem, tables), given = tables_of(kind), plain_tables.params("regression")
    limit = {"regression": 1e3, "binary": 0.69, "multiclass": 1.09}[problem.task]
    gate = given.gate.model_copy(update=LENIENT | {"limit": limit})
    params = given.model_copy(update={"problem": problem, "gate": gate})
    parts = split.split(problem, tables.rows)
    card = card_of(problem, FileSource(()), tables, parts)
    dataset.write(folder / "prepared", {"rows": parts.rows, "holdout": parts.holdout, "static": tables.static}, card)
    return folder / "prepared", params


Own = Callable[[pd.DataFrame], Any]


def estimator(rows: pd.DataFrame, folder: Path) -> tuple[Path, Own]:
    """A pipeline of scikit-learn as MLflow saves it by skops, and its own probabilities."""
    model = make_pipeline(foreign_models.encoded(TEXTS, NUMBERS), HistGradientBoostingClassifier(max_iter=40))
    model.fit(rows[COLUMNS], rows["price"])
    return foreign_models.save_estimator(model, folder, rows[COLUMNS]), lambda asked: model.predict_proba(
        asked[COLUMNS]
    )


def network(rows: pd.DataFrame, folder: Path) -> tuple[Path, Own]:
    """A network that PyTorch has exported, as MLflow saves it, and its probability by onnxruntime itself."""
    content = (Path(__file__).parents[1] / "data" / "torch_network.onnx").read_bytes()
    values = rows[["size", "flag"]].astype("float64")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = mlflow.models.infer_signature(values, np.zeros(len(values)))
        said = {"target": "logit"}
        mlflow.onnx.save_model(
            onnx.load_from_string(content), str(folder), signature=signature, metadata=said, pip_requirements=[]
        )
    session = onnxruntime.InferenceSession(content)

    def probability(asked: pd.DataFrame) -> Any:
        [logits] = session.run(None, {"x": asked[["size", "flag"]].to_numpy(dtype=np.float32)})
        return 1 / (1 + np.exp(-logits[:, 0]))

    return folder, probability


def booster_of_states(rows: pd.DataFrame, folder: Path) -> tuple[Path, Own]:
    """A LightGBM booster of engines, and the cycles left by itself, within 0 and the cap."""
    columns = ["cycle", *engine_fleet.SENSORS]
    model = foreign_models.lightgbm_booster(rows[columns].astype("float64"), rows["cycles_left"], 60)
    saved = foreign_models.save(model, folder, rows[columns].astype("float64"))
    return saved, lambda asked: np.clip(model.predict(asked[columns]), 0, engine_fleet.CAP)


def booster_of_a_panel(rows: pd.DataFrame, folder: Path) -> tuple[Path, Own]:
    """An XGBoost booster of the calendar and known covariates, and its own forecasts."""
    values = calendar(rows)
    model = foreign_models.xgboost_booster(values, rows["y"], 20)
    said = {"trained_until": str(rows["time"].max().date())}
    saved = foreign_models.save(model, folder, values, metadata=said)
    return saved, lambda asked: model.predict(xgboost.DMatrix(calendar(asked)))


def calendar(rows: pd.DataFrame) -> pd.DataFrame:
    month, day = rows["time"].dt.month, rows["time"].dt.day_of_week
    own = {"shop": rows["shop"].map("abcd".index), "kind": rows["shop"].map({"a": 1, "b": 0, "c": 1})}
    return rows[["event", "price"]].assign(month=month, day_of_week=day, **own).astype("float64")


def promoted(backend: Workspace, path: Path, declared: DeclaredMetadata, tables: Path, params: Params) -> None:
    """Bring a model from its files to Production."""
    import_model.bring(backend, path, declared, tables, params.problem)
    verdict = validate.validate_registered(backend, None, tables, params.policy, params.problem)
    assert {check["name"]: check["says"] for check in verdict.checks if check["outcome"] != "passed"} == {}
    promote.promote(backend, YES, None, policy_digest(params.policy), None)


def answered(backend: Workspace, rows: pd.DataFrame, params: Params, folder: Path) -> pd.DataFrame:
    """The answers of `lockgate predict`, which must be those of MLflow's own loader."""
    rows.to_parquet(folder / "ask.parquet", index=False)
    order = predict.Order(params.problem, folder / "ask.parquet", folder / "out.parquet", False, 0.9)
    assert predict.predict(backend, order, Stage.PRODUCTION).rows == len(rows)
    answers = pd.read_parquet(folder / "out.parquet")
    mlflow.set_tracking_uri(backend.addresses.tracking_uri)
    mlflow.set_registry_uri(backend.addresses.tracking_uri)
    served = mlflow.pyfunc.load_model(f"models:/{backend.model}/Production").predict(rows, {"confidence": 0.9})
    for name in served:
        known = served[name].notna()
        np.testing.assert_array_equal(answers[name].notna(), known)
        np.testing.assert_array_equal(answers.loc[known, name].tolist(), served.loc[known, name].tolist())
    return answers


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("multiclass", estimator),
        ("binary", network),
        ("state", booster_of_states),
        ("panel", booster_of_a_panel),
    ],
)
def test_a_model_goes_to_production_and_forecasts_its_own_numbers(
    kind: str, made: Callable[..., tuple[Path, Own]], backend: Workspace, tmp_path: Path
) -> None:
    tables, params = prepared(kind, tmp_path)
    folder, own = made(dataset.read(tables, "rows"), tmp_path / "model")
    promoted(backend, folder, DeclaredMetadata(), tables, params)
    rows = dataset.read(tables, "holdout").drop(columns=params.problem.target)
    found = answered(backend, rows, params, tmp_path)
    names = ["probability_high", "probability_low", "probability_middle"] if kind == "multiclass" else "prediction"
    np.testing.assert_allclose(found[names].to_numpy(), own(rows), rtol=1e-5)


def test_a_bare_file_of_skops_comes_in_on_the_command_line(backend: Workspace, tmp_path: Path) -> None:
    tables, params = prepared("regression", tmp_path)
    rows = dataset.read(tables, "rows")
    model = make_pipeline(foreign_models.encoded(TEXTS, NUMBERS), Ridge()).fit(rows[COLUMNS], rows["price"])
    skops.io.dump(model, tmp_path / "mine.skops")
    skops.io.dump(make_pipeline(Ridge(), _Own()), tmp_path / "own.skops")
    named = params.problem.model_copy(update={"name": backend.model.removesuffix("-ensemble")})
    described = params.model_copy(update={"problem": named}).model_dump(mode="json", exclude_defaults=True)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(described))
    run = _shell(backend, tmp_path)
    own = run("register", "own.skops", "--prepared", str(tables))
    assert own.returncode == 4
    assert "types that are not trusted: " in own.stderr
    assert "test_import_any_table._Own" in own.stderr
    words = ["register", "mine.skops", "--problem", named.name, "--target", "value", "--prepared", str(tables)]
    done = run(*words)
    assert (done.returncode, "registered now" in done.stdout) == (0, True), done.stderr
    verdict = validate.validate_registered(backend, 1, tables, params.policy, params.problem)
    assert verdict.outcome == "passed"
    record = versions.recorded_version(backend.database, backend.model, 1)
    assert record is not None
    assert record.lineage["lineage"]["columns"] == ", ".join(COLUMNS)
    assert run("register", "mine.skops", "--trained-until", "2024-01-01", "--prepared", str(tables)).returncode == 2


class _Own(Ridge):
    """An estimator of the user's own code."""


def _shell(backend: Workspace, folder: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    addresses = backend.addresses
    services = {
        TRACKING_VARIABLE: addresses.tracking_uri, DATABASE_VARIABLE: addresses.database_url, "LOCKGATE_ACTOR": "anna",
    }  # fmt: skip

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "lockgate", *words]
        environment = os.environ | services
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=90)

    return run
