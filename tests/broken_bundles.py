"""Candidates that are bad and look right: the manifest names exactly the bytes that are there."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from lockgate import digests
from lockgate.bundle import manifest, store
from lockgate.forecaster.ensemble import Forecaster


def truncated(folder: Path) -> str:
    """LightGBM reads past the end of such a file, and the process dies."""
    return rewritten(folder, "lightgbm.txt", lambda content: content[: len(content) // 2])


def endless(folder: Path) -> str:
    """In the first tree every node leads back to the root, so that no row comes to a leaf."""

    def looped(line: re.Match[bytes]) -> bytes:
        return line[1] + re.sub(rb"[-0-9]", b"0", line[2])  # as long as before: the file states the size of each tree

    tree = re.compile(rb"(\n(?:left|right)_child=)(.*)")
    return rewritten(folder, "lightgbm.txt", lambda content: tree.sub(looped, content, count=2))


def enormous(folder: Path) -> str:
    """A few bytes on disk that want sixteen gigabytes of memory."""
    buffer = io.BytesIO()
    with np.load(folder / "arrays.npz", allow_pickle=False) as archive:
        np.savez(buffer, allow_pickle=False, **{name: archive[name] for name in archive.files if name != "level"})
    claim = io.BytesIO()
    np.lib.format.write_array_header_1_0(claim, {"descr": "<f8", "fortran_order": False, "shape": (1 << 31,)})
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("level.npy", claim.getvalue())
    return rewritten(folder, "arrays.npz", lambda _: buffer.getvalue())


def undescribed(folder: Path) -> str:
    """Its description has lost the weights."""

    def without(content: bytes) -> bytes:
        return json.dumps({name: value for name, value in json.loads(content).items() if name != "weights"}).encode()

    return rewritten(folder, "forecaster.json", without)


def reweighted(folder: Path, forecaster: Forecaster, **weights: float) -> str:
    """The same members, blended in another way."""
    return store.save(replace(forecaster, weights=dict.fromkeys(forecaster.members, 0.0) | weights), folder)


def rewritten(folder: Path, name: str, change: Callable[[bytes], bytes]) -> str:
    """Change one file of a bundle and write a manifest that is right again; its digest."""
    (folder / name).write_bytes(change((folder / name).read_bytes()))
    files = [each for each in folder.iterdir() if each.name != manifest.MANIFEST]
    listed = manifest.written({each.name: each.read_bytes() for each in files})
    (folder / manifest.MANIFEST).write_bytes(listed)
    return digests.of_bytes(listed)
