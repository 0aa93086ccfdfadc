"""The artifact repository of an MLflow server that keeps its artifacts in its own database.

The server is started with `--artifacts-destination lockgate-artifacts:/`; its clients still use
mlflow-artifacts:/. MLflow imports this file with all artifact repositories, so this file imports nothing heavy.
"""

import asyncio
import posixpath
from collections.abc import AsyncIterable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from mlflow.entities.file_info import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.store.artifact.artifact_repo import ArtifactRepository, StreamUploadMixin

from lockgate.registry.server_database import as_mlflow_errors, invalid, open_database
from lockgate.system.service_urls import ARTIFACTS_IN_DATABASE

if TYPE_CHECKING:
    from lockgate.database.artifacts import Upload

LONGEST_PATH = 1024  # bytes


class DatabaseArtifactRepository(ArtifactRepository, StreamUploadMixin):
    """Artifacts below one path of the server's database; paths are relative to it, with slashes."""

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        self._root = _root_of(artifact_uri)
        self._database = open_database(ARTIFACTS_IN_DATABASE)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Write a local file to the folder `artifact_path`, under its own name."""
        from lockgate.database import artifacts

        source = Path(local_file)
        with as_mlflow_errors():
            artifacts.log(self._database, self._place(artifact_path, source.name), source)

    def log_artifact_from_stream(
        self, stream: BinaryIO, artifact_file_name: str, artifact_path: str | None = None
    ) -> None:
        """Write the content of a stream to the folder `artifact_path`."""
        from lockgate.database.artifacts import BLOCK_BYTES, Upload

        with Upload() as upload:
            while block := stream.read(BLOCK_BYTES):
                upload.write(block)
            self._log(upload, artifact_file_name, artifact_path)

    async def log_artifact_from_async_stream(
        self, chunks: AsyncIterable[bytes], artifact_file_name: str, artifact_path: str | None = None
    ) -> None:
        """Write the body of a request; the server answers other requests meanwhile."""
        from lockgate.database.artifacts import BLOCK_BYTES, Upload

        block = bytearray()
        with Upload() as upload:
            async for chunk in chunks:
                block += chunk
                if len(block) >= BLOCK_BYTES:
                    await asyncio.to_thread(upload.write, bytes(block))
                    block.clear()
            upload.write(bytes(block))
            await asyncio.to_thread(self._log, upload, artifact_file_name, artifact_path)

    def _log(self, upload: "Upload", name: str, folder: str | None) -> None:
        from lockgate.database import artifacts

        with as_mlflow_errors():
            artifacts.log_upload(self._database, self._place(folder, posixpath.basename(name)), upload)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Write every file below a local folder."""
        folder = Path(local_dir)
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            inside = file.relative_to(folder).as_posix()
            self.log_artifact(str(file), posixpath.dirname(posixpath.join(artifact_path or "", inside)))

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """The entries directly in a folder; nothing for a file or for a missing folder."""
        from lockgate.database import artifacts

        folder = (path or "").rstrip("/")
        with as_mlflow_errors():
            found = artifacts.entries(self._database, self._place(folder))
        return [FileInfo(posixpath.join(folder, entry.name), entry.size is None, entry.size) for entry in found]

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete a file, or a folder with its content; no error if there is none."""
        from lockgate.database import artifacts

        place = self._place((artifact_path or "").rstrip("/"))
        if not place:
            raise invalid("the root of all artifacts cannot be deleted: give a file or a folder")
        with as_mlflow_errors():
            artifacts.remove(self._database, place)

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> str:
        """Write a file below a local folder and return its path; for a folder, MLflow's own code does it."""
        from lockgate.database import artifacts

        if artifact_path and dst_path:
            place = self._place(artifact_path)
            target = self._create_download_destination(artifact_path, dst_path)  # type: ignore[no-untyped-call]
            with as_mlflow_errors():
                if artifacts.fetch(self._database, place, Path(target)):
                    return str(target)
        return str(super().download_artifacts(artifact_path, dst_path))  # type: ignore[no-untyped-call]

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        from lockgate.database import artifacts

        with as_mlflow_errors():
            found = artifacts.fetch(self._database, self._place(remote_file_path), Path(local_path))
        if not found:
            raise MlflowException(f"No such artifact: '{remote_file_path}'", RESOURCE_DOES_NOT_EXIST)

    def _place(self, *parts: str | None) -> str:
        """The path from the root of the server; the root itself is ''."""
        inside = "/".join(part for part in parts if part)
        if inside:
            _check(inside)
        return "/".join(part for part in (self._root, inside) if part)


def _check(path: str) -> None:
    """Raise an invalid parameter error (HTTP 400) for a path that is not a file below its folder."""
    try:
        too_long = len(path.encode()) > LONGEST_PATH
    except UnicodeEncodeError:
        raise invalid(f"the artifact path is not valid text: {path!r}") from None
    if too_long:
        raise invalid(f"the artifact path is longer than {LONGEST_PATH} bytes: {path[:80]}...")
    if "\0" in path or not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise invalid(f"the artifact path is not a plain relative one: {path!r}")


def _root_of(uri: str) -> str:
    if urlsplit(uri).netloc:
        raise invalid(f"artifacts are stored in the server's own database: write {ARTIFACTS_IN_DATABASE}, not {uri}")
    root = urlsplit(uri).path.strip("/")
    if root:
        _check(root)
    return root
