"""Fits the boosters: the rows, settings and rounds of each one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lockgate.errors import BadConfiguration
from lockgate.features.recipe import Table
from lockgate.features.scale import Scale
from lockgate.features.shared import Shared
from lockgate.features.training_rows import TrainingRows, cutoffs, join, training_target
from lockgate.forecaster.ensemble import Member
from lockgate.models.booster import Budget, Fit, Task
from lockgate.models.loss import Loss
from lockgate.models.members import MEMBERS
from lockgate.models.panel_task import meaning, task
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import BoosterParams, Params
from lockgate.training.schedule import Schedule

BOOSTERS = ("lightgbm", "xgboost", "catboost")
LINEAR = "linear"  # the ridge, by its name in params.yaml
FEWEST_IN_LEAF, MOST_IN_LEAF = 5, 100

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
    schedule: Schedule
    steps: Steps
    windows: Mapping[int, TrainingRows]  # by cutoff: the rows of the horizon after it

    def training_rows(self, last: int) -> TrainingRows:
        """All training rows up to the period `last`."""
        return join(
            [self.windows[cutoff] for cutoff in training_cutoffs(self.table, last, self.params.horizon, self.schedule)]
        )


def training_cutoffs(table: Table, last: int, horizon: int, times: Schedule) -> list[int]:
    """Cutoffs of the training rows when `last` is the last period that may be used; the oldest first."""
    return sorted(
        cutoff for shift in times.cutoff_shifts for cutoff in cutoffs(table, last - shift, horizon, times.min_history)
    )


def boosters_of(params: Params) -> tuple[str, ...]:
    """The boosters among the members, in the order of BOOSTERS; all of them if the problem names no member.

    Raises BadConfiguration for a member that a panel does not have.
    """
    known = (*BOOSTERS, LINEAR)
    for name in params.problem.members:
        if name not in known:
            raise BadConfiguration(
                f"problem.members names {name}",
                where="params.yaml",
                hint=f"members of a problem with a horizon: {', '.join(known)}",
            )
    named = params.problem.members or BOOSTERS
    return tuple(name for name in BOOSTERS if name in named)


def has_linear(params: Params) -> bool:
    """Whether the linear model is a member of the blend; by default it is, but for the metric of a quantile.

    It forecasts a mean. The boosters still start from its forecast.
    """
    if not params.problem.members:
        return METRICS[params.problem.metric].objective != "quantile"
    return LINEAR in params.problem.members


def fit_all(rounds: Mapping[str, int], rows: TrainingRows, session: Session) -> dict[str, Fit]:
    """Each booster, fitted on these rows for its number of rounds."""
    return {name: fit_one(name, rounds[name], rows, None, session) for name in rounds}


def fit_one(name: str, rounds: int, rows: TrainingRows, window: TrainingRows | None, session: Session) -> Fit:
    """One booster; with a window to score on, it may stop early."""
    session.steps.next(f"{name}, {len(rows.target)} rows")
    params = session.params
    settings = sized(settings_of(name, params), len(rows.target))
    budget = budget_of(rounds, params)
    score = None
    if window is not None:
        score = task(window, settings.offset, settings.target, Loss.of(params.problem.metric))
    return MEMBERS[name].fit(settings, learning_task(name, rows, params), score, budget)


def learning_task(name: str, rows: TrainingRows, params: Params, shared: Shared | None = None) -> Task:
    """What a booster learns of training rows; `shared` records, or replays, what the weights of all keys share."""
    settings = settings_of(name, params)
    learned = training_target(rows, params.problem.period.name, remove_shared_residual=settings.remove_daily_residual)
    of_booster = None if shared is None else shared.within(f"final {name}")
    return task(learned, settings.offset, settings.target, Loss.of(params.problem.metric), of_booster)


def budget_of(rounds: int, params: Params) -> Budget:
    """The limits of a fit of at most this number of rounds."""
    return Budget(rounds, params.training.patience, params.seed, params.threads)


def member(name: str, fit: Fit, scale: Scale, params: Params) -> Member:
    """A fitted booster as a member of the forecaster."""
    settings = settings_of(name, params)
    return Member(fit.booster, settings.offset, meaning(settings.target, scale))


def sized(settings: BoosterParams, rows: int) -> BoosterParams:
    """The settings with min_rows_in_leaf chosen by the number of rows, if params.yaml leaves it open."""
    if getattr(settings, "min_rows_in_leaf", 1):
        return settings
    return settings.model_copy(update={"min_rows_in_leaf": min(max(rows // 200, FEWEST_IN_LEAF), MOST_IN_LEAF)})


def settings_of(name: str, params: Params) -> BoosterParams:
    """The settings of a booster."""
    settings: BoosterParams = getattr(params.members, name)
    return settings
