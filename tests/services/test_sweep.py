"""A sweep on a real MLflow: nested runs, a holdout that is not there, a kill between two folds, an outage."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import any_problem
import dask_processes
import mlflow
import psutil
import pytest
import yaml
from door import Door
from plain_tables import params as plain_params

from lockgate.errors import StateConflict, Unavailable, WrongUsage
from lockgate.operations import register, sweep
from lockgate.operations.stage_files import Build, Receipt
from lockgate.operations.sweep import Order
from lockgate.operations.sweep_setup import Setup
from lockgate.operations.workspace import Workspace
from lockgate.pipeline import train
from lockgate.problem.params import load_params
from lockgate.system.service_urls import Addresses
from lockgate.training.inner_score import score_first_folds

SPACE = {
    "members.lightgbm.learning_rate": {"low": 0.02, "high": 0.5, "log": True},
    "members.lightgbm.leaves": {"low": 3, "high": 31},
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml and prepared tables of two classes, without the holdout; the working directory."""
    problem, tables = any_problem.problem_of("table of binary")
    given = plain_params("binary").model_dump(mode="json", exclude_defaults=True)
    given["problem"] |= {"members": ["lightgbm"]}
    given["gate"]["limit"] = 0.69
    given |= {"training": {"max_rounds": 10, "patience": 4}, "sweep": SPACE}
    any_problem.prepare(problem, tables, tmp_path / "data" / "prepared")
    (tmp_path / "data" / "prepared" / "holdout.parquet").unlink()
    (tmp_path / "params.yaml").write_text("# the params\n" + yaml.safe_dump(given, sort_keys=False))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def workspace(backend: Workspace, project: Path) -> Workspace:
    return replace(backend, home=project / ".lockgate")


def ran(workspace: Workspace, trials: int, resume: bool = False, told: Callable[[str], None] = lambda _: None):
    return sweep.sweep(workspace, Setup.of(Path("data/prepared")), Order(trials, resume=resume), told)


def runs_of(workspace: Workspace, found) -> tuple[mlflow.entities.Run, list[mlflow.entities.Run]]:
    """The parent of a sweep, and its trials by number."""
    client = mlflow.MlflowClient(workspace.addresses.tracking_uri)
    experiment = client.get_experiment_by_name(workspace.model)
    runs = client.search_runs([experiment.experiment_id], f"tags.sweep = '{found.sweep}'")
    [parent] = [run for run in runs if run.data.tags.get("kind") == "sweep"]
    nested = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    return parent, sorted(nested, key=lambda run: int(run.data.tags["sweep_trial"]))


def without_costs(found):
    return [replace(trial, cpu_seconds=0, started=None, ended=None) for trial in found.trials]


def test_each_trial_is_a_nested_run_and_the_best_a_params_file(workspace: Workspace, project: Path) -> None:
    found = ran(workspace, 4)
    parent, nested = runs_of(workspace, found)
    assert [int(run.data.tags["sweep_trial"]) for run in nested] == [0, 1, 2, 3]
    assert [run.data.tags["state"] for run in nested] == [trial.state for trial in found.trials]
    assert nested[0].data.params == {"members.lightgbm.learning_rate": "0.05", "members.lightgbm.leaves": "15"}
    for run, trial in zip(nested, found.trials, strict=True):
        assert run.data.metrics["log_loss"] == trial.together
        assert run.data.metrics["log_loss/fold 3"] == trial.of_folds["3"]
    assert parent.info.status == "FINISHED"
    assert parent.data.params["space.members.lightgbm.leaves"] == "3 .. 31"
    assert parent.data.tags["rows_digest"] == Setup.of(Path("data/prepared")).rows_digest
    assert parent.data.metrics["trials_compared"] == 4
    client = mlflow.MlflowClient(workspace.addresses.tracking_uri)
    names = {Path(file.path).name for file in client.list_artifacts(parent.info.run_id, "sweep")}
    assert names >= {"trials.csv", "sweep.json", "params.yaml", "optimisation_history.png"}
    assert found.best.number > 0
    best = load_params(project / "build" / "sweep" / "params.yaml")
    assert {name: getattr(best.members.lightgbm, name.rpartition(".")[2]) for name in found.changes} == found.changes
    assert (project / "build/sweep/params.yaml").read_text().startswith("# the params\n")
    tags = client.get_run(registered_with_the_best(workspace, project).run_id).data.tags
    assert (tags["sweep"], tags["sweep_trial"], tags["sweep_trials"]) == (found.sweep, str(found.best.number), "4")


def registered_with_the_best(workspace: Workspace, project: Path) -> Receipt:
    """The version that is trained and registered with the params file of the sweep."""
    shutil.copy(project / "build" / "sweep" / "params.yaml", project / "params.yaml")
    any_problem.prepare(*any_problem.problem_of("table of binary"), project / "data" / "prepared")
    train.main(Path("data/prepared"), Path("build"))
    made = Build(Path("data/prepared"), Path("build"))
    return register.register(workspace, made, load_params(Path("params.yaml")))


def test_a_sweep_that_is_killed_or_interrupted_goes_on_as_if_it_had_not_been(
    workspace: Workspace, project: Path
) -> None:
    """The trial of the kill is repeated under its number; every trial has one run, and Ctrl-C leaves the best."""
    whole = ran(replace(workspace, home=project / "elsewhere"), 5)
    shutil.rmtree(project / "build")
    killed = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killed_sweep.py")), workspace.model, "12"],
        env={**os.environ, "MLFLOW_TRACKING_URI": workspace.addresses.tracking_uri,
             "LOCKGATE_DATABASE_URL": workspace.addresses.database_url},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    def interrupt(line: str) -> None:
        if line.startswith("trial 3 "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ran(workspace, 5, resume=True, told=interrupt)
    assert (project / "build" / "sweep" / "params.yaml").exists()
    found = ran(workspace, 5, resume=True)
    assert without_costs(found) == without_costs(whole)
    parent, nested = runs_of(workspace, found)
    assert [int(run.data.tags["sweep_trial"]) for run in nested] == [0, 1, 2, 3, 4]
    assert parent.info.status == "FINISHED"


def test_without_mlflow_no_work_begins(
    workspace: Workspace, project: Path, unreachable: Callable[[Workspace], Workspace]
) -> None:
    with pytest.raises(Unavailable):
        ran(replace(unreachable(workspace), home=project / ".lockgate"), 2)
    assert not list(project.glob(".lockgate/**/*.journal"))


def test_trials_during_an_outage_of_mlflow_are_kept_and_logged_by_resume(workspace: Workspace, project: Path) -> None:
    url = urlsplit(workspace.addresses.tracking_uri)
    door = Door((url.hostname, url.port))
    threading.Thread(target=door.serve, daemon=True).start()
    through = Addresses(f"http://127.0.0.1:{door.port}", workspace.addresses.database_url)
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        if line.startswith("trial 1 "):
            door.close()

    with pytest.raises(Unavailable, match="MLflow does not have the whole sweep") as lost:
        ran(replace(workspace, addresses=through, timeout=2.0), 3, told=tell)
    assert "lockgate sweep --resume" in lost.value.hint
    assert [line.split(":")[0] for line in told if line.startswith("warning")] == ["warning"]
    assert (project / "build" / "sweep" / "params.yaml").exists()
    found = ran(workspace, 3, resume=True)
    assert [int(run.data.tags["sweep_trial"]) for run in runs_of(workspace, found)[1]] == [0, 1, 2]


def test_a_sweep_is_not_resumed_with_other_settings(workspace: Workspace, project: Path) -> None:
    ran(workspace, 2)
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("high: 31", "high: 63"))
    with pytest.raises(StateConflict, match="the search space differs from that of the sweep"):
        ran(workspace, 3, resume=True)
    with pytest.raises(StateConflict, match=r"no sweep of .* to resume"):
        ran(replace(workspace, home=project / "elsewhere"), 3, resume=True)


def test_on_dask_each_worker_runs_a_trial_and_scores_are_those_of_one_process(
    workspace: Workspace, project: Path, dask_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCKGATE_DASK", dask_address)
    found = ran(workspace, 3)
    assert [trial.state for trial in found.trials] == ["complete"] * 3
    setup = Setup.of(Path("data/prepared"))
    alone = score_first_folds(setup.tables(), setup.params_with(found.trials[2].settings), 5)
    assert (found.trials[2].together, found.trials[2].of_folds) == (alone.together, alone.of_folds)
    with pytest.raises(WrongUsage, match="--workers is 3, and there are 2 to run trials"):
        sweep.sweep(workspace, setup, Order(2, workers=3), print)


@pytest.mark.long
def test_a_sweep_finishes_although_a_worker_is_killed(
    workspace: Workspace, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "cluster").mkdir()
    with dask_processes.running(project / "cluster", workers=2) as cluster:
        monkeypatch.setenv("LOCKGATE_DASK", cluster.address)
        dask_processes.wait_for(lambda: all("Starting established" in cluster.log(each) for each in (0, 1)))

        def kill(line: str) -> None:
            if line.startswith("trial 1 "):
                for process in psutil.Process(cluster.workers[0].pid).children(recursive=True):
                    process.kill()
                cluster.workers[0].kill()

        found = ran(replace(workspace, timeout=60.0), 6, told=kill)
    assert {trial.state for trial in found.trials} <= {"complete", "pruned"}
    setup = Setup.of(Path("data/prepared"))
    for trial in found.trials:
        alone = score_first_folds(setup.tables(), setup.params_with(trial.settings), len(trial.of_folds))
        assert trial.errors[-1] == alone.error
    assert len(runs_of(workspace, found)[1]) == 6


@pytest.mark.long
def test_a_sweep_without_its_scheduler_ends_and_goes_on_later(
    workspace: Workspace, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "cluster").mkdir()
    with dask_processes.running(project / "cluster", workers=2) as cluster:
        monkeypatch.setenv("LOCKGATE_DASK", cluster.address)
        dask_processes.wait_for(lambda: all("Starting established" in cluster.log(each) for each in (0, 1)))

        def kill(line: str) -> None:
            if line.startswith("trial "):  # the first one that ends
                cluster.scheduler.kill()

        with pytest.raises(Unavailable, match="scheduler"):
            ran(replace(workspace, timeout=10.0), 6, told=kill)
    monkeypatch.delenv("LOCKGATE_DASK")
    found = ran(workspace, 6, resume=True)
    assert len([trial for trial in found.trials if trial.state in ("complete", "pruned")]) == 6
