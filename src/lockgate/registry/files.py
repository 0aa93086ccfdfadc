"""Lists and downloads the artifacts of a version or a run; opens none."""

import tempfile
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import mlflow
import requests
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from lockgate.bundle import registered_files
from lockgate.errors import ArtifactMissing, IntegrityBroken, Unavailable

CLIENT_REFUSES_PATH = "Invalid path"  # MLflow's client, if a path in the store's answer leaves the folder


def listed(uri: str, below: str = "") -> Iterator[tuple[str, int | None]]:
    """Path and size of each file of a version in the store. The path of an unexpected folder ends with a slash."""
    place = f"{uri}/{below}" if below else uri
    for entry in mlflow.artifacts.list_artifacts(artifact_uri=place):
        path = f"{below}/{Path(entry.path).name}" if below else str(entry.path)
        if entry.is_dir and path in registered_files.FOLDERS:
            yield from listed(uri, path)
        else:
            yield f"{path}/" if entry.is_dir else path, entry.file_size


def download(uri: str, folder: Path) -> None:
    """Download all files of a version into a folder.

    MLflow's repository of artifacts has threads that wait for more work until a garbage collection finds it; here they
    end, so that a server which downloads one version after another does not gather them.
    """
    repository = get_artifact_repository(uri)
    try:
        repository.download_artifacts("", str(folder))  # type: ignore[no-untyped-call]
    finally:
        _end_threads(repository)


def _end_threads(repository: ArtifactRepository) -> None:
    for part in vars(repository).values():
        if isinstance(part, ThreadPoolExecutor):
            part.shutdown(wait=False)
        elif isinstance(part, ArtifactRepository):
            _end_threads(part)


@contextmanager
def stored(version: int) -> Iterator[None]:
    """Raise ArtifactMissing for missing files, IntegrityBroken for a path that leaves the folder of the version."""
    try:
        yield
    except ArtifactMissing as missing:
        raise _nothing_of(version) from missing
    except (requests.HTTPError, MlflowException) as error:  # the text has the server's code
        message = str(error)
        if "RESOURCE_DOES_NOT_EXIST" in message or "404 Client Error" in message:
            raise _nothing_of(version) from error
        if "INVALID_PARAMETER_VALUE" in message or CLIENT_REFUSES_PATH in message:
            raise IntegrityBroken(
                f"the path of a file of version {version} leaves its folder", hint=registered_files.REGISTER_AGAIN
            ) from error
        if isinstance(error, MlflowException) or _refuses_login(error):
            raise
        raise Unavailable("the MLflow server does not send the files", where=message[:300]) from error


def _refuses_login(error: requests.HTTPError) -> bool:
    return error.response is not None and error.response.status_code in (401, 403)


def _nothing_of(version: int) -> ArtifactMissing:
    return ArtifactMissing(
        f"the store no longer has the files of version {version}",
        hint="restore them from a backup; if the version is in Production: lockgate rollback, or lockgate retire",
    )


def content(uri: str, path: str) -> bytes | None:
    """The bytes of one file among the artifacts of a run or of a version; None if it is not there."""
    folder, _, name = path.rpartition("/")
    return contents(f"{uri}/{folder}" if folder else uri, [name]).get(name)


def contents(uri: str, names: Collection[str] | None = None) -> dict[str, bytes]:
    """The bytes of the files directly in a folder of artifacts, by name; with `names`, only those."""
    listed = mlflow.artifacts.list_artifacts(artifact_uri=uri)  # a run's paths include the folder
    found = [file.path.rpartition("/")[2] for file in listed if not file.is_dir]
    with tempfile.TemporaryDirectory(prefix="lockgate-") as folder:
        return {
            name: Path(mlflow.artifacts.download_artifacts(artifact_uri=f"{uri}/{name}", dst_path=folder)).read_bytes()
            for name in found
            if names is None or name in names
        }
