"""Trains the forecaster of a panel on the partitions of its rows, on the workers of a Dask cluster.

A sample of the keys learns what all keys share, and chooses rounds and weights. Each partition then makes its states,
training rows and residuals. LightGBM and XGBoost learn the rows of all partitions on the workers, CatBoost those of
the sample. With one partition on one worker, and all keys in the sample, the forecaster equals that of `panel.train`.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lockgate.engine import collective
from lockgate.errors import WorkerLost
from lockgate.features.recipe import Part
from lockgate.features.recipes import recipe_of
from lockgate.features.shared import LOWEST_TARGET, NUMBER_OF_KEYS, Shared
from lockgate.forecaster.ensemble import Forecaster
from lockgate.models import conformal
from lockgate.models.booster import Fit
from lockgate.models.conformal import Residuals
from lockgate.problem.params import Params
from lockgate.training import fits_on_workers, part_learning, partitions
from lockgate.training.fitting import Progress, boosters_of, fit_one, learning_task, member, training_cutoffs
from lockgate.training.folds import Fold, run_fold
from lockgate.training.panel import Plan, naive_errors, plan_of
from lockgate.training.part_learning import Given, PartResult, SampleFold
from lockgate.training.partitions import Layout, Source
from lockgate.training.report import FinalFit, Report, report_of
from lockgate.training.schedule import schedule_of
from lockgate.training.selection import Choice, choose
from lockgate.training.train import Trained

if TYPE_CHECKING:
    from lockgate.engine.arrays import Future
    from lockgate.engine.dask_cluster import OnDask

TRIES = 2  # of what the workers do together


@dataclass(frozen=True)
class Training:
    """The inputs of one training."""

    source: Source
    params: Params
    engine: "OnDask"
    progress: Progress


@dataclass(frozen=True)
class Sampled:
    """What the sample of the keys has learned."""

    part: Part
    rows: pd.DataFrame
    plan: Plan
    folds: Sequence[Fold]
    choice: Choice
    shared: Shared


@dataclass(frozen=True)
class OnAllKeys:
    """The results of the partitions, and the boosters that learned all keys."""

    parts: Sequence[PartResult]
    residuals: tuple[Residuals, ...]  # of the blend on each inner fold
    fits: Mapping[str, Fit]
    learners: int  # keys whose rows these boosters have learned
    workers: int  # that have training rows


def train(training: Training) -> Trained:
    """Fit a forecaster on all partitions.

    Raises BadData if there is too little history, WorkerLost if workers end again and again, Unavailable if the
    scheduler is lost.
    """
    busy = _busy_seconds(training)
    layout = _layout(training)
    sampled = _sampled(layout, training)
    given = _given(layout, sampled, training)
    found = _on_all_keys(layout, given, training)
    found = replace(found, fits=_all_fits(found, sampled, training))
    training.progress("done", 1, 1)
    forecaster = _forecaster(layout, sampled, found, training.params)
    spent = _seconds(busy, _busy_seconds(training))
    return Trained(forecaster, _report(forecaster, sampled, found, training, spent), sampled.rows)


def _layout(training: Training) -> Layout:
    source, problem = training.source, training.params.problem
    outlines = training.engine.map(
        partitions.outline,
        range(source.files),
        "keys of the partitions",
        shared=(source.read, problem),
        progress=training.progress,
    )
    found = partitions.layout(problem, outlines, source.static)
    found = found.cut(len(collective.workers(training.engine)))
    keys = training.params.engine.booster_keys
    return found if keys is None else found.with_learners(keys, training.params.seed)


def _sampled(layout: Layout, training: Training) -> Sampled:
    """The inner folds, and what all keys share, of a sample of the keys: as `panel.train` does it for all keys."""
    params = training.params
    part, rows = _rows_of_the_sample(layout, training)
    table = partitions.table_of(params.problem, [rows], part, layout.whole)
    shared = Shared().with_values({NUMBER_OF_KEYS: len(layout.series), LOWEST_TARGET: layout.lowest})
    times = schedule_of(layout.whole.last - layout.whole.first + 1, layout.rows, params)
    plan = plan_of(table, times, params, training.progress, shared)
    folds = [run_fold(end, plan.session) for end in plan.fold_ends]
    training_rows = plan.session.training_rows(table.last)
    for name in fits_on_workers.names_of(params):  # records what the weights of all keys share
        learning_task(name, training_rows, params, shared)
    return Sampled(part, rows, plan, folds, choose(folds, params), shared)


def _rows_of_the_sample(layout: Layout, training: Training) -> tuple[Part, pd.DataFrame]:
    part = layout.sample(training.params.engine.sample_keys, training.params.seed)
    training.progress(f"a sample of {len(part.series)} of {len(layout.series)} keys", 0, 1)
    pieces = training.engine.map(
        partitions.rows_of,
        range(training.source.files),
        "rows of the sample",
        shared=(training.source.read, part.series),
        progress=training.progress,
    )
    return part, pd.concat(pieces, ignore_index=True)


def _given(layout: Layout, sampled: Sampled, training: Training) -> Given:
    session, params = sampled.plan.session, training.params
    folds = [
        SampleFold(end - params.horizon, fold.history, fold.members)
        for end, fold in zip(sampled.plan.fold_ends, sampled.folds, strict=True)
    ]
    return Given(
        training.source.read,
        params,
        layout.whole,
        sampled.shared.replayed(),
        training_cutoffs(session.table, session.table.last, params.horizon, session.schedule),
        folds,
        sampled.choice,
        fits_on_workers.names_of(params),
    )


def _on_all_keys(layout: Layout, given: Given, training: Training) -> OnAllKeys:
    """What the workers learn of all keys. It is repeated once if a worker is lost while the workers fit together."""
    for _ in range(TRIES - 1):
        learned = fits_on_workers.learned(layout, given, training.engine)
        results = _results(learned, training)
        try:
            return _fitted(learned, results, layout, given, training)
        except WorkerLost as error:
            training.progress(f"again: {error.message}", 0, 1)
        learned.clear()  # frees the memory of the workers before the rows are made again
    learned = fits_on_workers.learned(layout, given, training.engine)
    return _fitted(learned, _results(learned, training), layout, given, training)


def _results(learned: "list[Future]", training: Training) -> list[PartResult]:
    """The small results of the partitions, whose training rows stay on the workers."""
    name = "states and training rows of the partitions"
    return training.engine.map(part_learning.result_of, learned, name, progress=training.progress)


def _fitted(
    learned: "list[Future]", results: Sequence[PartResult], layout: Layout, given: Given, training: Training
) -> OnAllKeys:
    """The boosters that learn all keys. `learned` is emptied."""
    fits, params, engine, progress = {}, training.params, training.engine, training.progress
    rows = fits_on_workers.gathered(learned, results, given.boosters, engine, progress)
    total, keys = sum(each.rows for each in rows), len(layout.series)
    chosen = "" if layout.learners == keys else f" of {layout.learners} of {keys} keys"
    for name in given.boosters:
        progress(f"{name}, {total} rows{chosen} on {len(rows)} workers", 0, 1)
        fits[name] = fits_on_workers.fit(name, given.choice.rounds[name], rows, params, engine, progress)
    return OnAllKeys(results, _residuals(layout, results), fits, layout.learners, len(rows))


def _all_fits(found: OnAllKeys, sampled: Sampled, training: Training) -> dict[str, Fit]:
    """The boosters in their order; those without an interface of Dask learn the rows of the sample, here."""
    session, rounds = sampled.plan.session, sampled.choice.rounds
    rows, fits = session.training_rows(session.table.last), dict(found.fits)
    for name in boosters_of(training.params):
        if name not in fits:
            keys = f"{len(sampled.part.series)} keys"
            training.progress(f"{name} learns the sample of {keys}: it has no interface of Dask", 0, 1)
            fits[name] = fit_one(name, rounds[name], rows, None, session)
    return {name: fits[name] for name in boosters_of(training.params)}


def _forecaster(layout: Layout, sampled: Sampled, found: OnAllKeys, params: Params) -> Forecaster:
    recipe = recipe_of(params.problem)
    state = recipe.join([part.state for part in found.parts])
    return Forecaster(
        params.problem,
        recipe,
        state,
        {name: member(name, fit, state.scale, params) for name, fit in found.fits.items()},
        sampled.choice.weights,
        conformal.calibrate(found.residuals, len(layout.series)),
        sampled.part.places if len(sampled.part.series) < len(layout.series) else None,
    )


def _residuals(layout: Layout, parts: Sequence[PartResult]) -> tuple[Residuals, ...]:
    """The residuals of all keys on each inner fold."""
    starts = [int(each.part.places[0]) for each in layout.partitions]
    return tuple(
        Residuals(
            np.concatenate([each.key + start for each, start in zip(of_fold, starts, strict=True)]),
            np.concatenate([each.scaled for each in of_fold]),
            of_fold[0].history,
        )
        for of_fold in zip(*(part.residuals for part in parts), strict=True)
    )


def _report(
    forecaster: Forecaster,
    sampled: Sampled,
    found: OnAllKeys,
    training: Training,
    spent: float,
) -> Report:
    """As of `panel.train`: scores and importances are those of the sample, the coverage is that of all keys."""
    params, keys = training.params, len(forecaster.state.series)
    rows = sum(part.rows for part in found.parts)
    errors = naive_errors(params.problem, sampled.rows, sampled.plan.final_state)
    choice = replace(sampled.choice, residuals=found.residuals)
    report = report_of(sampled.folds, choice, FinalFit(found.fits, rows, keys, spent, errors), params)
    counts = {"partitions": len(found.parts), "keys": keys, "sample_keys": len(sampled.part.series)}
    counts |= {"booster_keys": found.learners, "workers": found.workers, "sample_rows": _sample_rows(sampled)}
    return replace(report, partitions=counts)


def _sample_rows(sampled: Sampled) -> int:
    """Training rows of the sample: those of CatBoost."""
    session = sampled.plan.session
    cutoffs = training_cutoffs(session.table, session.table.last, session.params.horizon, session.schedule)
    return sum(len(session.windows[cutoff].target) for cutoff in cutoffs)


def _busy_seconds(training: Training) -> Mapping[str, float]:
    """CPU seconds of this process and of each worker."""
    return {"": time.process_time(), **collective.cpu_seconds(training.engine)}


def _seconds(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """The CPU seconds between; a lost worker's are unknown."""
    return sum(seconds - before.get(place, 0.0) for place, seconds in after.items())
