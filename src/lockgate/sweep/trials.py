"""A trial: settings, and their scores on the inner folds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from lockgate.problem.search_space import Settings

State = Literal["running", "complete", "pruned", "failed"]
PRESENT = 0  # the number of the trial with the settings that params.yaml has


@dataclass(frozen=True)
class TrialRecord:
    """One trial. `settings` are the values that it changes in params.yaml; trial 0 changes none."""

    number: int
    state: State
    settings: Settings
    errors: tuple[float, ...]  # on the first fold, on the first two together, ...; lower is better
    together: float | None  # score on all folds, in units of the metric
    of_folds: Mapping[str, float]  # score on each scored fold
    cpu_seconds: float
    reason: str  # why it failed
    started: datetime | None
    ended: datetime | None


def finished(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials that are over."""
    return [trial for trial in trials if trial.state != "running"]


def compared(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials that were scored on at least one fold, among which the best was chosen."""
    return [trial for trial in trials if trial.state in ("complete", "pruned")]


def best_of(trials: Sequence[TrialRecord]) -> TrialRecord | None:
    """The complete trial with the least error, the first of equal ones; None without one."""
    complete = [trial for trial in trials if trial.state == "complete"]
    return min(complete, key=lambda trial: (trial.errors[-1], trial.number), default=None)
