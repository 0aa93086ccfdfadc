"""LightGBM on the workers of a Dask cluster, by its own Dask interface; the result is the same kind of booster."""

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from lockgate.engine.collective import free_ports, locked
from lockgate.models.booster import Budget, Fit
from lockgate.models.dask_blocks import Blocks
from lockgate.models.lightgbm import restore, settings
from lockgate.problem.params import LightgbmParams

# Names of the settings in LightGBM's interface of scikit-learn, which its Dask interface uses.
RENAMED = {
    "min_data_in_leaf": "min_child_samples",
    "feature_fraction": "colsample_bytree",
    "bagging_fraction": "subsample",
    "bagging_freq": "subsample_freq",
    "lambda_l2": "reg_lambda",
    "seed": "random_state",
}
MINUTES = 2  # without an answer of another worker, after which a fit gives up


def fit(params: LightgbmParams, blocks: Blocks, budget: Budget) -> Fit:
    """Fit on blocks for `budget.rounds`. On one worker, the booster equals that of `lightgbm.fit` on the joined blocks.

    The workers use the threads that Dask gives them, and not `budget.threads`. Raises LightGBMError if one is lost.
    """
    from lightgbm.dask import DaskLGBMRegressor

    values, labels, weights = blocks.arrays(without_copy)
    ports = _ports(blocks)
    given = _settings(params, budget, blocks) | {"machines": ",".join(f"{_host(each)}:{ports[each]}" for each in ports)}
    found = DaskLGBMRegressor(client=blocks.client, n_estimators=budget.rounds, **given)
    with locked(blocks.client, list(ports)), warnings.catch_warnings(), _each_its_port(ports):
        warnings.filterwarnings("ignore", "Parameter n_jobs will be ignored")
        found.fit(values, labels, sample_weight=weights)
    text = without_network(str(found.booster_.model_to_string()), budget.threads)
    return Fit(restore(text.encode()), (), lambda rounds: restore(text.encode()))


class Alone(np.ndarray):
    """The features of a worker: np.concatenate returns them as they are if they are the only part.

    LightGBM joins the parts of each worker, also a single one, and would hold all features twice.
    """

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        if function is np.concatenate and len(arguments[0]) == 1:
            return np.asarray(arguments[0][0])
        return super().__array_function__(function, types, arguments, options)


def without_copy(values: NDArray[np.float32]) -> Alone:
    """The same memory as `Alone`."""
    return values.view(Alone)


def _settings(params: LightgbmParams, budget: Budget, blocks: Blocks) -> dict[str, Any]:
    given = settings(params, budget, blocks)
    del given["num_threads"]
    return {RENAMED.get(name, name): value for name, value in given.items()} | {"time_out": MINUTES}


def _ports(blocks: Blocks) -> dict[str, int]:
    """A free port of each worker, in the order of the blocks.

    This order is that of the ranks, and LightGBM finds the bins of a feature from the rows of one rank: it decides the
    trees. LightGBM's own order differs between two processes.
    """
    workers = list(dict.fromkeys(block.worker for block in blocks.parts))
    found = free_ports(blocks.client, workers)
    return {worker: found[worker] for worker in workers}


def _host(worker: str) -> str:
    return str(urlsplit(worker).hostname)


@contextmanager
def _each_its_port(ports: Mapping[str, int]) -> Iterator[None]:
    """Meanwhile, LightGBM gives each worker its own port.

    LightGBM itself takes the ports of a host from a set, so that several workers on one host had the ranks of others.
    """
    from lightgbm import dask

    def own(*, machines: str, worker_addresses: Iterable[str]) -> dict[str, int]:
        return {worker: ports[worker] for worker in worker_addresses}

    theirs = dask._machines_to_worker_map
    dask._machines_to_worker_map = own
    try:
        yield
    finally:
        dask._machines_to_worker_map = theirs


def without_network(text: str, threads: int) -> str:
    """The text of a model with the settings of a fit on one machine: no addresses of workers."""
    alone = {
        "tree_learner": "serial",
        "num_machines": "1",
        "local_listen_port": "12400",
        "time_out": "120",
        "machines": "",
        "num_threads": str(threads),
    }
    for name, value in alone.items():
        text = re.sub(rf"^\[{name}: .*\]$", f"[{name}: {value}]", text, flags=re.MULTILINE)
    return text
