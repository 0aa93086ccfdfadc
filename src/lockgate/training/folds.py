"""Inner time folds: each booster learns the periods before a window of the horizon and is scored on the window."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.errors import BadData
from lockgate.features.recipe import RIDGE, Table
from lockgate.features.training_rows import TrainingRows
from lockgate.forecaster.ensemble import Member
from lockgate.models.booster import Fit
from lockgate.problem.params import Params
from lockgate.training.fitting import Session, boosters_of, fit_one, member
from lockgate.training.schedule import MIN_TRAINING_WINDOWS, Schedule, schedule_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fold:
    """One inner fold: its window, the boosters fitted on the periods before the window, and their forecasts of it."""

    name: str  # first period of the window
    history: int  # periods before the window
    window: TrainingRows
    fits: Mapping[str, Fit]
    members: Mapping[str, Member]
    forecasts: Floats  # (rows of the window, boosters and the ridge)


def fold_ends(table: Table, times: Schedule, params: Params) -> list[int]:
    """Last period of each inner fold with enough history before it, in the order of the params.

    Raises BadData if there is none.
    """
    shortest = _shortest_before_window(times, params) + params.horizon
    ends = [table.last - ago for ago in times.fold_ends_ago]
    possible = [end for end in ends if end - table.first + 1 >= shortest]
    if not possible:
        raise BadData(
            f"{params.problem.period.plural(table.last - table.first + 1)} of history are not enough",
            where="training needs an inner fold",
            hint=f"at least {shortest + min(times.fold_ends_ago)} are needed; or lower training.min_history_days",
        )
    return possible


def shortest_history(params: Params) -> int:
    """Periods of history that a training needs: the window of one inner fold and the periods before it."""
    times = schedule_of(0, 0, params)
    return _shortest_before_window(times, params) + params.horizon + min(times.fold_ends_ago)


def run_fold(end: int, session: Session) -> Fold:
    """Fit each booster on the periods up to a horizon before `end`, and forecast the window that ends there."""
    cutoff = end - session.params.horizon
    rows, window = session.training_rows(cutoff), session.windows[cutoff]
    limit = session.params.training.max_rounds
    fits = {name: fit_one(name, limit, rows, window, session) for name in boosters_of(session.params)}
    members = {name: member(name, fit, window.matrix.scale, session.params) for name, fit in fits.items()}
    return Fold(
        name=session.params.problem.period.text(cutoff + 1),
        history=cutoff - session.table.first + 1,
        window=window,
        fits=fits,
        members=members,
        forecasts=forecasts(members, window, session.params.threads),
    )


def forecasts(members: Mapping[str, Member], window: TrainingRows, threads: int) -> Floats:
    """The forecasts of a window by each booster and by the ridge, (rows, members)."""
    matrix = window.matrix
    return np.column_stack(
        [*(each.forecast(matrix, threads) for each in members.values()), matrix.scale.target(matrix.offsets[RIDGE])]
    )


def _shortest_before_window(times: Schedule, params: Params) -> int:
    return times.min_history + MIN_TRAINING_WINDOWS * params.horizon
