"""What a sweep has found: the best trial beside the present settings, as values, as files and in words."""

import csv
import io
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from lockgate.errors import BadConfiguration, StorageFailed
from lockgate.operations.sweep_setup import Setup
from lockgate.problem.metrics import METRICS, Metric
from lockgate.problem.search_space import Settings
from lockgate.sweep.gain import Gain, gain_of
from lockgate.sweep.trials import PRESENT, TrialRecord, best_of, compared
from lockgate.system import strict_yaml, yaml_edit

FOLDER = Path("build", "sweep")
SHOWN_DIGITS = 3  # of a gain


@dataclass(frozen=True)
class Comparison:
    """The trials of a sweep, the best one, its gain, and the values that it changes; None without a complete trial."""

    sweep: str
    metric: Metric
    trials: tuple[TrialRecord, ...]
    best: TrialRecord | None
    gain: Gain | None
    changes: Settings
    importances: Mapping[str, float]

    @property
    def compared(self) -> int:
        """The number of trials among which the best was chosen."""
        return len(compared(self.trials))


def comparison(name: str, setup: Setup, trials: Sequence[TrialRecord], importances: Mapping[str, float]) -> Comparison:
    """Compare the best trial with trial 0."""
    metric, best = METRICS[setup.params.problem.metric], best_of(trials)
    gain, changes = None, {}
    if best is not None and trials[PRESENT].state == "complete":
        gain, before = gain_of(trials[PRESENT], best, metric), setup.present()
        changes = {key: value for key, value in best.settings.items() if before[key] != value}
    return Comparison(name, metric, tuple(trials), best, gain, changes, importances)


def params_text(setup: Setup, changes: Settings) -> str:
    """params.yaml with the best settings. Raises BadConfiguration if they cannot be changed in place."""
    text = setup.params_file.read_text(encoding="utf-8")
    try:
        return yaml_edit.changed(text, changes)
    except strict_yaml.Malformed as error:
        raise BadConfiguration(
            f"the best settings cannot be written: {error}",
            where=str(setup.params_file),
            hint=f"write them yourself: {', '.join(f'{name}: {value}' for name, value in changes.items())}",
        ) from error


def apply(found: Comparison, setup: Setup) -> None:
    """Write the best settings into params.yaml, at once or not at all. Raises StorageFailed."""
    text, partial = params_text(setup, found.changes), setup.params_file.with_suffix(".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(setup.params_file)
    except OSError as error:
        raise StorageFailed(
            f"cannot write: {error.strerror}", where=str(setup.params_file), hint="make room, or check permissions"
        ) from error


def write(found: Comparison, setup: Setup, folder: Path = FOLDER) -> list[Path]:
    """Write trials.csv, and params.yaml with the best settings. Raises StorageFailed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = [folder / "trials.csv"]
        written[0].write_text(trials_csv(found), encoding="utf-8")
        if found.best is not None:
            written.append(folder / "params.yaml")
            written[1].write_text(params_text(setup, found.changes), encoding="utf-8")
    except OSError as error:
        raise StorageFailed(
            f"cannot write: {error.strerror}", where=str(folder), hint="make room on the disk"
        ) from error
    return written


def trials_csv(found: Comparison) -> str:
    """A line for each trial: its state, score, score on each fold, CPU seconds and settings."""
    names = sorted({name for trial in found.trials for name in trial.settings})
    folds = list(dict.fromkeys(name for trial in found.trials for name in trial.of_folds))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", found.metric.name, *(f"fold {fold}" for fold in folds), "cpu_seconds", *names])
    for trial in found.trials:
        scores = [trial.of_folds.get(fold, "") for fold in folds]
        score = "" if trial.together is None else trial.together
        settings = [trial.settings.get(name, "") for name in names]
        writer.writerow([trial.number, trial.state, score, *scores, f"{trial.cpu_seconds:.1f}", *settings])
    return text.getvalue()


def experiment_line(changes: Settings) -> str:
    """The command of DVC that trains with the best settings."""
    words = [f"-S {shlex.quote(f'{name}={yaml_edit.written(value)}')}" for name, value in changes.items()]
    return " ".join(["dvc exp run", *words])


def in_words(found: Comparison) -> list[str]:
    """The result in sentences."""
    if found.best is None or found.gain is None or found.best.together is None:
        return [f"no trial is complete: nothing to compare ({found.sweep})"]
    metric, of_present = found.metric, found.trials[PRESENT].together
    shown = f"{metric.label} {metric.shown(found.best.together)} on the inner folds"
    if found.best.number == PRESENT:
        return [f"the present settings are the best of {found.compared} trials: {shown}"]
    present = metric.shown(of_present) if of_present is not None else "unknown"
    return [
        f"trial {found.best.number} is the best of {found.compared} trials: {shown}; present settings {present}",
        gain_in_words(found.gain, found.compared),
    ]


def gain_in_words(gain: Gain, trials: int) -> str:
    """The gain with its spread, and whether it is within the noise."""
    bias = f"the best of {trials} trials was chosen on these folds, so its gain on new rows is likely smaller"
    if gain.low is None or gain.high is None:
        return f"gain {_signed(gain.of_all)} on one fold: one fold shows no spread; {bias}"
    mean = f"gain {_signed(gain.mean)} in the mean of {gain.folds} folds (95 %: {_signed(gain.low)} to"
    spread = f"{mean} {_signed(gain.high)})"
    if gain.within_noise:
        return f"{spread}: WITHIN THE NOISE, these folds do not show that the settings are better; {bias}"
    return f"{spread}; {bias}"


def as_json(found: Comparison) -> dict[str, Any]:
    """The result for scripts."""
    gain = found.gain
    return {
        "sweep": found.sweep,
        "metric": found.metric.name,
        "compared": found.compared,
        "best": found.best.number if found.best else None,
        "changes": dict(found.changes),
        "gain": None if gain is None else _finite(vars(gain)) | {"within_noise": gain.within_noise},
        "importances": dict(found.importances),
        "trials": [
            {
                "trial": trial.number,
                "state": trial.state,
                "score": trial.together,
                "of_folds": _finite(trial.of_folds),
                "cpu_seconds": round(trial.cpu_seconds, 2),
                "settings": dict(trial.settings),
                "reason": trial.reason,
            }
            for trial in found.trials
        ],
        "train": experiment_line(found.changes) if found.changes else None,
    }


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with None for one that is no number: JSON has no NaN."""
    return {name: None if value is None or not isfinite(value) else value for name, value in values.items()}


def _signed(value: float) -> str:
    return f"{value:+.{SHOWN_DIGITS}g}"
