"""Optuna's study of a sweep: which settings come next, which trials are given up, and the journal that keeps them.

Only this module imports optuna. Each trial has a sampler with a seed of its own, so that a sweep that was killed and
resumed, with one trial at a time, goes on as if it had not been killed.
"""

import fcntl
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from lockgate.errors import StateConflict
from lockgate.problem.search_space import Choices, Dimension, Settings, Space, Value
from lockgate.sweep.trials import PRESENT, State, TrialRecord
from lockgate.training.inner_score import InnerScore

RANDOM_TRIALS = 10  # before the sampler learns from the earlier ones
COMPLETE_TRIALS = 5  # before the pruner gives up a trial
NAME = "sweep"
SAMPLER = f"TPE, the first {RANDOM_TRIALS} at random"
PRUNER = f"median of the complete trials after the same folds, from {COMPLETE_TRIALS} complete trials on"
STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "running",
}


class Study:
    """The trials of one sweep."""

    def __init__(self, storage: BaseStorage, space: Space, present: Settings, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space, self._present, self._seed = space, present, seed
        self._study = optuna.create_study(
            storage=storage,
            study_name=NAME,
            load_if_exists=True,
            pruner=MedianPruner(n_startup_trials=COMPLETE_TRIALS),
        )
        self._running: dict[int, Trial] = {}

    @property
    def about(self) -> Mapping[str, Any]:
        """What was recorded when the sweep began; empty for a new one."""
        return dict(self._study.user_attrs)

    def begin(self, about: Mapping[str, Any]) -> None:
        """Record what the sweep compares."""
        for name, value in about.items():
            self._study.set_user_attr(name, value)

    def adopt(self) -> list[int]:
        """The trials that were running when the sweep was killed: they are repeated, under their numbers."""
        left = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for trial in left:
            self._running[trial.number] = Trial(self._study, trial._trial_id)
        return sorted(self._running)

    def ask(self) -> int:
        """Begin the next trial and return its number. The first one has the settings of params.yaml."""
        number = len(self._study.get_trials(deepcopy=False))
        space, settings = self._space, None
        if number == PRESENT:
            space = {name: each for name, each in space.items() if each.has(self._present[name])}
            settings = {name: _stored(each, self._present[name]) for name, each in space.items()}
            self._study.enqueue_trial(settings)
        self._study.sampler = TPESampler(seed=(self._seed + number) % 2**32, n_startup_trials=RANDOM_TRIALS)
        trial = self._study.ask({name: _distribution(each) for name, each in space.items()})
        self._running[trial.number] = trial
        return trial.number

    def settings(self, number: int) -> dict[str, Value]:
        """The values that a running trial changes; none for the first one."""
        return _settings(number, self._running[number].params, self._space)

    def folds(self, number: int) -> int:
        """The number of folds on which a running trial is scored."""
        return len(self._running[number].user_attrs["of_folds"])

    def report(self, number: int, score: InnerScore) -> bool:
        """Record the score on one more fold, and say whether the trial is to be given up.

        The pruner compares each trial with the others after the same folds, as a share of the error of trial 0: folds
        differ in difficulty.
        """
        trial = self._running[number]
        known = trial.user_attrs
        # the folds of a trial that a killed process began are scored again
        errors = [*known.get("errors", [])[: len(score.of_folds) - 1], score.error]
        trial.set_user_attr("errors", errors)
        trial.set_user_attr("together", score.together)
        trial.set_user_attr("of_folds", dict(score.of_folds))
        trial.set_user_attr("cpu_seconds", known.get("cpu_seconds", 0.0) + score.cpu_seconds)
        base = errors if number == PRESENT else self._errors_of_present()
        reported = self._study._storage.get_trial(trial._trial_id).intermediate_values
        for step, (error, of_present) in enumerate(zip(errors, base, strict=False), start=1):
            if step not in reported:
                trial.report(error / of_present if of_present > 0 else error, step)
        return number != PRESENT and trial.should_prune()

    def complete(self, number: int) -> None:
        """End a trial that is scored on all folds."""
        trial = self._running.pop(number)
        self._study.tell(trial, trial.user_attrs["errors"][-1])

    def prune(self, number: int) -> None:
        """End a trial that is given up."""
        self._study.tell(self._running.pop(number), state=TrialState.PRUNED)

    def fail(self, number: int, reason: str) -> None:
        """End a trial that could not be scored."""
        trial = self._running.pop(number)
        trial.set_user_attr("reason", reason)
        self._study.tell(trial, state=TrialState.FAIL)

    def trials(self) -> list[TrialRecord]:
        """All trials, in the order in which they began."""
        return [self._record(trial) for trial in self._study.get_trials(deepcopy=False)]

    def importances(self) -> dict[str, float]:
        """The share of each name in the spread of the errors over complete trials; empty for too few trials."""
        complete = [trial for trial in self._study.get_trials(deepcopy=False) if trial.state == TrialState.COMPLETE]
        whole = [trial for trial in complete if set(trial.params) == set(self._space)]
        if len(whole) < COMPLETE_TRIALS or len({trial.value for trial in whole}) == 1:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self._seed)
        names = list(self._space)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return dict(optuna.importance.get_param_importances(self._study, evaluator=evaluator, params=names))

    def _errors_of_present(self) -> list[float]:
        return cast("list[float]", self._study.get_trials(deepcopy=False)[PRESENT].user_attrs.get("errors", []))

    def _record(self, trial: FrozenTrial) -> TrialRecord:
        kept = trial.user_attrs
        return TrialRecord(
            number=trial.number,
            state=STATES[trial.state],
            settings=_settings(trial.number, trial.params, self._space),
            errors=tuple(kept.get("errors", ())),
            together=kept.get("together") if trial.state == TrialState.COMPLETE else None,
            of_folds=kept.get("of_folds", {}),
            cpu_seconds=kept.get("cpu_seconds", 0.0),
            reason=kept.get("reason", ""),
            started=trial.datetime_start,
            ended=trial.datetime_complete,
        )


@contextmanager
def journal(path: Path) -> Iterator[BaseStorage]:
    """The storage in a journal file, for one process at a time.

    Raises StateConflict if another process has it. A last line that a killed process did not finish is dropped.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateConflict(
                "another process runs this sweep", where=str(path), hint="wait until it ends, or stop it"
            ) from None
        _drop_unfinished_line(path)
        yield JournalStorage(JournalFileBackend(str(path), cast(Any, _NoLock())))


class _NoLock:
    """The file belongs to one process: Optuna's own lock would outlive a killed one."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return None


def _drop_unfinished_line(path: Path) -> None:
    if path.exists() and not (content := path.read_bytes()).endswith(b"\n"):
        path.write_bytes(content[: content.rfind(b"\n") + 1])


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Choices):
        return CategoricalDistribution([json.dumps(value) for value in dimension.values])
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(float(dimension.low), float(dimension.high), log=dimension.log)


def _stored(dimension: Dimension, value: Value) -> Value:
    """A value as Optuna keeps it: a choice as JSON, because it may be a list."""
    return json.dumps(value) if isinstance(dimension, Choices) else value


def _settings(number: int, params: Mapping[str, Value], space: Space) -> dict[str, Value]:
    if number == PRESENT:
        return {}
    return {
        name: json.loads(value) if isinstance(space[name], Choices) else _short(value) for name, value in params.items()
    }


def _short(value: float) -> float:
    """A number as it is written into params.yaml: four significant digits of one that is not whole."""
    return value if isinstance(value, int) else float(f"{value:.4g}")
