"""The list of a bundle's files with the SHA-256 of each; its own SHA-256 is the bundle's digest. Imports nothing heavy.

Each file is read once into memory and compared, so that the bytes that were verified are the bytes that are loaded.
"""

import json
import os
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from lockgate import digests
from lockgate.errors import IntegrityBroken
from lockgate.system import safe_files

FORMAT = 1
MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"  # beside the manifest of a signed version; no digest covers it, the key verifies it
LARGEST_MANIFEST = 1 << 16
REBUILD = "train and register it again"


def digest(folder: Path) -> str:
    """The digest of the manifest in a folder; `store.load` verifies it."""
    return digests.of_bytes(safe_files.read(folder / MANIFEST, LARGEST_MANIFEST, REBUILD))


def names(folder: Path) -> set[str]:
    """The names of the files that the manifest in a folder lists."""
    return set(_listed(safe_files.read(folder / MANIFEST, LARGEST_MANIFEST, REBUILD), folder))


def verified(folder: Path, expected_digest: str, names: Set[str]) -> dict[str, bytes]:
    """The bytes of each named file, verified against this digest.

    Raises IntegrityBroken for another manifest, and for a file that is missing, extra, linked, hidden or changed.
    """
    manifest = safe_files.read(folder / MANIFEST, LARGEST_MANIFEST, REBUILD)
    found = digests.of_bytes(manifest)
    if found != expected_digest:
        raise IntegrityBroken(
            f"the manifest's digest is {found[:12]}, not {expected_digest[:12]}",
            where=str(folder / MANIFEST),
            hint=REBUILD,
        )
    listed = _listed(manifest, folder)
    _check_listing(folder, set(listed), names)
    return {name: _verified_file(folder / name, entry) for name, entry in listed.items()}


def _listed(manifest: bytes, folder: Path) -> dict[str, dict[str, Any]]:
    try:
        entries: dict[str, dict[str, Any]] = json.loads(manifest)["files"]
        return {name: {"bytes": int(entry["bytes"]), "sha256": entry["sha256"]} for name, entry in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise IntegrityBroken("the manifest cannot be read", where=str(folder / MANIFEST), hint=REBUILD) from error


def _check_listing(folder: Path, listed: set[str], names: Set[str]) -> None:
    present = {entry.name for entry in os.scandir(folder)} - {MANIFEST, SIGNATURE}
    if different := sorted(listed ^ names):
        raise IntegrityBroken(
            f"the manifest lists other files than a bundle of this code has; the first difference is {different[0]!a}",
            where=str(folder),
            hint=REBUILD,
        )
    for name in sorted(present - listed):
        raise IntegrityBroken(f"{name!a} does not belong in the bundle", where=str(folder), hint=REBUILD)
    for name in sorted(listed - present):
        raise IntegrityBroken(f"{name} is missing", where=str(folder), hint=REBUILD)


def _verified_file(path: Path, entry: Mapping[str, Any]) -> bytes:
    content = safe_files.read(path, entry["bytes"], REBUILD)
    if digests.of_bytes(content) != entry["sha256"]:
        raise IntegrityBroken(f"{path.name} sha256 mismatch", where=str(path), hint=REBUILD)
    return content


def written(contents: Mapping[str, bytes]) -> bytes:
    """The manifest of these files, by name; equal files give equal bytes."""
    files = {name: {"bytes": len(content), "sha256": digests.of_bytes(content)} for name, content in contents.items()}
    return (json.dumps({"files": files, "format": FORMAT}, indent=1, sort_keys=True) + "\n").encode()
