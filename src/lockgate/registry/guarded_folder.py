"""The artifact repository of an MLflow server that keeps its artifacts in a folder and protects registered versions.

The server is started with `--artifacts-destination lockgate-folder:///path/of/the/folder`; its clients still use
mlflow-artifacts:/. MLflow imports this file with all artifact repositories, so this file imports nothing heavy.
"""

import filecmp
import os
import posixpath
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_CONFLICT
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import validate_path_is_safe, validate_path_within_directory

from lockgate.registry.server_database import as_mlflow_errors, invalid, open_database
from lockgate.system.service_urls import FOLDER_SCHEME

MODEL_FILE = "MLmodel"
DESTINATION_VARIABLE = "_MLFLOW_SERVER_ARTIFACT_DESTINATION"  # in mlflow.server.constants, as in server_database


class GuardedFolderArtifactRepository(LocalArtifactRepository):
    """Artifacts in a folder. The files of a registered version are not deleted or overwritten, and it gets no others.

    A deletion, an overwriting and a new file of a model ask the server's database, and are refused without an answer.
    """

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        super().__init__(_file_uri(artifact_uri), tracking_uri, registry_uri)
        root = _file_uri(os.environ.get(DESTINATION_VARIABLE, ""))
        self._root = local_file_uri_to_path(root)  # type: ignore[no-untyped-call]
        self._database = open_database(f"{FOLDER_SCHEME}:")

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Write every file below a local folder."""
        folder = Path(local_dir)
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            inside = file.relative_to(folder).as_posix()
            below = posixpath.dirname(posixpath.join(artifact_path or "", inside))
            self.log_artifact(str(file), below)  # type: ignore[no-untyped-call]

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete a file, or a folder with its content; no error if there is none."""
        target = Path(self.artifact_dir, validate_path_is_safe(artifact_path or ""))  # type: ignore[no-untyped-call]
        validate_path_within_directory(self.artifact_dir, str(target))
        place = self._place(target)
        if place == ".":
            raise invalid("the root of all artifacts cannot be deleted: give a file or a folder")
        if not target.exists():
            return
        if version := self._holder(place):
            raise _conflict(place, version, "delete that version first")
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink()

    def _publish_staged_artifact(
        self,
        temp_file_path: str,
        destination_file_path: str,
        finalize_temp_path: Callable[[str], None] | None = None,
    ) -> None:
        """Give an upload its name: MLflow calls this function at the end of every way to log a file.

        A repetition of the same content is accepted and changes nothing.
        """
        target = Path(destination_file_path)
        place = self._place(target)
        version = self._holder(place) if target.exists() or self._lies_in_a_model(target) else None
        if version is None:
            super()._publish_staged_artifact(temp_file_path, destination_file_path, finalize_temp_path)
        elif target.is_file() and filecmp.cmp(temp_file_path, target, shallow=False):
            self._cleanup_staged_artifact(temp_file_path)
        else:
            self._cleanup_staged_artifact(temp_file_path)
            _remove_empty(target.parents)
            raise _conflict(place, version, "register the changed files as a version of their own")

    def _lies_in_a_model(self, target: Path) -> bool:
        """Whether a folder above has the file MLmodel: a new file could then belong to a registered version."""
        root = Path(self._root)
        return any((folder / MODEL_FILE).exists() for folder in target.parents if folder.is_relative_to(root))

    def _holder(self, place: str) -> str | None:
        """A registered version that needs this place; raises an error if the database does not answer."""
        from lockgate.database.artifact_holders import holder

        with as_mlflow_errors():
            return holder(self._database, place)

    def _place(self, target: Path) -> str:
        """The path from the root of the server, as in URIs mlflow-artifacts:/; the root itself is '.'."""
        return Path(os.path.relpath(target, self._root)).as_posix()


def _file_uri(uri: str) -> str:
    """The same folder as a URI file:///, which MLflow's own repository reads."""
    scheme, _, rest = uri.partition("://")
    if scheme != FOLDER_SCHEME or not rest.startswith("/"):
        raise invalid(f"the folder of the artifacts is written {FOLDER_SCHEME}:///absolute/path, not {uri}")
    return f"file://{rest}"


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove the folders that MLflow made for a refused file: a folder too many would make a version unreadable."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def _conflict(place: str, version: str, hint: str) -> MlflowException:
    return MlflowException(f"{place} belongs to {version}; {hint}", RESOURCE_CONFLICT)
