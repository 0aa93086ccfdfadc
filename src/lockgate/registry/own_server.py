"""The registry as seen inside the MLflow server: calls to its own application, with the rights of the user who asks."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from lockgate.bundle import manifest, mlmodel, registered_files
from lockgate.errors import AccessRefused, ArtifactMissing, LockgateError
from lockgate.registry.error_messages import refusal

FORBIDDEN = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
RESTORE = "restore the files from a backup, or choose another version"


@dataclass(frozen=True)
class Answer:
    """An answer of the MLflow server."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def json(self) -> dict[str, object]:
        """The body as an object; empty if the body is no JSON object."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class Call(Protocol):
    """Calls the application with the login of the user who asks."""

    def __call__(
        self, method: str, path: str, query: Mapping[str, str], sent: Mapping[str, object] | None = None
    ) -> Answer:
        """The answer; `sent` is a JSON body."""

    def fetch(self, path: str, query: Mapping[str, str], target: Path) -> Answer:
        """Write the body of a good answer into a file, in pieces; the body of another answer is in the result."""


class OwnServer:
    """The versions of one model, moved and fetched by calls to the application of this process."""

    def __init__(self, call: Call, model: str) -> None:
        self._call = call
        self._model = model

    def move(self, version: int, stage: str) -> None:
        """Make one transition; a version in the target stage is archived in the same transaction of MLflow."""
        sent = {
            "name": self._model,
            "version": str(version),
            "stage": stage,
            "archive_existing_versions": stage in ("Staging", "Production"),
        }
        path = "/api/2.0/mlflow/model-versions/transition-stage"
        answer = self._call("POST", path, {}, sent)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise _refused(answer, path)

    def download(self, version: int, folder: Path) -> None:
        """Download the files of a version into a folder: those that its manifest lists, and those around its bundle.

        No file is opened but the manifest. Raises ArtifactMissing if the store lacks one of them, IntegrityBroken for
        a manifest that lists other files than a bundle can have.
        """
        bundle = folder / mlmodel.BUNDLE
        bundle.mkdir(parents=True)
        self._fetch(version, f"{mlmodel.BUNDLE}/{manifest.MANIFEST}", folder)
        inside = {f"{mlmodel.BUNDLE}/{name}" for name in manifest.names(bundle)}
        wanted = registered_files.AROUND | inside
        registered_files.check_names(dict.fromkeys(wanted | {f"{mlmodel.BUNDLE}/{manifest.MANIFEST}"}))
        for name in sorted(wanted):
            self._fetch(version, name, folder)
        with suppress(ArtifactMissing):  # only a signed version has one; who requires a signature misses it later
            self._fetch(version, f"{mlmodel.BUNDLE}/{manifest.SIGNATURE}", folder)

    def _fetch(self, version: int, name: str, folder: Path) -> None:
        path, query = "/model-versions/get-artifact", {"name": self._model, "version": str(version), "path": name}
        answer = self._call.fetch(path, query, folder / name)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise ArtifactMissing(f"the store no longer has {name} of version {version}", hint=RESTORE)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise _refused(answer, name)


def _refused(answer: Answer, what: str) -> LockgateError:
    """The refusal in an answer; the guard's own sentence if it is in the answer."""
    found = answer.json()
    message = str(found.get("message") or answer.body.decode(errors="replace") or f"HTTP {answer.status}")
    if answer.status in FORBIDDEN:
        return AccessRefused(
            "your MLflow login may not do this", where=what, hint="ask for the permission EDIT on the model"
        )
    return refusal(message, str(found.get("error_code", "")))
