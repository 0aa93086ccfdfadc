"""A chain small enough to be trained on in a moment, and what was trained on it; made once for all tests."""

from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import pandas as pd

from lockgate.data import split
from lockgate.features.panel import Panel
from lockgate.features.recipe import Table
from lockgate.features.scale import LOG
from lockgate.forecaster.ensemble import Forecaster
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.problem.params import GeneratorParams, Params, load_params
from lockgate.synthetic import generator
from lockgate.training import train as training_train
from lockgate.training.report import Report

DAYS = 500
STORES = 12


@cache
def params() -> Params:
    """The project's own params, with few and small trees."""
    whole = load_params(Path(__file__).parents[1] / "params.yaml")
    quick = {"max_rounds": 20, "patience": 8, "fold_ends_days_ago": [0, 42]}
    small = {"lightgbm": {"leaves": 7}, "xgboost": {"depth": 3}, "catboost": {"depth": 3}}
    members = {name: getattr(whole.members, name).model_copy(update=change) for name, change in small.items()}
    update = {"training": whole.training.model_copy(update=quick), "members": whole.members.model_copy(update=members)}
    return whole.model_copy(update=update)


@cache
def chain() -> generator.Chain:
    return generator.generate(GeneratorParams(seed=3, stores=STORES, days=DAYS, noise=0.06))


@cache
def parts() -> split.Split:
    return split.split(params().problem, chain().rows)


def table(rows: pd.DataFrame | None = None) -> Table:
    """The rows of the small chain, or some of them, laid out as stores x days."""
    return Table.of(params().problem, parts().rows if rows is None else rows, chain().stores)


def history() -> Panel:
    """The log sales of the small chain."""
    found = table().history
    return replace(found, target=LOG.scaled(found.target))


def train(rows: pd.DataFrame | None = None) -> tuple[Forecaster, Report]:
    """A training on the small chain, or on some of its rows."""
    return training_train.train(parts().rows if rows is None else rows, chain().stores, params(), lambda *_: None)


@cache
def trained() -> tuple[Forecaster, Report]:
    return train()


def forecaster() -> Forecaster:
    return trained()[0]


def trained_until(forecaster: ForecasterProtocol) -> date | int:
    """The last training period of a panel's forecaster."""
    return forecaster.window.trained_until(forecaster.problem.period)


def asked() -> pd.DataFrame:
    """The holdout as somebody who does not know the sales would ask for it."""
    rows = parts().holdout.drop(columns="Sales").reset_index(drop=True)
    return rows.assign(Date=rows["Date"].dt.strftime("%Y-%m-%d"))
