"""The client of the MLflow server for one model: runs, versions, stages, files."""

import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic, time
from urllib.parse import unquote, urlsplit, urlunsplit

import mlflow
from mlflow.entities import Metric, RunStatus, ViewType
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE

from lockgate import digests
from lockgate.bundle import registered_files, signing
from lockgate.bundle.registered_files import BUNDLE_TAG
from lockgate.errors import Unavailable
from lockgate.registry import server_identity
from lockgate.registry.environment import PARENT_RUN, forget_foreign_settings, reach_loopback_directly
from lockgate.registry.error_messages import quiet, translated
from lockgate.registry.files import content, contents, download, listed, stored
from lockgate.registry.run_log import (
    SBOM,
    Contents,
    LoggedFile,
    ModelAbout,
    RunRead,
    RunRecord,
    log_model,
    log_record,
)
from lockgate.system import timeouts
from lockgate.system.service_urls import Addresses

TIME_LIMIT_IN_CALLS = 6  # time limit of a registration, in time limits of one call; it makes about twenty calls


class Registry:
    """The MLflow server, for one model. Every failure of MLflow is raised as Unavailable or StateConflict."""

    def __init__(self, addresses: Addresses, model: str, timeout: float) -> None:
        self.model = model
        self._timeout = timeout
        forget_foreign_settings()
        reach_loopback_directly()
        # Two tries fit into the time limit, even if the server asks the client to wait; a redirect would send the
        # password to another address.
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
        os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(max(1, int(timeout * 0.45)))
        os.environ["MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER"] = "false"
        os.environ["MLFLOW_ALLOW_HTTP_REDIRECTS"] = "false"
        os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
        # `mlflow run` passes its run to every stage; the params of the stages would collide in it.
        self._parent = os.environ.pop(PARENT_RUN, None)
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        server = self._server = _logged_in(addresses.tracking_uri)
        mlflow.set_tracking_uri(server)
        mlflow.set_registry_uri(server)
        self._client = mlflow.MlflowClient(server, server)

    @property
    def runs(self) -> mlflow.MlflowClient:
        """MLflow's client, for the modules of this room that log runs without a version."""
        return self._client

    def recognise(self, created: int | None) -> None:
        """Check that the server is MLflow, and that its first experiment was created when Postgres says.

        Raises Unavailable or BadConfiguration otherwise.
        """
        credentials = self._client._tracking_client.store.get_host_creds()
        with timeouts.within(2 * self._timeout + 1, self._no_end()), translated():
            server_identity.check(credentials, self._server, created)

    def find_or_create(self, contents: Contents, record: RunRecord) -> tuple[int, str]:
        """The version that holds this bundle, and its run; registered now if it does not exist.

        It is safe to repeat after a crash or a lost reply: an unfinished run of the same bundle is deleted. Of several
        versions with the same digest, the first one counts and the others are deleted.
        """
        with translated(), quiet():
            version = self._version_of(contents.digest) or self._create(contents, record)
            self._client.update_run(str(version.run_id), name=f"version {version.version}: {record.name}")
            return int(version.version), str(version.run_id)

    def move(self, version: int, stage: str) -> None:
        """Make one transition. A version in the target stage is archived in the same transaction of MLflow.

        The move to Deleted_Internal is another call of MLflow.
        """
        makes_room = stage in ("Staging", "Production")  # MLflow refuses the flag for the other stages
        # MLflow deprecates stages, but its UI shows them; an answer may begin in time and never end
        with timeouts.within(self._timeout, self._no_end()), translated(), quiet():
            if stage == "Deleted_Internal":
                self._client.delete_model_version(self.model, str(version))
            else:
                self._client.transition_model_version_stage(self.model, str(version), stage, makes_room)

    def read(self) -> None:
        """Read from the registry; fails as every other call would."""
        with translated():
            self._client.search_registered_models(max_results=1)

    def hide_run(self, run_id: str) -> None:
        """Mark a run as deleted: MLflow no longer shows it; its row and its files stay."""
        with translated():
            self._client.delete_run(run_id)

    def hide_model(self, model_id: str) -> None:
        """Mark a logged model as deleted."""
        with translated():
            self._client.delete_logged_model(model_id)

    def delete_files(self, uri: str) -> None:
        """Delete all artifacts under a URI; no error if there are none."""
        with translated():
            get_artifact_repository(uri).delete_artifacts()  # type: ignore[no-untyped-call]

    def download(self, version: int, folder: Path) -> None:
        """Check the names and sizes of a version's files and download them into a folder; no file is opened.

        Raises ArtifactMissing if the store has none, IntegrityBroken if the layout is not that of a version.
        """
        uri = f"models:/{self.model}/{version}"
        with translated(), stored(version):
            registered_files.check_names(dict(listed(uri)))
            download(uri, folder)

    def files_around(self, version: int) -> dict[str, str]:
        """The digests of the files around a version's bundle, as they are in the store now."""
        with tempfile.TemporaryDirectory(prefix="lockgate-") as folder:
            self.download(version, Path(folder))
            return registered_files.around(Path(folder))

    def read_run(self, run_id: str, *files: str) -> RunRead:
        """A run's params, metrics and the first of some files that it has; StateConflict if the run is gone."""
        with translated():
            run = self._client.get_run(run_id)
            found = (content(run.info.artifact_uri, file) for file in files)
            return RunRead(run.data.params, run.data.metrics, next((each for each in found if each is not None), None))

    def files_of_run(self, run_id: str, folder: str) -> dict[str, bytes]:
        """The files directly in a folder of a run's artifacts, by name; empty without the folder."""
        with translated():
            return contents(f"{self._client.get_run(run_id).info.artifact_uri}/{folder}")

    def sbom(self, run_id: str) -> dict[str, str]:
        """The name and the digest of the SBOM on a run, as it is in the store now; empty without one."""
        with translated():
            found = content(self._client.get_run(run_id).info.artifact_uri, SBOM)
        return {"file": SBOM, "sha256": digests.of_bytes(found)} if found else {}

    def requirements(self, version: int) -> list[str]:
        """The packages, as `name==version`, in the requirements.txt of a version; empty if it has none."""
        with translated():
            pinned = content(f"models:/{self.model}/{version}", "requirements.txt") or b""
        return pinned.decode(errors="replace").split()

    def log_verdict(self, run_id: str, metrics: Mapping[str, float], files: Sequence[LoggedFile], note: str) -> None:
        """Add a verdict to the run behind a version: its metrics, its files, and the description of the run."""
        now = int(time() * 1000)
        with translated():
            self._client.log_batch(run_id, metrics=[Metric(name, value, now, 0) for name, value in metrics.items()])
            for file in files:
                self._client.log_artifact(run_id, str(file.path), file.folder)
            self._client.set_tag(run_id, MLFLOW_RUN_NOTE, note)

    def tag_version(self, version: int, tags: Mapping[str, str], description: str) -> None:
        """Set the tags and the description on the page of the version, for the reviewer."""
        with translated():
            self._client.update_model_version(self.model, str(version), description)
            for name, text in tags.items():
                self._client.set_model_version_tag(self.model, str(version), name, text)

    def _no_end(self) -> Unavailable:
        return Unavailable(
            f"the MLflow server did not answer within {self._timeout:g} s", hint="try again, or see its log"
        )

    def _version_of(self, digest: str) -> ModelVersion | None:
        found = self._client.search_model_versions(f"name = '{self.model}' and tag.`{BUNDLE_TAG}` = '{digest}'")
        versions = sorted(found, key=lambda version: int(version.version))
        for twin in versions[1:]:  # after a lost reply, MLflow's client repeats the call
            self._client.delete_model_version(self.model, str(twin.version))
        return versions[0] if versions else None

    def _create(self, contents: Contents, record: RunRecord) -> ModelVersion:
        experiment = self.experiment(record.about)
        model_uri = self._logged_before(experiment, contents.digest) or self._log(experiment, contents, record)
        self._name_model(record.about)
        self._client.create_model_version(
            self.model, model_uri, self._run_of(model_uri), {BUNDLE_TAG: contents.digest}, model_id=_model_id(model_uri)
        )
        created = self._version_of(contents.digest)
        if created is None:
            raise Unavailable(f"MLflow does not show the version of {self.model} that it created", hint="run it again")
        return created

    def experiment(self, about: ModelAbout) -> str:
        """The experiment of the model, created now if there is none; a description of a person stays."""
        found = self._client.get_experiment_by_name(self.model)
        if found is None:
            return str(self._client.create_experiment(self.model, tags={MLFLOW_RUN_NOTE: about.description}))
        if MLFLOW_RUN_NOTE not in found.tags:
            self._client.set_experiment_tag(found.experiment_id, MLFLOW_RUN_NOTE, about.description)
        return str(found.experiment_id)

    def _name_model(self, about: ModelAbout) -> None:
        """Create the registered model with its description, unless it exists; a description of a person stays."""
        try:
            self._client.create_registered_model(self.model, dict(about.tags), about.description)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            if not self._client.get_registered_model(self.model).description:
                self._client.update_registered_model(self.model, about.description)

    def _run_of(self, model_uri: str) -> str:
        return str(self._client.get_logged_model(_model_id(model_uri)).source_run_id)

    def _logged_before(self, experiment: str, digest: str) -> str | None:
        """The complete model of a killed registration, or None; unfinished runs are deleted."""
        whole = None
        for run in self._client.search_runs([experiment], f"tags.`{BUNDLE_TAG}` = '{digest}'", ViewType.ACTIVE_ONLY):
            logged = run.outputs.model_outputs if run.outputs else []
            if run.info.status == RunStatus.to_string(RunStatus.FINISHED) and logged:
                whole = f"models:/{logged[0].model_id}"
            else:
                self._client.delete_run(run.info.run_id)
        return whole

    def _log(self, experiment: str, contents: Contents, record: RunRecord) -> str:
        signature = signing.signed(contents.bundle)  # an invalid key is refused before a run exists
        tags = {BUNDLE_TAG: contents.digest, **record.tags}
        if self._parent:
            tags[MLFLOW_PARENT_RUN_ID] = self._parent
        budget = TIME_LIMIT_IN_CALLS * self._timeout
        until = monotonic() + budget
        with mlflow.start_run(
            experiment_id=experiment, run_name=record.name, description=record.note, tags=tags
        ) as run:
            for call in log_record(self._client, run, record):
                call()
                if monotonic() > until:
                    raise Unavailable(
                        f"the MLflow server is too slow: after {budget:g} s the run was not logged yet",
                        hint="try again, or give each call more time: --timeout or LOCKGATE_TIMEOUT",
                    )
            return str(log_model(contents, signature).model_uri)


def _logged_in(tracking_uri: str) -> str:
    """The address without its login. MLflow gets the login as variables, because its errors contain the address."""
    url = urlsplit(tracking_uri)
    login, at, host = url.netloc.rpartition("@")
    if at:
        user, _, password = login.partition(":")
        os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(user)
        os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(password)
    return urlunsplit(url._replace(netloc=host))


def _model_id(model_uri: str) -> str:
    return model_uri.removeprefix("models:/")
