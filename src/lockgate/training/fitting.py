"""Fits the boosters: the rows, settings and rounds of each one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lockgate.features.recipe import Table
from lockgate.features.training_rows import TrainingRows, cutoffs, join, training_target
from lockgate.forecaster.ensemble import Member
from lockgate.models.booster import Budget, Fit
from lockgate.models.loss import Loss
from lockgate.models.members import MEMBERS
from lockgate.models.panel_task import task
from lockgate.problem.params import BoosterParams, Params

Progress = Callable[[str, int, int], None]  # name of the next step, steps done, steps in all


class Steps:
    """Counts the steps of a training and reports each one."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def next(self, name: str) -> None:
        """Report the next step."""
        self._progress(name, self._done, self._total)
        self._done += 1


@dataclass(frozen=True)
class Session:
    """Data, params and progress that all fits of one training share."""

    table: Table
    params: Params
    steps: Steps
    windows: Mapping[int, TrainingRows]  # by cutoff: the rows of the horizon after it

    def training_rows(self, last: int) -> TrainingRows:
        """All training rows up to the period `last`."""
        return join([self.windows[cutoff] for cutoff in training_cutoffs(self.table, last, self.params)])


def training_cutoffs(table: Table, last: int, params: Params) -> list[int]:
    """Cutoffs of the training rows when `last` is the last period that may be used; the oldest first."""
    horizon, oldest = params.horizon, params.training.min_history_days
    return sorted(
        cutoff for shift in params.training.cutoff_shifts for cutoff in cutoffs(table, last - shift, horizon, oldest)
    )


def fit_all(rounds: Mapping[str, int], rows: TrainingRows, session: Session) -> dict[str, Fit]:
    """Each booster, fitted on these rows for its number of rounds."""
    return {name: fit_one(name, rounds[name], rows, None, session) for name in MEMBERS}


def fit_one(name: str, rounds: int, rows: TrainingRows, window: TrainingRows | None, session: Session) -> Fit:
    """One booster; with a window to score on, it may stop early."""
    session.steps.next(f"{name}, {len(rows.target)} rows")
    params = session.params
    settings = settings_of(name, params)
    budget = Budget(rounds, params.training.patience, params.seed, params.threads)
    meaning = (settings.offset, settings.target, Loss.of(params.problem.metric))
    score = None if window is None else task(window, *meaning)
    learned = training_target(rows, params.problem.period.name, remove_shared_residual=settings.remove_daily_residual)
    return MEMBERS[name].fit(settings, task(learned, *meaning), score, budget)


def member(name: str, fit: Fit, params: Params) -> Member:
    """A fitted booster as a member of the forecaster."""
    settings = settings_of(name, params)
    return Member(fit.booster, settings.offset, settings.target)


def settings_of(name: str, params: Params) -> BoosterParams:
    """The settings of a booster."""
    settings: BoosterParams = getattr(params.members, name)
    return settings
