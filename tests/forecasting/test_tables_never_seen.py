"""A table that `lockgate init` alone has described is read and learned, and its forecast beats the naive one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lockgate.data import ingest
from lockgate.data.split import split
from lockgate.describe.guess import Wish
from lockgate.models.baselines import baseline
from lockgate.operations.init_problem import init_problem
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import load_params
from lockgate.training.train import train

DRAWN = np.random.default_rng(11)


def weekly_sales(folder: Path) -> tuple[Path, Wish]:
    """Weeks of stores and departments: a trend, the year's season, returns below zero, starts and stops."""
    weeks = np.arange(np.datetime64("2010-02-05"), np.datetime64("2012-11-02"), 7)
    place = np.arange(len(weeks))
    parts = []
    for store in (1, 2, 3):
        for dept in (1, 2, 5, 98):
            level = DRAWN.uniform(20, 2000)
            season = 1 + 0.3 * np.sin(2 * np.pi * (place + 4 * dept) / 52.18) + 0.5 * (place % 52 > 48)
            sales = level * season * (1 + 0.002 * place) + DRAWN.normal(0, 0.1 * level + 15, len(weeks))
            kept = (place >= DRAWN.integers(0, 30)) & (DRAWN.random(len(weeks)) > 0.05)
            parts.append(
                pd.DataFrame({"Store": store, "Dept": dept, "Date": weeks, "Weekly_Sales": sales.round(2)})[kept]
            )
    path = folder / "train.csv"
    pd.concat(parts).to_csv(path, index=False)
    return path, Wish("Weekly_Sales", "Date", ("Store", "Dept"), 8)


def daily_visitors(folder: Path) -> tuple[Path, Wish]:
    """Days of restaurants that open and close, without rows for closed days."""
    days = np.arange(np.datetime64("2016-01-01"), np.datetime64("2017-04-23"))
    weekday, place = (days.astype(int) + 3) % 7, np.arange(len(days))
    parts = []
    for number in range(12):
        opened, rest = DRAWN.integers(0, 250), DRAWN.integers(0, 5)
        change = 1 + 0.5 * np.sin(2 * np.pi * (place - 30 * number) / 365)
        expected = DRAWN.uniform(8, 40) * change * np.where(weekday >= 4, 1.6, 1.0)
        kept = (place >= opened) & (weekday != rest) & (DRAWN.random(len(days)) > 0.03)
        visitors = DRAWN.poisson(expected)
        parts.append(pd.DataFrame({"id": f"air_{number:x}9", "day": days, "visitors": visitors})[kept & (visitors > 0)])
    path = folder / "visits.csv"
    pd.concat(parts).to_csv(path, index=False)
    return path, Wish("visitors", "day", horizon=28)


def hourly_rentals(folder: Path) -> tuple[Path, Wish]:
    """Hours in two columns, with the two parts of the target, and hours without a row."""
    hours = np.arange(np.datetime64("2011-01-01T00"), np.datetime64("2011-05-01T00"))
    frame = pd.DataFrame({"dteday": hours.astype("datetime64[D]"), "hr": np.arange(len(hours)) % 24})
    weekend = (frame["dteday"].dt.day_of_week >= 5).to_numpy()
    morning, evening = (np.exp(-0.1 * (frame["hr"] - top) ** 2).to_numpy() for top in (8, 17))
    growth = 1 + np.arange(len(hours)) / 2000
    frame["casual"] = DRAWN.poisson(5 * growth * (1 + weekend + 3 * evening))
    frame["registered"] = DRAWN.poisson(growth * np.where(weekend, 30, 90 * (morning + evening) + 5))
    frame["cnt"] = frame["casual"] + frame["registered"]
    path = folder / "hour.csv"
    frame[DRAWN.random(len(frame)) > 0.01].to_csv(path, index=False)
    return path, Wish("cnt", "dteday", horizon=48)


@pytest.mark.parametrize("table", [weekly_sales, daily_visitors, hourly_rentals], ids=lambda table: table.__name__)
def test_the_written_description_beats_the_naive_forecast(table, tmp_path):
    path, wish = table(tmp_path)
    folder = init_problem(path, wish, tmp_path / "problem").path
    text = (folder / "params.yaml").read_text(encoding="utf-8").replace("profile: full", "profile: fast")
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    params = load_params(folder / "params.yaml")
    tables = ingest.read(params.problem, [folder / "data/raw" / path.name])
    parts = split(params.problem, tables.rows)
    forecaster, _ = train(parts.rows, tables.static, params, lambda *_: None)
    actual = parts.holdout[params.problem.target].to_numpy(dtype=np.float64)
    forecast = np.asarray(forecaster.predict(parts.holdout.drop(columns=params.problem.target)), dtype=np.float64)
    naive = baseline(params.problem, parts.rows, parts.holdout)
    metric = METRICS[params.problem.metric]
    assert metric.score(actual, forecast) < (1 - params.gate.min_gain_over_baseline) * metric.score(actual, naive)
