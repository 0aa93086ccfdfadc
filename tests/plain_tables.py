"""A small generated table with a number, categories, a date and a flag, and a target for each task."""

import numpy as np
import pandas as pd

from lockgate.problem.params import Params
from lockgate.training import train as training

COLOURS = ("red", "green", "blue")
COLUMNS = {
    "size": {"type": "number", "unit": "cm", "missing": "unknown"},
    "colour": {"type": "category", "missing": "unknown"},
    "city": {"type": "category", "missing": "unknown"},
    "day": {"type": "date", "missing": "unknown"},
    "flag": {"type": "flag"},
}


def params(task, **problem):
    """Params with few rounds."""
    target = {"type": "number" if task == "regression" else "category"}
    described = {
        "name": "things",
        "task": task,
        "sources": [{"file": "things.csv"}],
        "target": "price",
        "known_covariates": list(COLUMNS),
        "columns": {**COLUMNS, "price": target},
        "metric": "mae" if task == "regression" else "log_loss",
        **({"positive": "yes"} if task == "binary" else {}),
        **problem,
    }
    return Params.model_validate(
        {
            "problem": described,
            "threads": 1,
            "training": {"max_rounds": 60, "patience": 15},
            "gate": {"limit": 1.0, "over_serving": 0.1, "over_slice": 0.1},
        }
    )


def rows(task, count, seed=1):
    """Generated rows with their target."""
    draw = np.random.default_rng(seed)
    size = draw.normal(50, 10, count)
    colour, city = draw.integers(0, 3, count), draw.integers(0, 30, count)
    level = 0.1 * size + colour + 0.05 * city + draw.normal(0, 0.5, count)
    return pd.DataFrame(
        {
            "size": np.where(draw.random(count) < 0.05, np.nan, size),
            "colour": pd.Series([COLOURS[place] for place in colour], dtype="str"),
            "city": pd.Series([f"city {place}" for place in city], dtype="str"),
            "day": (np.datetime64("2024-01-01") + draw.integers(0, 400, count)).astype("datetime64[s]"),
            "flag": draw.integers(0, 2, count).astype("int8"),
            "price": _target(task, level),
        }
    )


def train(task, given):
    """The forecaster and the report of a training."""
    return training.train(given, pd.DataFrame(), params(task), lambda *_: None)


def truth(task, given):
    """The target as numbers."""
    if task == "regression":
        return given["price"].to_numpy()
    classes = ("no", "yes") if task == "binary" else ("high", "low", "middle")
    return given["price"].map(classes.index).to_numpy(dtype=float)


def prior(task):
    """A forecast that knows no column."""
    return {"regression": 6.7, "binary": 0.5, "multiclass": np.full(3, 1 / 3)}[task]


def loss(task, actual, forecast):
    """Mean absolute error, or log loss."""
    if task == "regression":
        return float(np.abs(actual - forecast).mean())
    if task == "binary":
        forecast = np.broadcast_to(forecast, actual.shape)
        return float(-np.log(np.where(actual == 1, forecast, 1 - forecast)).mean())
    own = np.broadcast_to(forecast, (len(actual), 3))[np.arange(len(actual)), actual.astype(int)]
    return float(-np.log(own).mean())


def _target(task, level):
    if task == "regression":
        return level
    if task == "binary":
        return pd.Series(np.where(level > 6.7, "yes", "no"), dtype="str")
    return pd.Series(np.select([level < 6, level < 7.5], ["low", "middle"], "high"), dtype="str")
