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
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.pandas_dataset import PandasDataset
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
SBOM = "lineage/sbom.cdx.json"  # the file of a run with the packages of the environment, in CycloneDX

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
    given = ParamSchema(
        [
            ParamSpec("confidence", DataType.double, confidence.DEFAULT),
            ParamSpec("explain", DataType.boolean, False),
        ]
    )
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs), params=given)


@dataclass(frozen=True)
class Dataset:
    """A table that a run used, with its digest (MLflow's own digest covers only a sample).

    `example` has rows of the table: the first ones, and one with a missing value in each column that has any.
    """

    name: str
    context: str
    example: "pd.DataFrame"
    rows: int  # of the table
    digest: str
    source: str
    target: str


@dataclass(frozen=True)
class LoggedFile:
    """A file, and the folder of a run's artifacts that it goes to under its own name."""

    path: Path
    folder: str


@dataclass(frozen=True)
class ModelAbout:
    """The description of a registered model and of its experiment in Markdown, and the tags of the model."""

    description: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class RunRecord:
    """The contents of the run of a version, as the MLflow UI shows them; `note` is the run's description."""

    name: str
    note: str
    about: ModelAbout
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    curves: Sequence[tuple[str, int, float]]
    candidates: "pd.DataFrame"
    tags: Mapping[str, str]
    datasets: Sequence[Dataset]
    files: Sequence[LoggedFile]
    sbom: bytes = b""
    settings: str = ""  # digest of the settings that a sweep may change (operations/sweep_setup)


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
    for file in record.files:
        yield partial(client.log_artifact, run_id, str(file.path), file.folder)
    if record.sbom:
        yield partial(client.log_text, run_id, record.sbom.decode(), SBOM)


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


class _CountedDataset(PandasDataset):
    """MLflow's dataset of an example of a table, with the number of all rows."""

    rows: int

    @property
    def profile(self) -> dict[str, int]:
        """The size of the table."""
        return {"num_rows": self.rows, "num_elements": self.rows * len(self.df.columns)}


def _as_mlflow(dataset: Dataset) -> Any:
    digest, source = dataset.digest[:DATASET_DIGEST_LENGTH], resolve_dataset_source(dataset.source)
    found = _CountedDataset(dataset.example, source, targets=dataset.target, name=dataset.name, digest=digest)
    found.rows = dataset.rows
    return found
