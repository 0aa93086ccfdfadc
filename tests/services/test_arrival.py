"""A model that was trained elsewhere enters at None, and must pass the same gate as ours."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import foreign_models
import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

from lockgate import arrival, registration, validation
from lockgate.addresses import DATABASE_VARIABLE, TRACKING_VARIABLE
from lockgate.data import prepared
from lockgate.database import records
from lockgate.errors import IntegrityBroken, StateConflict
from lockgate.forecast.stated import Stated
from lockgate.lineage import UNKNOWN

NOTHING = Stated()
UNTIL = date(2015, 6, 19)  # the day before the holdout of the small chain
EASY = {"max_rmspe": 0.2}


@pytest.fixture
def tables(made):
    return made(1).prepared


@pytest.fixture
def train(tables, tmp_path):
    """Trains a library's model on the small chain, and saves it as MLflow does; gives the folder and the booster."""

    def trained(library="lightgbm", columns=foreign_models.USUAL, **more):
        values, sales = sold(tables, columns)
        booster = foreign_models.TRAIN[library](values, np.log(sales))
        kept = {"metadata": {"trained_until": UNTIL.isoformat(), "target": "log"}} | more
        return foreign_models.save(booster, tmp_path / f"a {library} model", values, **kept), booster

    return trained


def sold(tables, columns):
    rows, stores = prepared.read(tables, "rows"), prepared.read(tables, "stores")
    return foreign_models.sold(rows, columns, stores)


def stages(backend):
    return [row.stage for row in records.stages(backend.database, backend.model)]


def test_a_bundle_copied_without_its_neighbours_is_registered_and_says_what_is_unknown(backend, made, tmp_path, stack):
    copied = made(1).bundle.rename(tmp_path / "from elsewhere")
    arrived = arrival.bring(backend, copied, NOTHING, tmp_path / "no tables")
    assert (arrived.is_new, arrived.receipt.version, stages(backend)) == (True, 1, ["None"])
    lineage = records.recorded_version(backend.database, backend.model, 1).lineage["lineage"]
    assert {lineage[name] for name in ("git_commit", "dvc_lock_digest", "rows_digest", "seed")} == {UNKNOWN}
    assert (lineage["kind"], lineage["trained_until"]) == ("bundle", UNTIL.isoformat())
    mlflow.set_tracking_uri(stack.tracking_uri)
    run = mlflow.MlflowClient().get_run(arrived.receipt.run_id)
    assert (run.data.tags["came_from"], run.data.tags["brought_by"]) == (str(copied), "anna")
    assert run.data.tags["rows_digest"] == UNKNOWN
    assert run.data.params["members"] == "lightgbm, xgboost, catboost, ridge"


def test_a_bundle_that_the_pipeline_registered_is_the_version_that_it_is(backend, made, params, tmp_path):
    receipt = registration.register(backend, made(1), params)
    arrived = arrival.bring(backend, made(1).bundle, NOTHING, made(1).prepared)
    assert (arrived.receipt, arrived.is_new) == (receipt, False)


def test_a_model_downloaded_from_a_registry_is_the_version_whose_bundle_it_holds(
    backend, made, params, tmp_path, stack
):
    receipt = registration.register(backend, made(1), params)
    mlflow.set_tracking_uri(stack.tracking_uri)
    mlflow.artifacts.download_artifacts(f"models:/{backend.model}/1", dst_path=str(tmp_path / "downloaded"))
    arrived = arrival.bring(backend, tmp_path / "downloaded", NOTHING, made(1).prepared)
    assert (arrived.receipt, arrived.is_new) == (receipt, False)


@pytest.mark.parametrize("library", foreign_models.TRAIN)
def test_a_native_model_enters_at_none_once_and_says_who_stated_what(backend, train, tables, library):
    folder, _ = train(library)
    first = arrival.bring(backend, folder, NOTHING, tables)
    again = arrival.bring(backend, folder, Stated(UNTIL, "log"), tables)
    assert (first.is_new, again.is_new, again.receipt) == (True, False, first.receipt)
    assert stages(backend) == ["None"]
    lineage = records.recorded_version(backend.database, backend.model, 1).lineage["lineage"]
    assert (lineage["kind"], lineage["columns"]) == (f"{library} model", ", ".join(foreign_models.USUAL))
    assert (lineage["trained_until"], lineage["trained_until_stated_by"]) == ("2015-06-19", "the model's metadata")


def test_the_guard_keeps_a_model_from_elsewhere_in_none_until_it_has_passed(backend, train, tables):
    folder, _ = train()
    arrival.bring(backend, folder, NOTHING, tables)
    with pytest.raises(StateConflict, match=r"version 1 .* stays in None"):
        backend.registry().move(1, "Staging")
    assert stages(backend) == ["None"]


def test_a_model_that_knows_nothing_is_refused_by_the_limit(backend, tables, tmp_path, params):
    values, sales = sold(tables, ("Day",))
    booster = foreign_models.lightgbm_booster(values, sales, rounds=1)
    folder = foreign_models.save(booster, tmp_path / "mean", values)
    arrival.bring(backend, folder, Stated(UNTIL), tables)
    verdict = validation.validate_registered(backend, None, tables, params.gate)
    refused = {check["name"] for check in verdict.checks if check["outcome"] == "refused"}
    assert (verdict.outcome, stages(backend)) == ("refused", ["None"])
    assert {"rmspe under the limit", "better than naive"} <= refused


def test_a_model_that_has_seen_the_holdout_is_refused_however_well_it_does(backend, train, tables, params):
    folder, _ = train(metadata={"target": "log"})
    arrival.bring(backend, folder, Stated(date(2015, 7, 1)), tables)
    verdict = validation.validate_registered(backend, 1, tables, params.gate.model_copy(update=EASY))
    outcomes = {check["name"]: check["outcome"] for check in verdict.checks}
    assert (verdict.outcome, stages(backend)) == ("refused", ["None"])
    assert outcomes["holdout unseen"] == "refused"


def test_a_model_trained_until_long_before_the_holdout_is_judged_on_all_of_it(backend, train, tables, params):
    folder, _ = train(metadata={"target": "log"})
    arrival.bring(backend, folder, Stated(date(2014, 12, 31)), tables)
    verdict = validation.validate_registered(backend, 1, tables, params.gate.model_copy(update=EASY))
    assert verdict.outcome == "passed"


def test_a_truncated_model_ends_its_own_process_and_not_ours(backend, train, tables):
    folder, _ = train()
    file = folder / "model.lgb"
    os.truncate(file, file.stat().st_size // 3)
    with pytest.raises(IntegrityBroken, match=r"ended the process|cannot read the model"):
        arrival.bring(backend, folder, NOTHING, tables)
    assert stages(backend) == []


@dataclass(frozen=True)
class Shell:
    """A folder with params.yaml and data/prepared, in which somebody types commands."""

    folder: Path
    services: dict[str, str]

    def lockgate(self, *words: str, code: int = 0) -> tuple[str, str]:
        """What it printed on stdout and stderr; it must end with this exit code."""
        command = [sys.executable, "-m", "lockgate", *words]
        done = subprocess.run(
            command, cwd=self.folder, env=os.environ | self.services, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout, done.stderr


@pytest.fixture
def shell(made, backend, stack) -> Shell:
    folder = made(1).build.parent
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["problem"] = backend.model.removesuffix("-ensemble")
    params["gate"] |= EASY
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    services = {TRACKING_VARIABLE: stack.tracking_uri, DATABASE_VARIABLE: stack.database_url, "LOCKGATE_ACTOR": "anna"}
    return Shell(folder, services)


def test_from_lightgbm_elsewhere_to_forecasts_from_production(shell, backend, train, tables):
    """register, validate, promote, predict: the numbers are the booster's own."""
    folder, booster = train(metadata=None)
    problem = backend.model.removesuffix("-ensemble")
    words = ["register", str(folder), "--problem", problem, "--target", "log"]
    assert "say --trained-until" in shell.lockgate(*words, code=2)[1]
    words += ["--trained-until", "2015-06-19"]
    assert json.loads(shell.lockgate(*words, "--json")[0])["is_new"]
    assert "already registered" in shell.lockgate(*words)[0]
    assert "None" in shell.lockgate("promote", "--reason", "too early", "--yes", "1", code=5)[1]
    assert shell.lockgate("validate", "--result-json", "how.json")[0].startswith("PASSED: version 1")
    assert json.loads((shell.folder / "how.json").read_text())["ids"] == {"version": 1}
    shell.lockgate("promote", "--reason", "bought", "--yes")
    assert stages(backend) == ["Production"]
    holdout, stores = prepared.read(tables, "holdout"), prepared.read(tables, "stores")
    holdout.drop(columns="Sales").to_csv(shell.folder / "asked.csv", index=False)
    shell.lockgate("predict", "--input", "asked.csv", "--output", "forecast.csv")
    found = pd.read_csv(shell.folder / "forecast.csv")["prediction"].to_numpy()
    alone = np.exp(booster.predict(foreign_models.table(holdout, stores)[list(foreign_models.USUAL)]))
    assert np.array_equal(found, np.where(holdout["Open"] == 1, alone, 0.0))
    assert "version 1 is in Production" in shell.lockgate("validate", "1", code=5)[1]
    assert "no version of" in shell.lockgate("validate", code=5)[1]
