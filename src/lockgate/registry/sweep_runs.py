"""The runs of a sweep: a parent with the comparison, and a nested run for each trial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import time

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, ViewType
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from lockgate.registry.client import Registry
from lockgate.registry.error_messages import translated
from lockgate.registry.run_log import LoggedFile, ModelAbout

SWEEP, TRIAL, SETTINGS = "sweep", "sweep_trial", "settings_digest"  # tags of the run of a trial
LONGEST_PARAM = 6000  # characters: MLflow's limit
PER_PAGE = 1000
STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}


@dataclass(frozen=True)
class SweepRun:
    """The parent: its name, description, params, tags and metrics."""

    sweep: str
    name: str
    note: str
    params: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class TrialRun:
    """A trial that is over. `steps` are the errors on the first fold, the first two...; times are milliseconds."""

    number: int
    state: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    steps: Sequence[float]
    started: int
    ended: int


@dataclass(frozen=True)
class Chosen:
    """The trial whose settings a version has: its sweep, its number, and how many trials were compared."""

    sweep: str
    trial: int
    trials: int


class SweepRuns:
    """The runs of one sweep in the experiment of its model. Every failure of MLflow is raised as Unavailable."""

    def __init__(self, registry: Registry, about: ModelAbout, sweep: SweepRun) -> None:
        self._client, self._sweep = registry.runs, sweep
        with translated():
            self._experiment = registry.experiment(about)
            self.run_id = self._found() or self._created()
            self._client.update_run(self.run_id, "RUNNING")
            self.logged = self._whole_trials()

    def log_trial(self, trial: TrialRun) -> None:
        """Log a trial as a nested run, once."""
        if trial.number in self.logged:
            return
        tags = {
            MLFLOW_RUN_NAME: f"trial {trial.number}", MLFLOW_PARENT_RUN_ID: self.run_id, SWEEP: self._sweep.sweep,
            TRIAL: str(trial.number), "state": trial.state, **trial.tags,
        }  # fmt: skip
        metrics = [Metric(name, value, trial.ended, 0) for name, value in trial.metrics.items()]
        metrics += [Metric("error_after_folds", each, trial.ended, step) for step, each in enumerate(trial.steps, 1)]
        with translated():
            run = self._client.create_run(self._experiment, trial.started, tags)
            self._client.log_batch(run.info.run_id, metrics, _params(trial.params))
            self._client.set_terminated(run.info.run_id, STATUS[trial.state], trial.ended)
        self.logged.add(trial.number)

    def close(self, metrics: Mapping[str, float], files: Sequence[LoggedFile], note: str, status: str) -> None:
        """Log the comparison on the parent; a resumed sweep replaces it."""
        now = int(time() * 1000)
        with translated():
            self._client.log_batch(self.run_id, [Metric(name, value, now, 0) for name, value in metrics.items()])
            for file in files:
                self._client.log_artifact(self.run_id, str(file.path), file.folder)
            self._client.set_tag(self.run_id, MLFLOW_RUN_NOTE, note)
            self._client.set_terminated(self.run_id, status)

    def _found(self) -> str | None:
        runs = self._search(f"tags.{SWEEP} = '{self._sweep.sweep}' and tags.kind = 'sweep'")
        return str(runs[0].info.run_id) if runs else None

    def _created(self) -> str:
        sweep = self._sweep
        tags = {MLFLOW_RUN_NAME: sweep.name, MLFLOW_RUN_NOTE: sweep.note, SWEEP: sweep.sweep, "kind": "sweep"}
        run = self._client.create_run(self._experiment, tags=tags | dict(sweep.tags))
        self._client.log_batch(run.info.run_id, params=_params(sweep.params))
        return str(run.info.run_id)

    def _whole_trials(self) -> set[int]:
        """The numbers of the logged trials; the run of a trial that a killed process did not finish is deleted."""
        whole = set()
        for run in self._search(f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.run_id}'"):
            if run.info.status == "RUNNING":
                self._client.delete_run(run.info.run_id)
            else:
                whole.add(int(run.data.tags[TRIAL]))
        return whole

    def _search(self, condition: str) -> list[Run]:
        return _all_runs(self._client, self._experiment, condition)


def chosen_by(registry: Registry, about: ModelAbout, settings: str) -> Chosen | None:
    """The newest trial of a sweep, but for those of present settings, that had the settings with this digest."""
    with translated():
        experiment = registry.experiment(about)
        named = f"tags.{SETTINGS} = '{settings}' and tags.{TRIAL} != '0'"
        trials = _all_runs(registry.runs, experiment, named)
        if not trials:
            return None
        tags = max(trials, key=lambda run: (int(run.info.start_time), run.info.run_id)).data.tags
        siblings = _all_runs(
            registry.runs, experiment, f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{tags[MLFLOW_PARENT_RUN_ID]}'"
        )
    compared = [run for run in siblings if run.data.tags.get("state") in ("complete", "pruned")]
    return Chosen(tags[SWEEP], int(tags[TRIAL]), len(compared))


def _all_runs(client: MlflowClient, experiment: str, condition: str) -> list[Run]:
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment], condition, ViewType.ACTIVE_ONLY, PER_PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _params(values: Mapping[str, str]) -> list[Param]:
    return [Param(name, text[:LONGEST_PARAM]) for name, text in values.items()]
