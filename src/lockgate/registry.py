"""MLflow's tracking server and model registry, with their quirks. Nothing else imports mlflow, but the model file."""

import logging
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import requests
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Metric, Param, Run, RunStatus, ViewType
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.protos.databricks_pb2 import ErrorCode
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.types.schema import ColSpec, DataType, Schema
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from lockgate import artifact, signatures
from lockgate.addresses import Addresses
from lockgate.artifact import MODEL_FILE
from lockgate.errors import ArtifactMissing, IntegrityBroken, StateConflict, Unavailable
from lockgate.forecast.manifest import SIGNATURE as SIGNATURE_FILE

if TYPE_CHECKING:
    import pandas as pd

BUNDLE_TAG = "lockgate.bundle_digest"
DATASET_DIGEST_LENGTH = 36  # MLflow's column takes no more
METRICS_PER_CALL = 1000  # MLflow's limit for one batch

# What Kaggle's test.csv has. Open is a double since it may be empty there, and JSON has no empty integer.
SIGNATURE = ModelSignature(
    inputs=Schema(
        [
            ColSpec(DataType.long, "Store"),
            ColSpec(DataType.string, "Date"),
            ColSpec(DataType.double, "Open", required=False),
            ColSpec(DataType.long, "Promo"),
            ColSpec(DataType.string, "StateHoliday"),
            ColSpec(DataType.long, "SchoolHoliday"),
        ]
    ),
    outputs=Schema([ColSpec(DataType.double, "prediction")]),
)


@dataclass(frozen=True)
class Dataset:
    """A table that a run used, by its own digest (MLflow's hashes a sample only)."""

    name: str
    context: str
    frame: "pd.DataFrame"
    digest: str
    source: str


@dataclass(frozen=True)
class RunRecord:
    """All that the run behind a version shows in the MLflow UI."""

    params: Mapping[str, str]
    metrics: Mapping[str, float]
    curves: Sequence[tuple[str, int, float]]
    candidates: "pd.DataFrame"
    tags: Mapping[str, str]
    datasets: Sequence[Dataset]
    files: Sequence[Path]


@dataclass(frozen=True)
class RunRead:
    """What a run shows now; `file` is the one that was asked for, None if the run has no such file."""

    params: Mapping[str, str]
    metrics: Mapping[str, float]
    file: bytes | None


@dataclass(frozen=True)
class Contents:
    """The bundle that is to be registered, with what MLflow stores beside it."""

    bundle: Path
    digest: str
    input_example: "pd.DataFrame"
    requirements: Sequence[str]


class Registry:
    """One model's corner of an MLflow server. Every failure comes out as Unavailable or StateConflict."""

    def __init__(self, addresses: Addresses, model: str, timeout: float) -> None:
        self.model = model
        # Two tries fit into the time that the caller has, whatever the server asks for; a redirect would take the
        # password along.
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
        os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(max(1, int(timeout * 0.45)))
        os.environ["MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER"] = "false"
        os.environ["MLFLOW_ALLOW_HTTP_REDIRECTS"] = "false"
        os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
        # `mlflow run` hands its run down to every stage; their parameters would collide in it.
        self._parent = os.environ.pop("MLFLOW_RUN_ID", None)
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        mlflow.set_tracking_uri(addresses.tracking_uri)
        self._client = mlflow.MlflowClient()

    def find_or_create(self, contents: Contents, record: RunRecord) -> tuple[int, str]:
        """The version that holds this bundle and its run, registered now if nobody has before.

        Safe to repeat after a crash or a lost reply: an unfinished run of the same bundle is thrown away, and of
        several versions with the same digest the first one counts and the younger ones go.
        """
        with _translated(), _quiet():
            version = self._version_of(contents.digest) or self._create(contents, record)
            return int(version.version), str(version.run_id)

    def move(self, version: int, stage: str) -> None:
        """One transition; whoever stands in Staging or Production is archived in the same transaction of MLflow.

        The way to Deleted_Internal is a call of its own.
        """
        makes_room = stage in ("Staging", "Production")  # MLflow refuses the flag for the others
        with _translated(), _quiet():  # stages are deprecated, and what the reviewers' UI shows
            if stage == "Deleted_Internal":
                self._client.delete_model_version(self.model, str(version))
            else:
                self._client.transition_model_version_stage(self.model, str(version), stage, makes_room)

    def read(self) -> None:
        """A real read of the registry: it fails as every other call would."""
        with _translated():
            self._client.search_registered_models(max_results=1)

    def hide_run(self, run_id: str) -> None:
        """Mark a run as deleted: MLflow shows it no more, its row and its files stay."""
        with _translated():
            self._client.delete_run(run_id)

    def hide_model(self, model_id: str) -> None:
        """The same for a logged model."""
        with _translated():
            self._client.delete_logged_model(model_id)

    def delete_files(self, uri: str) -> None:
        """Delete all artifacts under a URI, wherever the server keeps them; none there is no failure."""
        with _translated():
            get_artifact_repository(uri).delete_artifacts()  # type: ignore[no-untyped-call]

    def download(self, version: int, folder: Path) -> None:
        """Fetch the files of a version into a folder, after their names and sizes were looked at; none is opened.

        Raises ArtifactMissing if the store has none, IntegrityBroken if they are not laid out as a version's files are.
        """
        uri = f"models:/{self.model}/{version}"
        with _translated(), _stored(version):
            artifact.check_names(dict(_listed(uri)))
            mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder))

    def files_around(self, version: int) -> dict[str, str]:
        """The digests of a version's files around its bundle, as the store has them now."""
        with tempfile.TemporaryDirectory(prefix="lockgate-") as folder:
            self.download(version, Path(folder))
            return artifact.around(Path(folder))

    def read_run(self, run_id: str, file: str) -> RunRead:
        """A run's params, metrics and one of its files; StateConflict if the run is gone."""
        with _translated():
            run = self._client.get_run(run_id)
            return RunRead(run.data.params, run.data.metrics, _content(run.info.artifact_uri, file))

    def requirements(self, version: int) -> list[str]:
        """The packages, as `name==version`, that MLflow keeps beside a version's bundle; empty if it keeps none."""
        with _translated():
            content = _content(f"models:/{self.model}/{version}", "requirements.txt") or b""
        return content.decode(errors="replace").split()

    def log_verdict(
        self, run_id: str, metrics: Mapping[str, float], verdict: Mapping[str, Any], files: Sequence[Path]
    ) -> None:
        """Add a verdict to the run behind a version: its metrics, verdict.json and pictures."""
        with _translated():
            for name, value in metrics.items():
                self._client.log_metric(run_id, name, value)
            self._client.log_dict(run_id, dict(verdict), "verdict/verdict.json")
            for file in files:
                self._client.log_artifact(run_id, str(file), "verdict")

    def tag_version(self, version: int, tags: Mapping[str, str], description: str) -> None:
        """What a reviewer reads on the version's page."""
        with _translated():
            self._client.update_model_version(self.model, str(version), description)
            for name, text in tags.items():
                self._client.set_model_version_tag(self.model, str(version), name, text)

    def _version_of(self, digest: str) -> ModelVersion | None:
        found = self._client.search_model_versions(f"name = '{self.model}' and tag.`{BUNDLE_TAG}` = '{digest}'")
        versions = sorted(found, key=lambda version: int(version.version))
        for twin in versions[1:]:  # a reply was lost, and MLflow's client asked again
            self._client.delete_model_version(self.model, str(twin.version))
        return versions[0] if versions else None

    def _create(self, contents: Contents, record: RunRecord) -> ModelVersion:
        experiment = self._experiment()
        model_uri = self._logged_before(experiment, contents.digest) or self._log(experiment, contents, record)
        self._name_model()
        self._client.create_model_version(
            self.model, model_uri, self._run_of(model_uri), {BUNDLE_TAG: contents.digest}, model_id=_model_id(model_uri)
        )
        created = self._version_of(contents.digest)
        if created is None:
            raise Unavailable(f"MLflow does not show the version of {self.model} that it created", hint="run it again")
        return created

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self.model)
        return str(found.experiment_id if found else self._client.create_experiment(self.model))

    def _name_model(self) -> None:
        try:
            self._client.create_registered_model(self.model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _run_of(self, model_uri: str) -> str:
        return str(self._client.get_logged_model(_model_id(model_uri)).source_run_id)

    def _logged_before(self, experiment: str, digest: str) -> str | None:
        """The model that a killed registration left behind whole; what it left unfinished is thrown away."""
        whole = None
        for run in self._client.search_runs([experiment], f"tags.`{BUNDLE_TAG}` = '{digest}'", ViewType.ACTIVE_ONLY):
            logged = run.outputs.model_outputs if run.outputs else []
            if run.info.status == RunStatus.to_string(RunStatus.FINISHED) and logged:
                whole = f"models:/{logged[0].model_id}"
            else:
                self._client.delete_run(run.info.run_id)
        return whole

    def _log(self, experiment: str, contents: Contents, record: RunRecord) -> str:
        signature = signatures.signed(contents.bundle)  # a key that is unfit is refused before there is a run
        tags = {BUNDLE_TAG: contents.digest, **record.tags}
        if self._parent:
            tags[MLFLOW_PARENT_RUN_ID] = self._parent
        with mlflow.start_run(experiment_id=experiment, run_name=f"bundle {contents.digest[:12]}", tags=tags) as run:
            self._log_record(run, record)
            return str(_log_model(contents, signature).model_uri)

    def _log_record(self, run: Run, record: RunRecord) -> None:
        run_id = run.info.run_id
        now = int(run.info.start_time)
        params = [Param(name, text) for name, text in record.params.items()]
        metrics = [Metric(name, value, now, 0) for name, value in record.metrics.items()]
        curves = [Metric(name, value, now, step) for name, step, value in record.curves]
        self._client.log_batch(run_id, metrics=metrics, params=params)
        for start in range(0, len(curves), METRICS_PER_CALL):
            self._client.log_batch(run_id, metrics=curves[start : start + METRICS_PER_CALL])
        for dataset in record.datasets:
            mlflow.log_input(_as_mlflow(dataset), context=dataset.context, tags={"sha256": dataset.digest})
        self._client.log_table(run_id, record.candidates, "candidates.json")
        for file in record.files:
            self._client.log_artifact(run_id, str(file))


def _model_id(model_uri: str) -> str:
    return model_uri.removeprefix("models:/")


def _listed(uri: str, below: str = "") -> Iterator[tuple[str, int | None]]:
    """Path and size of each file that the store has of a version; a folder that should not be there ends in a slash."""
    place = f"{uri}/{below}" if below else uri
    for entry in mlflow.artifacts.list_artifacts(artifact_uri=place):
        path = f"{below}/{Path(entry.path).name}" if below else str(entry.path)
        if entry.is_dir and path in artifact.FOLDERS:
            yield from _listed(uri, path)
        else:
            yield f"{path}/" if entry.is_dir else path, entry.file_size


@contextmanager
def _stored(version: int) -> Iterator[None]:
    """What MLflow says of files that are gone or lead elsewhere, which is not that the server is down."""
    try:
        yield
    except ArtifactMissing as missing:
        raise _nothing_of(version) from missing
    except (requests.HTTPError, MlflowException) as error:  # a failed download holds the server's answer in its text
        says = f"{getattr(error, 'error_code', '')} {error}"
        if "RESOURCE_DOES_NOT_EXIST" in says or "404 Client Error" in says:
            raise _nothing_of(version) from error
        if "INVALID_PARAMETER_VALUE" in says:
            raise IntegrityBroken(
                f"the store has a file of version {version} that leads elsewhere", hint=artifact.REGISTER_AGAIN
            ) from error
        if isinstance(error, MlflowException):
            raise
        raise Unavailable("the MLflow server does not hand out the files", where=says[:300]) from error


def _content(uri: str, name: str) -> bytes | None:
    """The bytes of one file among the artifacts of a run or of a version; None if it is not there."""
    listed = mlflow.artifacts.list_artifacts(artifact_uri=uri)  # a run's are told with their folder, a version's not
    if name not in {file.path.rpartition("/")[2] for file in listed}:
        return None
    with tempfile.TemporaryDirectory(prefix="lockgate-") as folder:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=f"{uri}/{name}", dst_path=folder)).read_bytes()


def _nothing_of(version: int) -> ArtifactMissing:
    return ArtifactMissing(
        f"the store has no files of version {version} any more",
        hint="restore them from a backup; of a version in Production, go back with lockgate rollback, or retire it",
    )


class _SavedUntried:
    """MLflow's pyfunc flavor as `Model.log` takes it, with the one switch that its own `log_model` does not hand on."""

    @staticmethod
    def save_model(validate_serving_input: bool, **given: Any) -> None:
        mlflow.pyfunc.save_model(**given)


def _log_model(contents: Contents, signature: bytes | None) -> Any:
    """Log the model from a passing folder: MLflow writes the paths that it is given into MLmodel, for all to read.

    `mlflow.pyfunc.log_model` would open the model to try the example, here, where a broken one ends the process.
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
                signature=SIGNATURE,
                input_example=contents.input_example,
                pip_requirements=list(contents.requirements),
                validate_serving_input=False,
            )


def _as_mlflow(dataset: Dataset) -> Any:
    digest = dataset.digest[:DATASET_DIGEST_LENGTH]
    return from_pandas(dataset.frame, source=dataset.source, name=dataset.name, digest=digest)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hush what MLflow warns of inside itself (its pandas calls, integer columns): nobody here can act on it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        raise _as_ours(error) from error


NOT_LET_IN = {"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"}
SAID_NO = {"INVALID_PARAMETER_VALUE", "INVALID_STATE", "BAD_REQUEST", "RESOURCE_CONFLICT", "RESOURCE_DOES_NOT_EXIST"}


# What the guard in the database said, as MLflow hands it on: the driver's class, the sentence, the hint, the rest.
GUARD_SAID = re.compile(r"\(psycopg2\.errors\.RestrictViolation\) (?P<says>.+)\nHINT: +(?P<hint>.+)")

# What an artifact store in the database said of a file that was changed in it (lockgate.database.artifacts).
BYTES_DIFFER = re.compile(r"(?P<says>sha256 differs: [^;]+); (?P<hint>[^\"\n]+)")


def _as_ours(error: MlflowException) -> Exception:
    refused = GUARD_SAID.search(str(error))
    if refused:
        return StateConflict(refused["says"], hint=refused["hint"])
    if (broken := BYTES_DIFFER.search(str(error))) is not None:
        return IntegrityBroken(f"an artifact is not what was logged: {broken['says']}", hint=broken["hint"])
    code = error.error_code if isinstance(error.error_code, str) else ErrorCode.Name(error.error_code)
    if code in NOT_LET_IN:
        return Unavailable(
            "the MLflow server does not let us in: not authorised", hint="check MLFLOW_TRACKING_USERNAME"
        )
    says = str(error).splitlines()[0]
    if code in SAID_NO:
        return StateConflict(f"MLflow refuses: {says}", hint="see: lockgate status")
    return Unavailable("the MLflow server does not answer", where=says[:300], hint="start it with: lockgate up")
