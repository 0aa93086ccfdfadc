"""A model that was trained elsewhere enters at None, and must pass the same gate as ours."""

import json
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import foreign_models
import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from raw_model import RawModel

from lockgate.bundle.external_metadata import DeclaredMetadata
from lockgate.data import dataset
from lockgate.database import versions
from lockgate.errors import GateRefused, IntegrityBroken, StateConflict, WrongUsage
from lockgate.operations import import_model, promote, register, validate, verdict_review
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.lineage import UNKNOWN
from lockgate.problem.params import load_params
from lockgate.system.service_urls import DATABASE_VARIABLE, TRACKING_VARIABLE

NOTHING = DeclaredMetadata()
UNTIL = date(2015, 6, 19)  # the day before the holdout of the small chain
EASY = {"limit": 0.2}
PROBLEM = load_params(Path(__file__).parents[2] / "params.yaml").problem


@pytest.fixture
def tables(build):
    return build(1).prepared


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
    rows, stores = dataset.read(tables, "rows"), dataset.read(tables, "static")
    return foreign_models.sold(rows, columns, stores)


def stages(backend):
    return [row.stage for row in versions.stages(backend.database, backend.model)]


def test_a_bundle_copied_without_its_neighbours_is_registered_and_says_what_is_unknown(backend, build, tmp_path, stack):
    copied = build(1).bundle.rename(tmp_path / "from elsewhere")
    arrived = import_model.bring(backend, copied, NOTHING, tmp_path / "no tables", PROBLEM)
    assert (arrived.is_new, arrived.receipt.version, stages(backend)) == (True, 1, ["None"])
    lineage = versions.recorded_version(backend.database, backend.model, 1).lineage["lineage"]
    assert {lineage[name] for name in ("git_commit", "dvc_lock_digest", "rows_digest", "seed")} == {UNKNOWN}
    assert (lineage["kind"], lineage["trained_until"]) == ("bundle", UNTIL.isoformat())
    mlflow.set_tracking_uri(stack.tracking_uri)
    mlflow.set_registry_uri(stack.tracking_uri)
    run = mlflow.MlflowClient().get_run(arrived.receipt.run_id)
    assert (run.data.tags["came_from"], run.data.tags["brought_by"]) == (str(copied), "anna")
    assert run.data.tags["rows_digest"] == UNKNOWN
    assert run.data.params["members"] == "lightgbm, xgboost, catboost, ridge"


def test_the_pipelines_bundle_and_the_model_downloaded_from_the_registry_are_the_version_that_they_are(
    backend, build, params, tmp_path, stack
):
    receipt = register.register(backend, build(1), params)
    mlflow.set_tracking_uri(stack.tracking_uri)
    mlflow.set_registry_uri(stack.tracking_uri)
    mlflow.artifacts.download_artifacts(f"models:/{backend.model}/1", dst_path=str(tmp_path / "downloaded"))
    for path in (build(1).bundle, tmp_path / "downloaded"):
        arrived = import_model.bring(backend, path, NOTHING, build(1).prepared, PROBLEM)
        assert (arrived.receipt, arrived.is_new) == (receipt, False)


@pytest.mark.parametrize("library", ["xgboost", "catboost"])
def test_a_native_model_enters_at_none_and_says_who_stated_what(backend, train, tables, library):
    folder, _ = train(library)
    assert import_model.bring(backend, folder, NOTHING, tables, PROBLEM).is_new
    assert stages(backend) == ["None"]
    lineage = versions.recorded_version(backend.database, backend.model, 1).lineage["lineage"]
    assert (lineage["kind"], lineage["columns"]) == (f"{library} model", ", ".join(foreign_models.USUAL))
    assert (lineage["trained_until"], lineage["trained_until_stated_by"]) == ("2015-06-19", "the model's metadata")


def test_the_guard_keeps_a_model_in_none_and_one_that_knows_nothing_is_refused_by_the_limit(
    backend, tables, tmp_path, params
):
    values, sales = sold(tables, ("Day",))
    booster = foreign_models.lightgbm_booster(values, sales, rounds=1)
    folder = foreign_models.save(booster, tmp_path / "mean", values)
    import_model.bring(backend, folder, DeclaredMetadata(UNTIL), tables, PROBLEM)
    with pytest.raises(StateConflict, match=r"version 1 .* stays in None"):
        backend.registry().move(1, "Staging")
    verdict = validate.validate_registered(backend, None, tables, params.policy, params.problem)
    refused = {check["name"] for check in verdict.checks if check["outcome"] == "refused"}
    assert (verdict.outcome, stages(backend)) == ("refused", ["None"])
    assert {"within limit", "better than naive"} <= refused


def test_a_model_that_has_seen_the_holdout_is_refused_however_well_it_does(backend, train, tables, params):
    folder, _ = train(metadata={"target": "log"})
    import_model.bring(backend, folder, DeclaredMetadata(date(2015, 7, 1)), tables, PROBLEM)
    verdict = validate.validate_registered(backend, 1, tables, params.policy.model_copy(update=EASY), params.problem)
    outcomes = {check["name"]: check["outcome"] for check in verdict.checks}
    assert (verdict.outcome, stages(backend)) == ("refused", ["None"])
    assert outcomes["holdout unseen"] == "refused"
    assert verdict_review.as_json(verdict)["metrics"]["rmspe"] is None  # days that it has learned from are not scored


def test_a_model_trained_until_long_before_the_holdout_is_judged_on_all_of_it_until_it_serves(
    backend, train, tables, params
):
    folder, _ = train(metadata={"target": "log"})
    import_model.bring(backend, folder, DeclaredMetadata(date(2014, 12, 31)), tables, PROBLEM)
    verdict = validate.validate_registered(backend, 1, tables, params.policy.model_copy(update=EASY), params.problem)
    assert (verdict.outcome, stages(backend)) == ("passed", ["Staging"])
    says = {check["name"]: check["says"] for check in verdict.checks}["no data leakage"]
    assert says == "not needed: the features use no past targets"
    promote.promote(backend, MoveRequest("bought", False, lambda _: None), 1, verdict.digests.policy_digest, None)
    with pytest.raises(StateConflict, match="version 1 is in Production; only candidates"):
        validate.validate_registered(backend, 1, tables, params.policy, params.problem)


def test_a_damaged_model_ends_its_own_process_and_not_ours(backend, train, tables):
    folder, _ = train()
    file = folder / "model.lgb"
    file.write_bytes(file.read_bytes().replace(b"Tree=2", b"Tree=2" + b"9" * 500, 1))
    with pytest.raises(GateRefused, match=r"the model cannot be opened: its process was ended by SIG"):
        import_model.bring(backend, folder, NOTHING, tables, PROBLEM)
    assert stages(backend) == []


@pytest.mark.parametrize(
    ("said", "metadata", "match"),
    [
        (NOTHING, {}, "is not declared"),
        (DeclaredMetadata(UNTIL), {"trained_until": "2015-06-01"}, "--trained-until 2015-06-19 contradicts"),
        (DeclaredMetadata(UNTIL, "value"), {"target": "log"}, "--target value contradicts"),
        (DeclaredMetadata(UNTIL), {"target": "customers"}, "name the target 'customers'"),
        (NOTHING, {"trained_until": "last week"}, "say trained_until 'last week'"),
        (DeclaredMetadata(date(1066, 10, 14)), {}, "trained until 1066"),
    ],
)
def test_what_nobody_states_or_two_state_differently_is_asked_for(backend, train, tables, said, metadata, match):
    folder, _ = train(metadata=metadata)
    with pytest.raises(WrongUsage, match=match):
        import_model.bring(backend, folder, said, tables, PROBLEM)


def test_columns_that_nobody_can_compute_before_the_day_are_refused_by_name(backend, tables, tmp_path):
    values, sales = sold(tables, ("Store", "Promo"))
    values = values.assign(Customers=sales, **{"Sales last week": sales})
    folder = foreign_models.save(foreign_models.lightgbm_booster(values, sales, 1), tmp_path / "leak", values)
    with pytest.raises(GateRefused, match="not known for a forecast: Customers, Sales last week"):
        import_model.bring(backend, folder, DeclaredMetadata(UNTIL), tables, PROBLEM)


@pytest.mark.parametrize(
    ("name", "says", "hint"),
    [
        ("nowhere", "does not exist", "docs/how-to/register.md"),
        ("file", "is no folder", ""),
        ("build", "neither", "did you mean"),
    ],
)
def test_a_path_that_is_no_model_is_refused_with_a_hint(backend, build, tables, tmp_path, name, says, hint):
    build(1).build.rename(tmp_path / "build")
    (tmp_path / "file").touch()
    with pytest.raises(WrongUsage, match=says) as refusal:
        import_model.bring(backend, tmp_path / name, NOTHING, tables, PROBLEM)
    assert hint in refusal.value.hint


def test_a_bundle_needs_no_statement_and_takes_none(backend, build, tables):
    with pytest.raises(WrongUsage, match="a bundle holds its last training day"):
        import_model.bring(backend, build(1).bundle, DeclaredMetadata(UNTIL), tables, PROBLEM)


def test_a_changed_bundle_is_refused_and_registers_nothing(backend, build, tables):
    (build(1).bundle / "extra.pkl").touch()
    with pytest.raises(IntegrityBroken, match=r"'extra\.pkl' does not belong"):
        import_model.bring(backend, build(1).bundle, NOTHING, tables, PROBLEM)
    assert stages(backend) == []


def test_a_version_that_came_past_lockgate_is_not_validated(backend, tables, params, stack):
    raw = RawModel(stack, backend.database)
    raw.add()
    with pytest.raises(StateConflict, match="was registered outside Lockgate"):
        validate.validate_registered(replace(backend, model=raw.name), 1, tables, params.policy, params.problem)


@pytest.mark.parametrize("version", [None, 99])
def test_there_is_nothing_to_validate_before_something_is_registered(backend, tables, params, version):
    with pytest.raises(StateConflict, match=r"no version of|has no version 99"):
        validate.validate_registered(backend, version, tables, params.policy, params.problem)


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
def shell(build, backend, stack) -> Shell:
    folder = build(1).build.parent
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["problem"]["name"] = backend.model.removesuffix("-ensemble")
    params["gate"] |= EASY
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    mlflow.set_tracking_uri(stack.tracking_uri)
    mlflow.set_registry_uri(stack.tracking_uri)
    services = {TRACKING_VARIABLE: stack.tracking_uri, DATABASE_VARIABLE: stack.database_url, "LOCKGATE_ACTOR": "anna"}
    return Shell(folder, services)


def test_from_lightgbm_elsewhere_to_forecasts_from_production(shell, backend, train, tables):
    """register, validate, promote, predict: the numbers are the booster's own."""
    _, booster = train()
    folder = downloaded(booster, sold(tables, foreign_models.USUAL)[0], shell.folder / "from a registry")
    problem = backend.model.removesuffix("-ensemble")
    words = ["register", str(folder), "--problem", problem, "--target", "log", "--trained-until", "2015-06-19"]
    assert json.loads(shell.lockgate(*words, "--json")[0])["is_new"]
    assert "already registered" in shell.lockgate(*words)[0]
    assert shell.lockgate("validate", "--result-json", "how.json")[0].startswith("PASSED: version 1")
    assert json.loads((shell.folder / "how.json").read_text())["ids"] == {"version": 1}
    shell.lockgate("promote", "--reason", "bought", "--yes")
    assert stages(backend) == ["Production"]
    holdout, stores = dataset.read(tables, "holdout"), dataset.read(tables, "static")
    holdout.drop(columns="Sales").to_csv(shell.folder / "asked.csv", index=False)
    said = shell.lockgate("predict", "--input", "asked.csv", "--output", "forecast.csv")[1]
    assert "version 1 is an external model without bounds" in said
    written = pd.read_csv(shell.folder / "forecast.csv")
    assert written[["lower", "upper"]].isna().all(axis=None)
    found = written["prediction"].to_numpy()
    alone = np.exp(booster.predict(foreign_models.table(holdout, stores)[list(foreign_models.USUAL)]))
    assert np.array_equal(found, np.where(holdout["Open"] == 1, alone, 0.0))
    asked = {name: holdout[name].head(3) for name in ("Store", "Open", "Promo", "StateHoliday", "SchoolHoliday")}
    served = mlflow.pyfunc.load_model(f"models:/{backend.model}/Production").predict(as_served(asked, holdout))
    assert served["prediction"].tolist() == found[:3].tolist()
    assert served[["lower", "upper"]].to_numpy().tolist() == [[None, None]] * 3


def downloaded(booster, values, folder):
    """The model logged to a server, and what `mlflow artifacts download` gives back of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = mlflow.models.infer_signature(values, np.zeros(len(values)))
        with mlflow.start_run():
            logged = mlflow.lightgbm.log_model(booster, name="a", signature=signature, pip_requirements=[])
    mlflow.artifacts.download_artifacts(logged.model_uri, dst_path=str(folder))
    return folder


def as_served(asked, holdout):
    """Rows in the types of the version's signature."""
    types = {"Store": "int64", "Open": "float64", "Promo": "int64", "SchoolHoliday": "int64"}
    return pd.DataFrame(asked).astype(types).assign(Date=holdout["Date"].dt.strftime("%Y-%m-%d").head(3))
