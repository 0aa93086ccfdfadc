"""Versions of every kind of problem score on a local Spark, and give the numbers of the registered model.

The variable LOCKGATE_SPARK names a folder that `tests/spark-install` filled.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from any_problem import KINDS, built

from lockgate.data import dataset
from lockgate.operations import register
from lockgate.operations.workspace import Workspace
from lockgate.system import service_urls
from lockgate.system.service_urls import Addresses

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "how-to" / "spark.md"
SPARK = os.environ.get("LOCKGATE_SPARK", "")
ROWS = 40

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not SPARK, reason="LOCKGATE_SPARK names no folder with Spark (tests/spark-install FOLDER)"),
    pytest.mark.skipif(shutil.which("java") is None, reason="Java is not installed"),
]


@dataclass(frozen=True)
class Known:
    """A registered version, rows for it, and the key columns whose rows are read together."""

    model: str
    rows: pd.DataFrame
    together: list[str]


def test_every_kind_of_problem_scores_on_spark_as_its_registered_model_does(
    stack: Addresses, backend: Workspace, tmp_path: Path
) -> None:
    mlflow.set_tracking_uri(stack.tracking_uri)
    mlflow.set_registry_uri(stack.tracking_uri)
    known = {kind: _registered(backend, kind, tmp_path / kind) for kind in KINDS}
    jobs = {kind: _job(tmp_path, kind, each) for kind, each in known.items()}
    panel, table = known["panel"], jobs["table of regression"]
    downloaded = mlflow.artifacts.download_artifacts(panel.model, dst_path=str(tmp_path / "panel_model"))
    jobs["a file address"] = jobs["panel"] | {"model": Path(downloaded).as_uri()}
    jobs["narrow"] = jobs["panel"] | {"params": {"confidence": 0.5}}
    jobs["only the prediction"] = jobs["panel"] | {"result_type": "double"}
    jobs["three numbers"] = jobs["panel"] | {"result_type": "array<double>"}
    jobs["bad confidence"] = jobs["panel"] | {"params": {"confidence": 2.0}}
    rows = known["table of regression"].rows
    jobs["missing"] = table | {"rows": _written(rows.drop(columns="flag"), tmp_path / "missing.rows")}
    jobs["bad row"] = table | {"rows": _written(rows.assign(flag=[7, *rows["flag"][1:]]), tmp_path / "bad.rows")}
    jobs["the page"] = jobs["panel"] | {"code": _page(panel, tmp_path)}
    found = _on_spark(stack, tmp_path, jobs)
    forecasts = pd.read_parquet(tmp_path / "forecasts.parquet").sort_values("place")
    assert forecasts[list(found["panel"][0])].to_dict("records") == _expected(panel, confidence=0.8)
    for kind, each in known.items():
        assert found[kind] == _expected(each), kind
    assert found["a file address"] == found["panel"]
    assert found["narrow"] == _expected(panel, confidence=0.5) != found["panel"]
    assert found["only the prediction"] == [each["prediction"] for each in found["panel"]]
    assert found["three numbers"] == [
        [each[name] for name in ("prediction", "lower", "upper")] for each in found["panel"]
    ]
    assert "RequestRefused: the confidence is 2.0" in found["bad confidence"]
    assert "RequestRefused: missing column flag" in found["missing"]
    for shown in (found["bad row"], PAGE.read_text(encoding="utf-8")):
        assert re.search(
            r"RequestRefused: 1 of \d+ rows cannot be forecast: row \d+: flag is 7 \(flag\); flag is 0 or 1", shown
        )


def _registered(backend: Workspace, kind: str, folder: Path) -> Known:
    made, params = built(kind, folder, members=("lightgbm",))
    version = register.register(backend, made, params).version
    problem = params.problem
    rows = dataset.read(made.prepared, "holdout").drop(columns=problem.target)
    together = list(problem.keys) if problem.kind == "state" else []
    return Known(f"models:/{backend.model}/{version}", rows if together else rows.head(ROWS), together)


def _job(folder: Path, name: str, known: Known) -> dict[str, Any]:
    return {
        "model": known.model,
        "rows": _written(known.rows, folder / f"{name}.rows"),
        "together": known.together,
        "result_type": None,
        "params": {"confidence": 0.9},
    }


def _written(rows: pd.DataFrame, path: Path) -> str:
    rows.assign(place=range(len(rows))).to_parquet(path, index=False, coerce_timestamps="us")
    return str(path)


def _page(known: Known, folder: Path) -> str:
    """The program of the page, with this version and files of the test."""
    code = PAGE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    names = {"models:/rossmann-ensemble/Production": known.model}
    names |= {f"{each}.parquet": str(folder / f"{each}.parquet") for each in ("rows", "forecasts")}
    _written(known.rows, folder / "rows.parquet")
    for name, meant in names.items():
        assert name in code
        code = code.replace(name, meant)
    return code


def _expected(known: Known, confidence: float = 0.9) -> list[dict[str, Any]]:
    """The answers of the registered model, as Python has them."""
    found = mlflow.pyfunc.load_model(known.model).predict(known.rows, {"confidence": confidence})
    records: list[dict[str, Any]] = found.to_dict("records")
    return records


def _on_spark(stack: Addresses, folder: Path, jobs: Mapping[str, Any]) -> dict[str, Any]:
    """The answers of each job, or the text of its failure."""
    order = folder / "order.json"
    order.write_text(json.dumps(jobs))
    _run([str(HERE / "spark_scoring.py"), str(order)], stack)
    return {name: _answers(folder / name) for name, job in jobs.items() if "code" not in job}


def _answers(path: Path) -> Any:
    failed = path.with_name(f"{path.name}.txt")
    if failed.is_file():
        return failed.read_text()
    return [json.loads(each) for each in pd.read_parquet(path.with_name(f"{path.name}.parquet"))["answer"]]


def _run(words: list[str], stack: Addresses) -> str:
    variables = {
        **os.environ,
        **service_urls.env(stack),
        "PYTHONPATH": SPARK,
        "SPARK_HOME": f"{SPARK}/deps",
        "PYSPARK_PYTHON": sys.executable,
    }
    done = subprocess.run(
        [sys.executable, *words], env=variables, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return done.stdout
