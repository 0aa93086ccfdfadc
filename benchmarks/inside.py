"""Measures features, fits, a backtest and forecasts in one process and prints JSON; run by bench.py after the pipeline.

Each part is {"wall": s, "cpu": s} and what it was done to: "rows", "origins" or "fits".
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import pandas as pd

from lockgate.bundle import manifest, store
from lockgate.data import dataset
from lockgate.engine.engine import InProcess, silent
from lockgate.features.recipe import Table
from lockgate.features.store_panel.recipe import STORE_PANEL
from lockgate.features.training_rows import rows_after
from lockgate.models.members import MEMBERS
from lockgate.problem.params import PARAMS_FILE, Params, load_params
from lockgate.training import backtest
from lockgate.training.fitting import training_cutoffs
from lockgate.training.schedule import schedule
from lockgate.training.train import train

DATA, BUNDLE = Path("data/prepared"), Path("build/bundle")
PREDICTIONS = 20
ORIGINS = 2
Part = dict[str, float]


def main() -> None:
    """Print the wall and CPU time of features, fits, a backtest and forecasts."""
    params, rows, stores = load_params(PARAMS_FILE), dataset.read(DATA, "rows"), dataset.read(DATA, "static")
    found = {
        "features": features(rows, stores, params),
        "fits": fits(rows, stores, params),
        "backtest": tested(rows, stores, params),
        **predictions(),
    }
    print(json.dumps(found))


def features(rows: pd.DataFrame, stores: pd.DataFrame, params: Params) -> Part:
    """Make the training rows of the last fit: the history state of each cutoff, and the features of each row."""
    table = Table.of(params.problem, rows, stores)
    cutoffs = training_cutoffs(table, table.last, params.horizon, schedule(table, params))

    def make() -> int:
        states = STORE_PANEL.fit(table, {*cutoffs, table.last}, params.horizon)
        return sum(len(rows_after(table, states[cutoff]).target) for cutoff in cutoffs)

    make()
    made, part = timed(make)
    return part | {"rows": made}


def fits(rows: pd.DataFrame, stores: pd.DataFrame, params: Params) -> dict[str, dict[str, Part]]:
    """Train once more; by library, the last fit on all rows, and the fits on the inner folds; the whole training."""
    spent: dict[str, dict[str, Part]] = {"last": {}, "folds": {}}
    members = dict(MEMBERS)
    try:
        for name, member in members.items():
            MEMBERS[name] = replace(member, fit=_counted(member.fit, name, spent))
        _, whole = timed(lambda: train(rows, stores, params, lambda *_: None))
    finally:
        MEMBERS.update(members)
    return spent | {"training": {"whole": whole}}


def tested(rows: pd.DataFrame, stores: pd.DataFrame, params: Params) -> Part:
    """A backtest: a training at each cutoff, scored on the days after it."""
    plan = backtest.Plan(ORIGINS, params.horizon)
    return timed(lambda: backtest.backtest(rows, stores, params, plan, InProcess(), silent))[1] | {"origins": ORIGINS}


def predictions() -> dict[str, Part]:
    """Forecast the holdout PREDICTIONS times with the bundle in memory, without and with bounds."""
    forecaster = store.load(BUNDLE, manifest.digest(BUNDLE))
    rows = dataset.read(DATA, "holdout")
    ways = {"predict": lambda: forecaster.predict(rows), "interval": lambda: forecaster.interval(rows, 0.95)}
    found = {}
    for name, forecast in ways.items():
        forecast()
        found[name] = timed(lambda forecast=forecast: [forecast() for _ in range(PREDICTIONS)])[1]
        found[name]["rows"] = len(rows) * PREDICTIONS
    return found


def timed(work: Callable[[], Any]) -> tuple[Any, Part]:
    """The result of the work, and its wall and CPU time (all threads of this process)."""
    wall, cpu = perf_counter(), process_time()
    done = work()
    return done, {"wall": perf_counter() - wall, "cpu": process_time() - cpu}


def _counted(fit: Callable[..., Any], name: str, spent: dict[str, dict[str, Part]]) -> Callable[..., Any]:
    def counted(settings: Any, train: Any, score: Any, budget: Any) -> Any:
        fitted, cost = timed(lambda: fit(settings, train, score, budget))
        part = spent["last" if score is None else "folds"].setdefault(name, {"wall": 0.0, "cpu": 0.0, "fits": 0})
        part |= {"wall": part["wall"] + cost["wall"], "cpu": part["cpu"] + cost["cpu"], "fits": part["fits"] + 1}
        return fitted

    return counted


if __name__ == "__main__":
    main()
