"""Forecasts of a holdout of each kind of problem, for the tests of plots."""

from dataclasses import replace

import numpy as np
import pandas as pd

from lockgate.problem.description import Problem
from lockgate.problem.metrics import METRICS
from lockgate.reports.holdout_plot import Scored, past_of

ROWS = 120
COLUMNS = {"shop": {"type": "category"}, "day": {"type": "date"}, "size": {"type": "number"}}
PANEL = {"keys": "shop", "time": {"column": "day", "period": "day"}, "horizon": 30}
STATE = {"keys": "shop", "time": {"column": "turn", "period": "integer"}, "horizon": 0}


def problem(target, **changes):
    columns = {
        name: kind for name, kind in COLUMNS.items() if name in (changes.get("keys"), "size")
    }  # fmt: skip
    time = changes.get("time")
    if time:
        columns[time["column"]] = {"type": "integer" if time["period"] == "integer" else "date"}
    return Problem.model_validate(
        {
            "name": "sales",
            "sources": [{"file": "sales.csv"}],
            "target": "units",
            "known_covariates": "size",
            "columns": columns | {"units": target},
            "metric": "mae",
        }
        | changes
    )


NUMBER, TEXT = {"type": "number"}, {"type": "category"}
PROBLEMS = {
    "panel": problem(NUMBER, **PANEL),
    "state": problem(NUMBER, **STATE),
    "table": problem(NUMBER),
    "two classes": problem(TEXT, task="binary", positive="yes", metric="pr_auc"),
    "three classes": problem(TEXT, task="multiclass", metric="log_loss"),
}


def scored(kind):
    """Rows of two shops; the second one is forecast worse."""
    described, drawn = PROBLEMS[kind], np.random.default_rng(3)
    place = np.arange(ROWS)
    rows = pd.DataFrame(
        {
            "shop": np.where(place % 2, "b", "a"),
            "day": np.datetime64("2024-03-01", "s") + (place // 2) * np.timedelta64(1, "D"),
            "turn": place // 2,
            "size": drawn.uniform(1, 9, ROWS),
        }
    )
    bounds = np.full((ROWS, 2), np.nan)
    match described.task:
        case "binary":
            forecast = drawn.random(ROWS)
            actual, classes = (drawn.random(ROWS) < forecast).astype(float), ("no", "yes")
        case "multiclass":
            forecast = drawn.dirichlet([1, 1, 1], ROWS)
            actual, classes = drawn.integers(0, 3, ROWS).astype(float), ("x", "y", "z")
        case _:
            actual, classes = 50 + 10 * drawn.normal(size=ROWS), ()
            forecast = actual + np.where(place % 2, 8.0, 2.0)
            bounds = np.stack([forecast - 5, forecast + 5], axis=1)
    before = rows.assign(day=rows["day"] - pd.Timedelta(days=60), units=50.0)
    found = Scored(described, METRICS[described.metric], rows, actual, forecast, bounds, classes)
    return replace(found, past=past_of(found, before)) if kind == "panel" else found
