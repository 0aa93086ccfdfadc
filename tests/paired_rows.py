"""Rows of two versions' forecasts in numbers that a hand can check."""

from pathlib import Path

import numpy as np
import pandas as pd

from lockgate.comparison.pairs import Pairs
from lockgate.comparison.parts import Background, parts
from lockgate.problem.description import Problem
from lockgate.problem.params import load_params

NAN = float("nan")
PROBLEM = load_params(Path(__file__).parents[1] / "params.yaml").problem
ROWS = pd.DataFrame(
    {
        "Store": [1, 1, 2, 2],
        "Date": pd.to_datetime(["2015-06-22", "2015-06-23", "2015-06-22", "2015-06-23"]),  # a Monday and a Tuesday
        "Open": [1, 1, 1, 0],
        "Promo": [0, 1, 0, 1],
        "Sales": [100.0, 200.0, NAN, 0.0],
    }
)
STORES = pd.DataFrame({"Store": [1, 2], "StoreType": ["a", "c"], "Assortment": ["b", "b"]})
PAST = pd.DataFrame({"Store": [1, 1, 3, 3, 4], "Sales": [5.0, 0.0, 9.0, 9.0, 4.0]})
CUTOFF = int(PROBLEM.period.number(np.array(["2015-06-21"], dtype="datetime64[s]"))[0])


def pairs(
    rows=ROWS, first=(100.0, 200.0, 400.0, 0.0), second=(104.0, 180.0, 400.0, 0.0), problem: Problem = PROBLEM
) -> Pairs:  # fmt: skip
    """Two forecasts of the rows, sliced as the problem says."""
    known = Background(STORES, PAST, CUTOFF)
    target = rows[problem.target].to_numpy(dtype=np.float64)
    return Pairs(problem, rows, target, np.array(first), np.array(second), parts(problem, rows, known))


PAIRS = pairs()

CHURN = Problem.model_validate(
    {
        "name": "churn",
        "task": "binary",
        "sources": [{"file": "customers.csv"}],
        "target": "Churn",
        "positive": "Yes",
        "known_covariates": ["Plan", "Months"],
        "columns": {
            "Plan": {"type": "category"},
            "Months": {"type": "integer"},
            "Churn": {"type": "category", "categories": ["No", "Yes"]},
        },
        "slices": ["Plan", {"column": "Months", "bins": 2}],
        "metric": "brier",
    }
)
ENGINES = Problem.model_validate(
    {
        "name": "engines",
        "sources": [{"file": "engines.csv"}],
        "target": "left",
        "derived": {"of": "periods_left", "cap": 125},
        "keys": ["fleet", "unit"],
        "time": {"column": "cycle", "period": "integer"},
        "horizon": 0,
        "past_covariates": ["heat"],
        "columns": {
            "fleet": {"type": "category"},
            "unit": {"type": "integer"},
            "cycle": {"type": "integer"},
            "heat": {"type": "number"},
            "left": {"type": "integer"},
        },
        "slices": ["fleet"],
        "metric": "rmse",
    }
)
