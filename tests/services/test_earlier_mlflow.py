"""A registry that an earlier minor version of MLflow made: upgraded, read, brought under the gate, replaced."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests
import served_versions
import serving_process
from free_port import free_port
from sqlalchemy import text

from lockgate.database import coverage, guard, ledger
from lockgate.database.connection import Database
from lockgate.operations import status
from lockgate.operations.workspace import Workspace
from lockgate.stack import embedded_postgres, mlflow_server
from lockgate.system.service_urls import ARTIFACTS_IN_DATABASE, Addresses

pytestmark = pytest.mark.long

[DUMP] = (Path(__file__).parents[1] / "data" / "earlier_mlflow").glob("*.sql")
MODEL, NAME = "earlier-ensemble", "earlier_mlflow"
REVISION = "SELECT version_num FROM public.alembic_version"


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    """The database of the earlier MLflow, whose tables belong to the owner of the database."""

    def run(script: str, name: str = "postgres") -> None:
        embedded_postgres.psql(home, script, name, time.monotonic() + 60)

    run(f"CREATE DATABASE {NAME}")
    run(DUMP.read_text(encoding="utf-8"), NAME)
    yield embedded_postgres.url(home, embedded_postgres.OWNER, NAME)
    run(f"DROP DATABASE {NAME} WITH (FORCE)")


@pytest.fixture(scope="module")
def upgraded(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """After `lockgate migrate`, with a server of today's MLflow."""
    named = {"LOCKGATE_DATABASE_URL": url, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    call = [sys.executable, "-m", "lockgate", "migrate", "--no-roles"]
    done = subprocess.run(call, env=os.environ | named, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tables of MLflow (b7e4c1a90f23 to ")
    again = subprocess.run(call, env=os.environ | named, capture_output=True, text=True, timeout=200, check=False)
    assert again.stdout == "nothing to do\n", again.stderr
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    (folder / "logs").mkdir()
    try:
        assert mlflow_server.start(folder, url, ARTIFACTS_IN_DATABASE, port, time.monotonic() + 120)
        yield Addresses(mlflow_server.uri(port), url)
    finally:
        mlflow_server.stop(folder, 20)


def ask(where: Addresses, path: str, **query: str) -> Any:
    """The answer of MLflow's REST API to a GET."""
    return requests.get(f"{where.tracking_uri}/api/2.0/mlflow/{path}", params=query, timeout=60).json()


def test_what_the_earlier_mlflow_recorded_is_read_by_the_present_one(upgraded: Addresses) -> None:
    version = ask(upgraded, "model-versions/get", name=MODEL, version="1")["model_version"]
    assert (version["current_stage"], version["tags"]) == ("Production", [{"key": "reviewed", "value": "yes"}])
    run = ask(upgraded, "runs/get", run_id=version["run_id"])["run"]
    assert {each["key"]: each["value"] for each in run["data"]["params"]} == {"depth": "6"}
    history = ask(upgraded, "metrics/get-history", run_id=version["run_id"], metric_key="rmspe")["metrics"]
    assert [each["value"] for each in history] == [0.3, 0.2, 0.15]
    assert ask(upgraded, "registered-models/alias", name=MODEL, alias="champion")["model_version"]["version"] == "1"


def test_its_model_comes_under_the_gate_and_a_judged_version_replaces_it(upgraded: Addresses, tmp_path: Path) -> None:
    """The ledger takes version 1 over as it stands; `lockgate predict` gives the numbers of version 2."""
    workspace = Workspace(MODEL, upgraded, Database(upgraded.database_url), "anna", 20.0)
    assert guard.status(workspace.database).faults == ()
    assert coverage.cover(workspace.database, MODEL, "anna") is True
    version = served_versions.put_in_production(workspace, 1)
    moves = [(row.version, row.command, row.to_stage) for row in ledger.read(workspace.database, MODEL)]
    assert moves == [
        (1, "adopt", "Production"),
        (2, "validate", "Staging"),
        (1, "promote", "Archived"),
        (2, "promote", "Production"),
    ]
    found = status.status(workspace)
    assert found.serving is not None
    assert (found.serving.version, found.broken) == (version, ())
    params = served_versions.trained_projects.folder_of(1) / "params.yaml"
    folder = serving_process.folder_for(workspace, params, tmp_path / "a project")
    asked = served_versions.rows().head(5)
    asked.to_csv(folder / "in.csv", index=False)
    done = serving_process.command(workspace, folder, "predict", "--input", "in.csv", "--output", "out.csv")
    assert done.returncode == 0, done.stderr
    expected = [answer["prediction"] for answer in served_versions.expected(1, asked)]
    assert pd.read_csv(folder / "out.csv")["prediction"].tolist() == pytest.approx(expected, rel=1e-12)


def test_the_revision_is_the_present_one(upgraded: Addresses) -> None:
    from mlflow.store.db.utils import _get_latest_schema_revision

    with Database(upgraded.database_url).transaction() as connection:
        assert connection.scalar(text(REVISION)) == _get_latest_schema_revision()
