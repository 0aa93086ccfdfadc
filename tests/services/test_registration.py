"""A bundle is one version, whatever happens on the way, and its run tells where it comes from."""

import json
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from lockgate import digests
from lockgate.bundle import manifest
from lockgate.cli.status import _show_candidates as show_candidates
from lockgate.database import versions as database_versions
from lockgate.errors import StateConflict, Unavailable
from lockgate.operations import register, run_record


@pytest.fixture
def client(stack):
    mlflow.set_tracking_uri(stack.tracking_uri)
    mlflow.set_registry_uri(stack.tracking_uri)
    return mlflow.MlflowClient()


def versions(client, backend):
    return client.search_model_versions(f"name = '{backend.model}'")


def test_the_same_bundle_is_the_same_version_however_often_it_is_registered(backend, build, params, client):
    receipts = {register.register(backend, build(1), params) for _ in range(3)}
    assert [(receipt.model, receipt.version) for receipt in receipts] == [(backend.model, 1)]
    assert len(versions(client, backend)) == 1


def test_another_bundle_is_another_version(backend, build, params):
    assert [register.register(backend, build(seed), params).version for seed in (1, 2, 1)] == [1, 2, 1]


def test_the_run_shows_params_candidates_curves_data_and_lineage(backend, build, params, client):
    receipt = register.register(backend, build(1), params)
    run = client.get_run(receipt.run_id)
    assert run.data.params["gate.limit"] == str(params.gate.limit)
    assert {f"inner_folds/rmspe/{member}" for member in ("lightgbm", "xgboost", "catboost", "ridge", "blend")} <= set(
        run.data.metrics
    )
    curve = next(name for name in run.data.metrics if name.startswith("learning_curves/lightgbm/"))
    assert [metric.step for metric in client.get_metric_history(receipt.run_id, curve)][:3] == [1, 2, 3]
    assert run.data.tags["lockgate.bundle_digest"] == receipt.bundle_digest
    assert len(run.data.tags["rows_digest"]) == 64
    inputs = {
        tag.value: given.dataset for given in run.inputs.dataset_inputs for tag in given.tags if tag.key == "sha256"
    }
    assert inputs[run.data.tags["holdout_digest"]].name == "holdout"
    assert inputs[run.data.tags["rows_digest"]].name == "rows"
    assert all("/" in name for name in run.data.metrics)
    shown = {file.path for folder in ("plots", "tables") for file in client.list_artifacts(receipt.run_id, folder)}
    pictures = ("learning_curves", "importances", "permutation_importances")
    tables = ("scores_of_members", "learning_curves", "importances", "permutation_importances")
    assert shown == {
        "plots/training_plots.json",
        *(f"plots/{name}.png" for name in pictures),
        *(f"tables/{name}.csv" for name in tables),
    }
    files = {file.path for file in client.list_artifacts(receipt.run_id)}
    assert files == {"plots", "tables", "lineage"}
    assert "lineage/data_card.json" in {file.path for file in client.list_artifacts(receipt.run_id, "lineage")}


def test_the_run_the_model_and_the_experiment_say_what_they_are(backend, build, params, client):
    receipt = register.register(backend, build(1), params)
    run = client.get_run(receipt.run_id)
    assert run.info.run_name.startswith("version 1: trained until ")
    assert "on the inner folds; blend of " in run.data.tags["mlflow.note.content"]
    model = client.get_registered_model(backend.model)
    assert "judged by RMSPE (lower is better)" in model.description
    assert model.tags | {"metric": "rmspe", "kind": "panel", "task": "regression", "target": "Sales"} == model.tags
    experiment = client.get_experiment(run.info.experiment_id)
    assert experiment.tags["mlflow.note.content"] == model.description
    rows = next(given.dataset for given in run.inputs.dataset_inputs if given.dataset.name == "rows")
    assert "Sales" in rows.schema
    client.update_registered_model(backend.model, "by hand")
    register.register(backend, build(2), params)
    assert client.get_registered_model(backend.model).description == "by hand"


def test_the_run_holds_the_list_of_packages_and_the_record_its_digest(backend, build, params, client, tmp_path, capsys):
    receipt = register.register(backend, build(1), params)
    lineage = database_versions.recorded_version(backend.database, backend.model, receipt.version).lineage
    kept = lineage["sbom"]
    assert kept["file"] == "lineage/sbom.cdx.json"
    file = Path(client.download_artifacts(receipt.run_id, kept["file"], str(tmp_path)))
    assert kept["sha256"] == digests.of_file(file)
    listed = json.loads(file.read_text())
    assert listed["metadata"]["component"]["hashes"][0]["content"] == receipt.bundle_digest
    show_candidates(lineage)
    assert kept["sha256"][:40] in capsys.readouterr().out


def test_the_version_names_raw_columns_pins_its_requirements_and_holds_no_pickle(
    backend, build, params, client, tmp_path
):
    receipt = register.register(backend, build(1), params)
    folder = mlflow.artifacts.download_artifacts(f"models:/{backend.model}/{receipt.version}", dst_path=str(tmp_path))
    model = mlflow.models.Model.load(folder)
    assert model.signature.inputs.input_names() == ["Store", "Date", "Open", "Promo", "StateHoliday", "SchoolHoliday"]
    assert model.signature.outputs.input_names() == ["prediction", "lower", "upper"]
    assert {each.name: each.default for each in model.signature.params} == {"confidence": 0.95, "explain": False}
    assert model.flavors["python_function"]["artifacts"] == {"bundle": {"path": "artifacts/bundle", "uri": "bundle"}}
    assert str(Path(__file__).parents[2]) not in (tmp_path / "MLmodel").read_text()
    requirements = (tmp_path / "requirements.txt").read_text().split()
    assert "mlflow==3.17.2" in requirements
    assert all("==" in requirement for requirement in requirements)
    assert [path for path in tmp_path.rglob("*") if path.suffix in (".pkl", ".pickle", ".joblib")] == []


def test_a_registration_killed_after_mlflow_made_the_version_is_taken_up_again(backend, build, params, client):
    """The version is in MLflow, but nobody came to record it in schema lockgate."""
    killed = build(1)
    contents = run_record.contents(killed, "a" * 64, params.problem)
    record = run_record.record(killed, params)
    first = backend.registry().find_or_create(contents, record)
    assert backend.registry().find_or_create(contents, record) == first
    assert len(versions(client, backend)) == 1


def test_an_unfinished_run_of_a_killed_registration_is_thrown_away(backend, build, params, client):
    digest = manifest.digest(build(1).bundle)
    experiment = client.create_experiment(backend.model)
    orphan = client.create_run(experiment, tags={"lockgate.bundle_digest": digest})
    receipt = register.register(backend, build(1), params)
    runs = client.search_runs([experiment])
    assert [run.info.run_id for run in runs] == [receipt.run_id]
    assert orphan.info.run_id != receipt.run_id


@pytest.mark.parametrize("status", ["RUNNING", "FAILED", "FINISHED"])
def test_a_second_run_of_a_bundle_that_has_its_version_goes_for_good_when_the_bundle_is_registered_again(
    backend, build, params, client, status
):
    """Somebody else's try, whose lock or reply was lost, came to nothing while this one made the version."""
    receipt = register.register(backend, build(1), params)
    tries = [another_try(client, backend, receipt.bundle_digest, status) for _ in range(2)]
    somebody_elses = another_try(client, backend, "f" * 64, status)
    assert register.register(backend, build(1), params) == receipt
    runs = client.search_runs([client.get_run(receipt.run_id).info.experiment_id], run_view_type=ViewType.ALL)
    assert {run.info.run_id for run in runs} == {receipt.run_id, somebody_elses[0]}
    assert [client.get_logged_model(somebody_elses[1]).model_id] == [somebody_elses[1]]
    for _, model_id in tries:
        with pytest.raises(MlflowException, match="not found"):
            client.get_logged_model(model_id)


def another_try(client, backend, digest, status):
    """A run as a registration makes it, with two logged models (a reply was lost); the run, and its second model."""
    experiment = client.get_experiment_by_name(backend.model).experiment_id
    run = client.create_run(experiment, tags={"lockgate.bundle_digest": digest}).info.run_id
    models = [client.create_logged_model(experiment, source_run_id=run).model_id for _ in range(2)]
    if status != "RUNNING":
        client.set_terminated(run, status)
    return run, models[1]


def test_what_a_try_left_stays_for_later_while_the_server_is_down_and_is_no_failure(
    backend, build, params, client, unreachable
):
    receipt = register.register(backend, build(1), params)
    left, _ = another_try(client, backend, receipt.bundle_digest, "FAILED")
    assert register.register(unreachable(backend), build(1), params) == receipt
    assert client.get_run(left).info.lifecycle_stage == "active"


def test_a_lost_reply_that_made_two_versions_leaves_the_first(backend, build, params, client):
    receipt = register.register(backend, build(1), params)
    first = client.get_model_version(backend.model, "1")
    client.create_model_version(
        backend.model, first.source, first.run_id, first.tags, model_id=first.source.removeprefix("models:/")
    )
    assert len(versions(client, backend)) == 2
    contents = run_record.contents(build(1), receipt.bundle_digest, params.problem)
    record = run_record.record(build(1), params)
    assert backend.registry().find_or_create(contents, record) == (1, receipt.run_id)
    assert [int(version.version) for version in versions(client, backend)] == [1]


def test_the_run_that_mlflow_run_hands_down_becomes_the_parent(backend, build, params, client, monkeypatch):
    experiment = client.create_experiment(f"{backend.model} as a project")
    parent = client.create_run(experiment)
    monkeypatch.setenv("MLFLOW_RUN_ID", parent.info.run_id)
    receipt = register.register(backend, build(1), params)
    assert receipt.run_id != parent.info.run_id
    assert client.get_run(receipt.run_id).data.tags["mlflow.parentRunId"] == parent.info.run_id


def test_a_version_deleted_from_mlflow_is_not_made_again_in_silence(backend, build, params, client):
    register.register(backend, build(1), params)
    client.delete_model_version(backend.model, "1")
    with pytest.raises(StateConflict, match=r"version 1 .* was deleted from MLflow"):
        register.register(backend, build(1), params)


def test_with_the_server_down_nothing_is_recorded(backend, build, params, unreachable):
    with pytest.raises(Unavailable, match="does not answer"):
        register.register(unreachable(backend), build(1), params)
    assert database_versions.stages(backend.database, backend.model) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MLFLOW_REGISTRY_URI", "http://127.0.0.1:9"),
        ("MLFLOW_WORKSPACE", "elsewhere"),
        ("MLFLOW_EXPERIMENT_NAME", "elsewhere"),
        ("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "5000"),
        ("MLFLOW_ENABLE_ASYNC_LOGGING", "true"),
        ("MLFLOW_DEFAULT_ARTIFACT_ROOT", "/nowhere"),
    ],
)
def test_variables_of_mlflow_that_were_set_for_something_else_have_no_say(
    backend, build, params, client, monkeypatch, name, value
):
    monkeypatch.setenv(name, value)
    receipt = register.register(backend, build(1), params)
    assert [int(version.version) for version in versions(client, backend)] == [receipt.version]


def test_a_version_that_our_postgres_does_not_show_is_not_recorded(backend, build, params, database):
    """The MLflow server keeps its registry in another database than the one that LOCKGATE_DATABASE_URL names."""
    astray = replace(backend, database=database)
    with pytest.raises(StateConflict, match="this database has none") as refused:
        register.register(astray, build(1), params)
    assert "MLFLOW_TRACKING_URI" in refused.value.hint
    assert database_versions.version_of_digest(database, backend.model, manifest.digest(build(1).bundle)) is None
