"""Checks the files of a registered version: their names, MLmodel key by key, and the registered digests. None is run.

The bundle in the folder is verified by its manifest. The files beside it are read by MLflow when it serves the version:
they must be plain files with the registered digests, and MLmodel may hold only the keys and values that are listed.
"""

import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lockgate import digests
from lockgate.bundle import manifest, mlmodel
from lockgate.bundle.mlmodel import (
    BESIDE_BUNDLE,
    BUNDLE,
    LARGEST_AROUND,
    MLMODEL,
    MODEL_FILE,
    TOP_KEYS,
    WRITTEN_BY_DOWNLOAD,
)
from lockgate.errors import ArtifactMissing, IntegrityBroken
from lockgate.system import safe_files

BUNDLE_TAG = "lockgate.bundle_digest"  # on a version, and on its run
AROUND = {MLMODEL, MODEL_FILE.name} | BESIDE_BUNDLE
FOLDERS = {"artifacts", BUNDLE}
MOST_FILES = 64
LARGEST_IN_BUNDLE = 1 << 30
REGISTER_AGAIN = "train and register another one: dvc repro; see docs/explanation/integrity.md"

FLAVOR_KEYS = {
    "artifacts", "cloudpickle_version", "code", "config", "env", "loader_module", "model_code_path", "python_version",
    "streamable",
}  # fmt: skip
LOADER = "mlflow.pyfunc.loaders.code_model"


@dataclass(frozen=True)
class Artifact:
    """A registered version's files in a private folder, checked and not opened."""

    bundle: Path
    has_signature: bool


def check_names(sizes: Mapping[str, int | None]) -> None:
    """Check the names and sizes of the files in the store, before any file is fetched.

    Raises ArtifactMissing if nothing is there, IntegrityBroken for an extra, missing or too large file.
    """
    if not sizes:
        raise ArtifactMissing("the store no longer has its files")
    if len(sizes) > MOST_FILES:
        raise _refusal(f"it has {len(sizes)} files, {MOST_FILES} at most are possible")
    for name in sorted(sizes):
        if name not in AROUND and not _in_bundle(name):
            raise _refusal(f"{name!a} does not belong there")
        if (sizes[name] or 0) > (LARGEST_IN_BUNDLE if _in_bundle(name) else LARGEST_AROUND):
            raise _refusal(f"{name!a} is larger than it can be")
    for name in sorted(AROUND | {f"{BUNDLE}/{manifest.MANIFEST}"}):
        if name not in sizes:
            raise _refusal(f"{name} is missing")


def examined(folder: Path, bundle_digest: str, registered: Mapping[str, str]) -> Artifact:
    """Check a fetched folder: layout, plain files, MLmodel, and the registered digests of its files.

    Without registered digests, the file that MLflow would run must equal this Lockgate's own. Raises
    IntegrityBroken. The bundle's own files are verified when it is opened.
    """
    check_names(dict(_plain_files(folder)))
    has_signature = _read_mlmodel(folder / MLMODEL, bundle_digest)
    found = around(folder)
    for name, digest in (registered or {MODEL_FILE.name: digests.of_file(MODEL_FILE)}).items():
        if found.get(name) != digest:
            raise _refusal(f"{name} is not the one that was registered")
    return Artifact(folder / BUNDLE, has_signature)


def around(folder: Path) -> dict[str, str]:
    """The digest of each file beside the bundle."""
    return {name: digests.of_bytes(safe_files.read(folder / name, LARGEST_AROUND)) for name in sorted(AROUND)}


def _in_bundle(name: str) -> bool:
    folder, _, own = name.rpartition("/")
    return folder == BUNDLE and not own.startswith(".")


def _plain_files(folder: Path) -> Iterator[tuple[str, int]]:
    """Path and size of every file below the folder; links, pipes and folders out of place are refused."""
    for parent, folders, files in os.walk(folder):
        below = Path(parent).relative_to(folder)
        for name in (*folders, *files):
            path = (below / name).as_posix()
            status = (folder / path).lstat()
            if stat.S_ISREG(status.st_mode) and path != WRITTEN_BY_DOWNLOAD:
                yield path, status.st_size
            elif not stat.S_ISREG(status.st_mode) and not (stat.S_ISDIR(status.st_mode) and path in FOLDERS):
                raise _refusal(f"{path!a} does not belong there")


def _read_mlmodel(path: Path, bundle_digest: str) -> bool:
    """Whether the signature has input and output columns. IntegrityBroken for a key or value that is not listed."""
    try:
        model = mlmodel.read(path)
        flavors, signature = model["flavors"], model.get("signature") or {}
        _check(set(flavors) == {"python_function"}, f"has the flavors {sorted(flavors)}")
        _check_flavor(flavors["python_function"], bundle_digest)
        _check(set(model) <= TOP_KEYS, f"has the keys {sorted(set(model) - TOP_KEYS)}")
        _check(not model.get("prompts"), "brings prompts")
        return all(json.loads(signature.get(side) or "[]") for side in ("inputs", "outputs"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _refusal(f"{MLMODEL} cannot be read: {type(error).__name__}") from error


def _check_flavor(flavor: Mapping[str, Any], bundle_digest: str) -> None:
    _check(set(flavor) <= FLAVOR_KEYS, f"has the keys {sorted(set(flavor) - FLAVOR_KEYS)} in python_function")
    _check(flavor["loader_module"] == LOADER, f"names the loader {flavor['loader_module']!a}")
    _check(flavor["code"] is None, f"brings the code folder {flavor['code']!a}")
    _check(Path(flavor["model_code_path"]).name == MODEL_FILE.name, f"runs {flavor['model_code_path']!a}")
    places = {name: entry["path"] for name, entry in flavor["artifacts"].items()}
    _check(places == {"bundle": BUNDLE}, f"has the artifacts {places!a}")
    _check(flavor["env"] == {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}, f"asks for {flavor['env']!a}")
    _check(flavor["config"] == {"bundle_digest": bundle_digest}, "is set for another bundle")


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise _refusal(f"{MLMODEL} {message}")


def _refusal(message: str) -> IntegrityBroken:
    return IntegrityBroken(f"the version's artifact is not as it was registered: {message}", hint=REGISTER_AGAIN)
