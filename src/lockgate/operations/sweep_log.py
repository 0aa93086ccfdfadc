"""Logs the trials of a sweep in MLflow: a parent run with the comparison, and a nested run for each trial."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from math import isfinite
from pathlib import Path

from lockgate.errors import Unavailable
from lockgate.operations import lineage, run_record, sweep_report
from lockgate.operations.sweep_report import Comparison
from lockgate.operations.sweep_setup import Setup
from lockgate.operations.workspace import Workspace
from lockgate.problem.search_space import described
from lockgate.registry.run_log import LoggedFile
from lockgate.registry.sweep_runs import SETTINGS, SweepRun, SweepRuns, TrialRun
from lockgate.reports import plot, sweep_plots
from lockgate.sweep import study
from lockgate.sweep.gain import Gain
from lockgate.sweep.trials import PRESENT, TrialRecord, finished

FOLDER = "sweep"  # of the parent's artifacts
ONLY_INNER = "Trials are scored on inner folds of the training rows; the holdout is not read."


class TrialLog:
    """The runs of a sweep. An outage of MLflow ends no sweep: the journal has the trials, which are logged later."""

    def __init__(self, workspace: Workspace, setup: Setup, name: str, tell: Callable[[str], None]) -> None:
        self._setup, self._tell, self.name = setup, tell, name
        self._runs = SweepRuns(workspace.registry(), run_record.about(setup.params.problem), _parent(setup, name))
        self._lost: Unavailable | None = None

    def add(self, trials: Sequence[TrialRecord]) -> None:
        """Log the finished trials that have no run yet."""
        over = [trial for trial in finished(trials) if trial.number not in self._runs.logged]
        try:
            for trial in over:
                self._runs.log_trial(self._as_run(trial))
            self._lost = None
        except Unavailable as lost:
            if self._lost is None:
                self._tell(f"warning: {lost}; the trials are kept in the journal and logged later")
            self._lost = lost

    def close(self, found: Comparison, files: Sequence[Path], status: str) -> None:
        """Log the comparison on the parent. Raises Unavailable: `--resume` logs what is missing."""
        self.add(found.trials)
        if self._lost is None:
            try:
                logged = [LoggedFile(path, FOLDER) for path in (*files, *_drawn(found))]
                note = "\n\n".join([*sweep_report.in_words(found), ONLY_INNER])
                self._runs.close(_metrics(found), logged, note, status)
            except Unavailable as lost:
                self._lost = lost
        if self._lost is not None:
            raise Unavailable(
                f"MLflow does not have the whole sweep: {self._lost}",
                where=str(found.sweep),
                hint="the trials are kept; when MLflow is back, log them with: lockgate sweep --resume",
            )

    def _as_run(self, trial: TrialRecord) -> TrialRun:
        metric = self._setup.params.problem.metric
        scores = {f"{metric}/fold {fold}": score for fold, score in trial.of_folds.items()}
        if trial.together is not None:
            scores[metric] = trial.together
        tags = {SETTINGS: self._setup.settings_digest(trial.settings)}
        if trial.reason:
            tags["reason"] = trial.reason
        return TrialRun(
            number=trial.number,
            state=trial.state,
            params={name: str(value) for name, value in (trial.settings or self._setup.present()).items()},
            tags=tags,
            metrics={name: score for name, score in scores.items() if isfinite(score)}
            | {"cpu_seconds": trial.cpu_seconds},
            steps=trial.errors,
            started=_milliseconds(trial.started),
            ended=_milliseconds(trial.ended),
        )


def _parent(setup: Setup, name: str) -> SweepRun:
    space = {f"space.{key}": described(dimension) for key, dimension in setup.space.items()}
    settings = {
        "seed": str(setup.params.seed), "profile": setup.params.profile, "sampler": study.SAMPLER,
        "pruner": study.PRUNER,
    }  # fmt: skip
    here = Path.cwd()
    tags = {
        "rows_digest": setup.rows_digest, "git_commit": lineage.git_commit(here),
        "git_dirty": str(lineage.git_dirty(here)),
    }  # fmt: skip
    return SweepRun(name, f"sweep {name}", f"The sweep is running. {ONLY_INNER}", space | settings, tags)


def _metrics(found: Comparison) -> dict[str, float]:
    scores = {"trials_compared": float(found.compared)}
    if found.best is not None and found.best.together is not None:
        scores |= {f"best_{found.metric.name}": found.best.together, "best_trial": float(found.best.number)}
    of_present = found.trials[PRESENT].together if found.trials else None
    if of_present is not None:
        scores[f"present_{found.metric.name}"] = of_present
    return scores | (_of_gain(found.gain) if found.gain else {})


def _of_gain(gain: Gain) -> dict[str, float]:
    named = {"gain": gain.of_all, "gain_mean_of_folds": gain.mean, "gain_low": gain.low, "gain_high": gain.high}
    return {name: value for name, value in named.items() if value is not None and isfinite(value)}


def _drawn(found: Comparison, folder: Path = sweep_report.FOLDER) -> list[Path]:
    plots = sweep_plots.of_sweep(found.trials, found.importances, found.metric)
    about = folder / "sweep.json"
    about.write_text(json.dumps(sweep_report.as_json(found), indent=1) + "\n", encoding="utf-8")
    return [*plot.write(plots, folder, sweep_plots.SWEEP_PLOTS, {"sweep": found.sweep}), about]


def _milliseconds(moment: datetime | None) -> int:
    return int(moment.timestamp() * 1000) if moment else 0
