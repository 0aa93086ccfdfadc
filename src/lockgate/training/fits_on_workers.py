"""The partitions of a panel on the workers: they are learned there, and the boosters fit on all of them together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lockgate.engine import collective
from lockgate.engine.engine import Progress
from lockgate.models import lightgbm_dask, xgboost_dask
from lockgate.models.booster import Budget, Fit
from lockgate.models.dask_blocks import Block, Blocks
from lockgate.models.loss import Loss
from lockgate.problem.params import Params
from lockgate.training import part_learning
from lockgate.training.fitting import boosters_of, budget_of, settings_of, sized
from lockgate.training.part_learning import Given, PartResult
from lockgate.training.partitions import Layout, places_on

if TYPE_CHECKING:
    from lockgate.engine.arrays import Future
    from lockgate.engine.dask_cluster import OnDask

FITS: dict[str, Callable[[Any, Blocks, Budget], Fit]] = {
    "lightgbm": lightgbm_dask.fit,
    "xgboost": xgboost_dask.fit,
}  # CatBoost has no interface of this kind


Group = tuple[str, list[int]]  # a worker, and the places of its partitions
JOINING = "training rows of the workers"
LEAST_SHARE = 0.1  # of an equal share of the training rows, below which a worker gives its rows to another one


@dataclass(frozen=True)
class WorkerRows:
    """The training rows on one worker, those of some partitions in their order."""

    worker: str
    values: "Future"
    labels: "dict[str, Future]"  # of part_learning.Labels, by booster
    rows: int
    columns: int


def names_of(params: Params) -> tuple[str, ...]:
    """The boosters that learn all keys, on the workers."""
    return tuple(name for name in boosters_of(params) if name in FITS)


def learned(layout: Layout, given: Given, engine: "OnDask") -> "list[Future]":
    """The learned partitions: consecutive partitions on one worker, or on another if it is lost."""
    client, count = engine.client, len(layout.partitions)
    where = places_on(collective.workers(engine), count)
    shared = engine.scatter(given)
    return [
        client.submit(
            part_learning.learn,
            partition,
            shared,
            workers=[where[place]],
            allow_other_workers=True,
            pure=False,
        )
        for place, partition in enumerate(layout.partitions)
    ]


def gathered(
    parts: "list[Future]", results: Sequence[PartResult], names: Sequence[str], engine: "OnDask", progress: Progress
) -> list[WorkerRows]:
    """The training rows of the partitions, joined for the boosters; `parts` is emptied, which frees the partitions.

    Rows go to the worker that `places_on` names, wherever Dask has learned the partition: the rows of each worker
    change the boosters. Without boosters, nothing is joined. Raises WorkerLost if a worker is lost meanwhile.
    """
    if not names:
        parts.clear()
        return []
    where = places_on(collective.workers(engine), len(parts))
    groups = with_enough_rows(_by_worker(where), [each.rows for each in results])
    found = [
        _joined(worker, [parts[place] for place in places], [results[place] for place in places], names, engine)
        for worker, places in groups
    ]
    parts.clear()
    waiting = [future for rows in found for future in (rows.values, *rows.labels.values())]
    progress(JOINING, 0, 1)
    collective.watched(engine, lambda: engine.wait(waiting, JOINING), {rows.worker for rows in found}, JOINING)
    return found


def fit(  # noqa: PLR0913 - what to fit, on what, where, and whom to tell
    name: str, rounds: int, rows: Sequence[WorkerRows], params: Params, engine: "OnDask", progress: Progress
) -> Fit:
    """A booster on the rows of all workers. Raises WorkerLost if a worker is lost meanwhile, or the fit fails there."""
    loss, total = Loss.of(params.problem.metric), sum(each.rows for each in rows)
    settings = sized(settings_of(name, params), total)
    blocks = Blocks(
        engine.client,
        [_block(each, name, engine) for each in rows],
        loss.objective,
        0.5 if loss.level is None else loss.level,
    )
    budget = budget_of(rounds, params)
    return collective.together(
        engine,
        lambda: FITS[name](settings, blocks, budget),
        {each.worker for each in rows},
        f"the fit of {name}",
        lambda said: progress(said, 0, 1),
    )


def _by_worker(where: Mapping[int, str]) -> list[Group]:
    """The workers that have partitions, with the places of these."""
    return [(worker, [place for place in where if where[place] == worker]) for worker in dict.fromkeys(where.values())]


def with_enough_rows(groups: Sequence[Group], rows: Sequence[int]) -> list[Group]:
    """The groups, but that the partitions of a worker with few training rows go to the worker with the most.

    LightGBM finds the bins of some features from the rows of each worker alone, and fails on a worker without rows.
    """
    counts = [sum(rows[place] for place in places) for _, places in groups]
    most, enough = int(np.argmax(counts)), LEAST_SHARE * sum(counts) / len(groups)
    few = [place for place, count in enumerate(counts) if count < enough]
    moved = sorted(place for each in (most, *few) for place in groups[each][1])
    return [
        (worker, moved if place == most else places)
        for place, (worker, places) in enumerate(groups)
        if place not in few
    ]


def _joined(
    worker: str, parts: "list[Future]", results: list[PartResult], names: Sequence[str], engine: "OnDask"
) -> WorkerRows:
    submit = partial(engine.client.submit, workers=[worker], pure=False)
    rows, columns = sum(each.rows for each in results), results[0].columns
    labels = {name: submit(part_learning.labels_of, parts, name) for name in names}  # before a partition is freed
    if len(parts) == 1:
        return WorkerRows(worker, submit(part_learning.values_alone, parts[0]), labels, rows, columns)
    values = submit(part_learning.unfilled, rows, columns)
    for part, starts in zip(parts, part_learning.starts_of(results), strict=True):
        values = submit(part_learning.filled, values, part, starts)
    return WorkerRows(worker, values, labels, rows, columns)


def _block(rows: WorkerRows, name: str, engine: "OnDask") -> Block:
    labels, client = rows.labels[name], engine.client
    return Block(
        rows.worker,
        rows.values,
        client.submit(part_learning.labels_alone, labels, pure=False),
        client.submit(part_learning.weights_alone, labels, pure=False),
        rows.rows,
        rows.columns,
    )
