"""The example vehicle_demand: its description and its generator fit each other, and its forecast beats last year's."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lockgate.features.known_inputs import KnownInputs, covariate_columns, encoded
from lockgate.features.recipes import recipe_of
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import load_params
from lockgate.training.train import train

FOLDER = Path(__file__).parents[2] / "examples" / "vehicle_demand"


@pytest.fixture(scope="module")
def params():
    return load_params(FOLDER / "params.yaml")


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """What generate.py writes, from a copy of it in a folder without data."""
    copy = tmp_path_factory.mktemp("vehicle_demand") / "generate.py"
    copy.write_text((FOLDER / "generate.py").read_text(encoding="utf-8"), encoding="utf-8")
    runpy.run_path(str(copy), run_name="__main__")
    found = pd.read_csv(copy.parent / "data" / "raw" / "vehicle_demand.csv", parse_dates=["month"])
    return found.astype({"month": "datetime64[s]"}).sort_values(["segment", "month"], ignore_index=True)


def test_the_columns_of_the_file_are_those_of_the_description(params, rows):
    assert sorted(rows.columns) == sorted(params.problem.columns)
    assert set(rows["segment"]) == set(params.problem.column("segment").kind.values)


def test_the_features_are_the_declared_ones(params):
    declared = {
        "lag_1",
        "lag_3",
        "lag_6",
        "mean_3",
        "std_3",
        "mean_6",
        "std_6",
        "month_sin",
        "month_cos",
        "seasonal_12",
    }
    assert declared < set(recipe_of(params.problem).names)


def test_the_forecast_of_six_unseen_months_is_better_than_the_same_months_a_year_ago(params, rows):
    problem = params.problem
    number = problem.period.number(rows["month"].to_numpy())
    known, held = rows[number <= number.max() - 6], rows[number > number.max() - 6]
    forecaster, _ = train(known, pd.DataFrame(), params, lambda *_: None)
    codes = encoded(covariate_columns(problem), held, forecaster.state.categories)
    inputs = KnownInputs(forecaster.state.series.places(held), problem.period.number(held["month"].to_numpy()), codes)
    matrix = forecaster.state.transform(inputs)
    members = [*(member.forecast(matrix, 1) for member in forecaster.boosters.values())]
    members.append(matrix.scale.target(matrix.offsets["ridge"]))
    blend = np.column_stack(members) @ np.array([forecaster.weights[name] for name in forecaster.members])
    a_year_ago = known.groupby("segment").tail(12).groupby("segment").head(6)["demand"]
    mape = METRICS["mape"].score
    assert mape(held["demand"], blend) < 0.8 * mape(held["demand"], a_year_ago)
