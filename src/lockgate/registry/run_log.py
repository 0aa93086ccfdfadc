"""Logs a registration: the record on the run, and the bundle as a model."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Metric, Param, Run
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import AnyType, ColSpec, DataType, ParamSchema, ParamSpec, Schema

from lockgate.bundle.manifest import SIGNATURE as SIGNATURE_FILE
from lockgate.bundle.mlmodel import MODEL_FILE
from lockgate.forecaster import answers
from lockgate.problem import confidence
from lockgate.problem.description import Problem

if TYPE_CHECKING:
    import pandas as pd

DATASET_DIGEST_LENGTH = 36  # the limit of MLflow's column
METRICS_PER_CALL = 1000  # MLflow's limit for one batch

OUTPUT_TYPES = {float: DataType.double, str: DataType.string}


def signature_of(problem: Problem, classes: Sequence[str] = ()) -> ModelSignature:
    """The signature of the problem's models: the columns of a request, the columns of an answer, the confidence.

    The forecaster checks names, types and values itself, and accepts more forms than a type of MLflow does (dates as
    text, date or timestamp; nullable and categorical columns; optional columns). For MLflow the columns are optional,
    so that the forecaster refuses a missing one: MLflow's own message would repeat all rows.
    """
    inputs: list[Any] = [
        ColSpec(AnyType(), column.name, required=False)  # type: ignore[no-untyped-call]
        for column in problem.request
    ]
    outputs: list[Any] = [
        ColSpec(OUTPUT_TYPES[kind], name) for name, kind in answers.columns_of(problem, classes).items()
    ]
    given = ParamSchema([ParamSpec("confidence", DataType.double, confidence.DEFAULT)])
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs), params=given)


@dataclass(frozen=True)
class Dataset:
    """A table that a run used, with its digest (MLflow's own digest covers only a sample)."""

    name: str
    context: str
    frame: "pd.DataFrame"
    digest: str
    source: str


@dataclass(frozen=True)
class RunRecord:
    """The contents of the run of a version, as the MLflow UI shows them."""

    params: Mapping[str, str]
    metrics: Mapping[str, float]
    curves: Sequence[tuple[str, int, float]]
    candidates: "pd.DataFrame"
    tags: Mapping[str, str]
    datasets: Sequence[Dataset]
    files: Sequence[Path]


@dataclass(frozen=True)
class RunRead:
    """The present contents of a run; `file` is the requested file, None if the run has none."""

    params: Mapping[str, str]
    metrics: Mapping[str, float]
    file: bytes | None


@dataclass(frozen=True)
class Contents:
    """The bundle to register, its problem, and the data that MLflow stores beside it."""

    bundle: Path
    digest: str
    problem: Problem
    input_example: "pd.DataFrame"
    requirements: Sequence[str]
    classes: Sequence[str] = ()  # that the bundle forecasts; () for numbers


def log_record(client: mlflow.MlflowClient, run: Run, record: RunRecord) -> Iterator[Callable[[], object]]:
    """The calls that log a record on a run."""
    run_id = run.info.run_id
    now = int(run.info.start_time)
    params = [Param(name, text) for name, text in record.params.items()]
    metrics = [Metric(name, value, now, 0) for name, value in record.metrics.items()]
    curves = [Metric(name, value, now, step) for name, step, value in record.curves]
    yield partial(client.log_batch, run_id, metrics=metrics, params=params)
    for start in range(0, len(curves), METRICS_PER_CALL):
        yield partial(client.log_batch, run_id, metrics=curves[start : start + METRICS_PER_CALL])
    for dataset in record.datasets:
        sha256 = {"sha256": dataset.digest}
        yield partial(mlflow.log_input, _as_mlflow(dataset), context=dataset.context, tags=sha256)
    yield partial(client.log_table, run_id, record.candidates, "candidates.json")
    for file in record.files:
        yield partial(client.log_artifact, run_id, str(file))


class _SavedUntried:
    """MLflow's pyfunc flavor for `Model.log`, with a switch that MLflow's `log_model` does not pass on."""

    @staticmethod
    def save_model(validate_serving_input: bool, **given: Any) -> None:
        mlflow.pyfunc.save_model(**given)


def log_model(contents: Contents, signature: bytes | None) -> Any:
    """Log the model from a temporary folder, because MLflow writes the given paths into MLmodel.

    `mlflow.pyfunc.log_model` would open the model to try the example, and a broken model would end this process.
    """
    with tempfile.TemporaryDirectory(prefix="lockgate-") as folder:
        shutil.copytree(contents.bundle, Path(folder, "bundle"))
        if signature:
            Path(folder, "bundle", SIGNATURE_FILE).write_bytes(signature)
        shutil.copy(MODEL_FILE, folder)
        with chdir(folder):
            return Model.log(
                artifact_path=None,
                name="model",
                flavor=_SavedUntried,
                flavor_name="pyfunc.ModelFromCode",
                python_model=MODEL_FILE.name,
                artifacts={"bundle": "bundle"},
                model_config={"bundle_digest": contents.digest},
                signature=signature_of(contents.problem, contents.classes),
                input_example=contents.input_example,
                pip_requirements=list(contents.requirements),
                validate_serving_input=False,
            )


def _as_mlflow(dataset: Dataset) -> Any:
    digest = dataset.digest[:DATASET_DIGEST_LENGTH]
    return from_pandas(dataset.frame, source=dataset.source, name=dataset.name, digest=digest)
