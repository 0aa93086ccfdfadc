"""When a training looks: its inner folds, its cutoffs, and the history before the first one.

Settings that params.yaml leaves open are chosen by the period, the horizon and the length of the history.
"""

from dataclasses import dataclass

from lockgate.features.recipe import Table
from lockgate.problem.params import Params
from lockgate.problem.periods import PeriodName

SEASON: dict[PeriodName, int] = {"hour": 168, "day": 364, "week": 52, "month": 12, "integer": 0}
SHORT_SEASON: dict[PeriodName, int] = {"hour": 168, "day": 28, "week": 8, "month": 6, "integer": 3}
MIN_TRAINING_WINDOWS = 2
MOST_CUTOFFS = 150  # of one shift: the newest are kept
MOST_SHIFTED_CUTOFFS = 200
MOST_ROWS = 150_000  # about: shifts add the same targets at other steps
FOLDS, SMALL_FOLDS = 3, 6
SMALL_WINDOW = 1_000  # rows of a window below which there are SMALL_FOLDS


@dataclass(frozen=True)
class Schedule:
    """In periods: ends of the folds before the last one, shifts of the cutoffs, and history before the first cutoff."""

    fold_ends_ago: tuple[int, ...]
    cutoff_shifts: tuple[int, ...]
    min_history: int


def schedule(table: Table, params: Params) -> Schedule:
    """The schedule of a training on this table."""
    return schedule_of(table.last - table.first + 1, int((table.history.present).sum()), params)


def schedule_of(periods: int, rows: int, params: Params) -> Schedule:
    """The schedule for a history with this number of periods and rows."""
    given = params.training
    ends = tuple(given.fold_ends_days_ago) or _fold_ends(periods, rows, params)
    history = given.min_history_days or _min_history(periods, ends, params)
    shifts = tuple(given.cutoff_shifts) or _shifts(periods - history, rows, params.horizon)
    return Schedule(ends, shifts, history)


def _fold_ends(periods: int, rows: int, params: Params) -> tuple[int, ...]:
    """The newest windows; in a history of more than three seasons, they are spread over one.

    The season of hours is a week: their windows are spread over a third of the history.
    """
    name, horizon = params.problem.period.name, params.horizon
    small = rows * horizon < SMALL_WINDOW * periods
    count = SMALL_FOLDS if small else FOLDS
    spread = min(periods // 3, MOST_CUTOFFS * horizon) if name == "hour" else SEASON[name]
    apart = horizon * max(1, round(spread / count / horizon)) if periods > 3 * SEASON[name] else horizon
    if name == "hour" and apart % SEASON[name] == 0 and horizon % SEASON[name]:
        apart += horizon  # windows on several weekdays
    return tuple(apart * place for place in range(count))


def _min_history(periods: int, ends: tuple[int, ...], params: Params) -> int:
    """A season if a third of the history is longer, else a third of it; more where the cutoffs would be too many."""
    name, horizon = params.problem.period.name, params.horizon
    room = periods - (MIN_TRAINING_WINDOWS + 1) * horizon  # what the newest fold leaves
    wished = max(min(SEASON[name] + horizon, periods // 3), SHORT_SEASON[name], horizon)
    return max(2, min(wished, room), periods - ends[-1] - (MOST_CUTOFFS + MIN_TRAINING_WINDOWS) * horizon)


def _shifts(periods: int, rows: int, horizon: int) -> tuple[int, ...]:
    """As many shifts as keep rows and cutoffs below their limits, evenly spread over the horizon."""
    by_rows = MOST_ROWS // max(rows, 1)
    by_cutoffs = MOST_SHIFTED_CUTOFFS * horizon // max(periods, 1)
    count = max(1, min(by_rows, by_cutoffs, horizon))
    return tuple(horizon * place // count for place in range(count))
