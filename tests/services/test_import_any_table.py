"""A model from elsewhere for every kind of problem: registered, judged, promoted, and forecasting as it did before."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foreign_models
import mlflow
import numpy as np
import pandas as pd
import plain_tables
import skops.io
import yaml
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from lockgate.bundle.external_metadata import DeclaredMetadata
from lockgate.data import dataset, split
from lockgate.data.data_card import card_of
from lockgate.data.ingest import FileSource, Tables
from lockgate.gate.verdict import policy_digest
from lockgate.lifecycle.stages import Stage
from lockgate.operations import import_model, predict, promote, validate
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import Params
from lockgate.system.service_urls import DATABASE_VARIABLE, TRACKING_VARIABLE

YES = MoveRequest("bought", dry_run=False, confirm=lambda move: None)
LENIENT = {"min_scored_rows": 10, "min_gain_over_baseline": 0.0, "min_share_of_naive": 0.0}
TEXTS, NUMBERS = ["colour", "city"], ["size", "flag"]
COLUMNS = [*TEXTS, *NUMBERS]


def prepared(task: str, folder: Path) -> tuple[Path, Params]:
    """Prepared tables of a plain table, and params with a gate that a good model passes."""
    given, tables = plain_tables.params(task), Tables(plain_tables.rows(task, 400), pd.DataFrame())
    limit = {"regression": 1.0, "binary": 0.69, "multiclass": 1.09}[task]
    params = given.model_copy(update={"gate": given.gate.model_copy(update=LENIENT | {"limit": limit})})
    parts = split.split(params.problem, tables.rows)
    card = card_of(params.problem, FileSource(()), tables, parts)
    dataset.write(folder / "prepared", {"rows": parts.rows, "holdout": parts.holdout, "static": tables.static}, card)
    return folder / "prepared", params


def estimator(rows: pd.DataFrame, folder: Path) -> tuple[Path, Callable[[pd.DataFrame], Any]]:
    """A pipeline of scikit-learn as MLflow saves it by skops, and its own forecasts."""
    model = make_pipeline(foreign_models.encoded(TEXTS, NUMBERS), HistGradientBoostingClassifier(max_iter=40))
    model.fit(rows[COLUMNS], rows["price"])
    return foreign_models.save_estimator(model, folder, rows[COLUMNS]), lambda asked: model.predict_proba(
        asked[COLUMNS]
    )


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
        np.testing.assert_array_equal(answers[name].to_numpy(dtype=object), served[name].to_numpy(dtype=object))
    return answers


def test_an_estimator_saved_by_skops_goes_to_production_and_forecasts_its_own_probabilities(
    backend: Workspace, tmp_path: Path
) -> None:
    tables, params = prepared("multiclass", tmp_path)
    folder, own = estimator(dataset.read(tables, "rows"), tmp_path / "model")
    promoted(backend, folder, DeclaredMetadata(), tables, params)
    rows = dataset.read(tables, "holdout").drop(columns="price")
    found = answered(backend, rows, params, tmp_path)
    expected = own(rows)  # its classes are sorted, like those of the problem
    names = ["probability_high", "probability_low", "probability_middle"]
    np.testing.assert_allclose(found[names].to_numpy(), expected, rtol=1e-12)


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
