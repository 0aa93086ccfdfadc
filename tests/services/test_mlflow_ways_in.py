"""The lines of docs/how-to/mlflow-ways-in.md do what the page promises, on a registered version."""

import warnings
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from lockgate.operations import register

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "mlflow-ways-in.md"


@pytest.fixture
def code(backend, build, params, stack):
    """A python block of the page by its heading, with the test's version in it."""
    register.register(backend, build(1), params)
    mlflow.set_tracking_uri(stack.tracking_uri)
    mlflow.set_registry_uri(stack.tracking_uri)

    def block(heading):
        text = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("```python\n")[1].split("```")[0]
        return text.replace("models:/rossmann-ensemble/Production", f"models:/{backend.model}/1")

    return block


def run(code, **names):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(code, names)
    return names


def test_a_frame_as_pandas_read_it_is_forecast_in_python(code, build):
    rows = pd.read_parquet(build(1).prepared / "holdout.parquet")
    assert rows["Date"].dtype.kind == "M"
    forecasts = run(code("In Python"), rows=rows)["forecasts"]
    assert list(forecasts.columns) == ["prediction", "lower", "upper"]
    assert np.array_equal(forecasts["prediction"] > 0, rows["Open"] == 1)


def test_mlflow_evaluate_compares_the_prediction_with_the_sales(code, build):
    rows = pd.read_parquet(build(1).prepared / "holdout.parquet").query("Open == 1")
    result = run(f"result = {code('`mlflow.models.evaluate`')}", mlflow=mlflow, rows=rows)
    found = result["result"].metrics
    assert found["example_count"] == len(rows)
    assert 0 < found["mean_absolute_error"] < rows["Sales"].mean()
