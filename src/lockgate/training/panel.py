"""Trains the forecaster of a panel: rounds and weights are chosen on inner folds, then each member learns all rows.

Training rows have features as of a cutoff, like the rows to forecast (features/training_rows). No period after
the last given row is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import process_time

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.recipe import State, Table
from lockgate.features.recipes import recipe_of
from lockgate.features.shared import Shared
from lockgate.features.training_rows import rows_after
from lockgate.forecaster.ensemble import Forecaster
from lockgate.models import baselines, conformal
from lockgate.problem.description import Problem
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import Params
from lockgate.training.fitting import Progress, Session, Steps, boosters_of, fit_all, member, training_cutoffs
from lockgate.training.folds import fold_ends, run_fold
from lockgate.training.report import FinalFit, Report, report_of
from lockgate.training.schedule import Schedule, schedule
from lockgate.training.selection import choose

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """The inputs of the first fit."""

    session: Session
    fold_ends: list[int]
    final_state: State  # as of the last period


def train(rows: pd.DataFrame, static: pd.DataFrame, params: Params, progress: Progress) -> tuple[Forecaster, Report]:
    """Fit a forecaster on rows and static features (frames as `prepare` writes them).

    Folds with too little history are left out; Raises BadData if no fold remains. The same rows, params and thread
    count give the same forecaster.
    """
    started, recipe = process_time(), recipe_of(params.problem)
    table = Table.of(params.problem, rows, static)
    plan = plan_of(table, schedule(table, params), params, progress)
    session, keys = plan.session, len(plan.final_state.series)
    folds = [run_fold(end, session) for end in plan.fold_ends]
    choice = choose(folds, params)
    training_rows = session.training_rows(session.table.last)
    fits = fit_all(choice.rounds, training_rows, session)
    session.steps.next("done")
    forecaster = Forecaster(
        params.problem,
        recipe,
        plan.final_state,
        {name: member(name, fit, plan.final_state.scale, params) for name, fit in fits.items()},
        choice.weights,
        conformal.calibrate(choice.residuals, keys),
    )
    errors = naive_errors(params.problem, rows, plan.final_state)
    final = FinalFit(fits, len(training_rows.target), keys, process_time() - started, errors)
    return forecaster, report_of(folds, choice, final, params)


def naive_errors(problem: Problem, rows: pd.DataFrame, state: State) -> Floats | None:
    """The scale of MASE of each key, if the report has this metric."""
    scaled = [METRICS[name] for name in (problem.metric, *problem.prefer) if METRICS[name].needs_scale]
    return baselines.units_of(problem, scaled[0], rows, state.series.frame) if scaled else None


def plan_of(table: Table, times: Schedule, params: Params, progress: Progress, shared: Shared | None = None) -> Plan:
    """The inner folds, and the training rows of all cutoffs that the folds and the final fit need.

    `shared` records what all keys share. Raises BadData if no fold has enough history.
    """
    ends = fold_ends(table, times, params)
    steps = Steps(progress, 1 + (len(ends) + 1) * len(boosters_of(params)))
    steps.next("features")
    cutoffs = all_cutoffs(table, ends, times, params)
    states = recipe_of(params.problem).fit(table, {*cutoffs, table.last}, params.horizon, shared)
    windows = {cutoff: rows_after(table, states[cutoff], shared) for cutoff in cutoffs}
    return Plan(Session(table, params, times, steps, windows), ends, states[table.last])


def all_cutoffs(table: Table, ends: Sequence[int], times: Schedule, params: Params) -> list[int]:
    """The cutoffs of all rows that the inner folds and the final fit learn or score; the oldest first."""
    cutoffs = {end - params.horizon for end in (table.last, *ends)}
    for end in (table.last, *ends):
        cutoffs.update(training_cutoffs(table, end, params.horizon, times))
    return sorted(cutoffs)
