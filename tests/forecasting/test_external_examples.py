"""The examples of docs/how-to/register.md make models that come in, on the generated tables of examples/."""

import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from lockgate.bundle import external_conversion, external_metadata, external_mlmodel
from lockgate.bundle.external_conversion import Declared
from lockgate.bundle.external_metadata import DeclaredMetadata
from lockgate.data import dataset
from lockgate.forecaster.external import NativeFile
from lockgate.forecaster.window import Window
from lockgate.problem.params import load_params

PROJECT = Path(__file__).parents[2]
DOCS = (PROJECT / "docs" / "how-to" / "register.md").read_text(encoding="utf-8")
EXAMPLES = {
    "churn": ("HistGradientBoostingClassifier", "model"),
    "used_cars": ("skops.io.dump", "model.skops"),
    "engines": ("cycles_left", "model"),
    "vehicle_demand": ("PolynomialFeatures", "model"),
}


def code_of(word):
    """The example with this word."""
    [found] = [text for text in re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL) if word in text]
    return found


SLOW = [pytest.param(name, marks=pytest.mark.long) for name in EXAMPLES if name != "churn"]


@pytest.mark.parametrize("name", ["churn", *SLOW])
def test_an_example_of_the_docs_makes_a_model_that_comes_in(name, tmp_path, monkeypatch):
    folder = tmp_path / name
    shutil.copytree(PROJECT / "examples" / name, folder)
    monkeypatch.chdir(folder)
    for command in (["generate.py"], ["-m", "lockgate.pipeline.prepare", "data/raw", "data/prepared"]):
        (folder / "data").mkdir(exist_ok=True)
        subprocess.run([sys.executable, *command], check=True, timeout=60, capture_output=True)
    word, saved = EXAMPLES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(code_of(word), {})
    read = external_mlmodel.read_file if saved.endswith(".skops") else external_mlmodel.read
    model, problem = read(folder / saved), load_params(folder / "params.yaml").problem
    said = external_metadata.resolve(DeclaredMetadata(), model.metadata, "anna", problem)
    rows, holdout, static = (dataset.read(folder / "data" / "prepared", part) for part in ("rows", "holdout", "static"))
    window = None
    if problem.kind == "panel":
        last = int(problem.period.number(rows[problem.time_name].to_numpy()).max())
        window = Window(last, last + problem.horizon, last + 2 * problem.horizon)
    forecaster = external_conversion.adopt(
        NativeFile(model.library, model.content),
        Declared(model.columns, model.texts, said.target, said.classes),
        external_conversion.rows_of(problem, rows, static, window),
        rows[problem.target],
    )
    assert np.isfinite(forecaster.predict(holdout.drop(columns=problem.target))).all()
