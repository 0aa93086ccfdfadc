"""Reads files from a folder of another user: plain files only, no links."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from lockgate.errors import IntegrityBroken

MOST_FILES = 200
MOST_BYTES = 1 << 30
PLAIN = "a model must have plain files only: no links, no hidden files"


def names(folder: Path) -> list[str]:
    """The files in a folder and below it, as sorted relative paths.

    Raises IntegrityBroken for a link, a hidden file or folder, a pipe or device, and for more than MOST_FILES.
    """
    found = []
    for name in _walk(folder, ""):
        found.append(name)
        if len(found) > MOST_FILES:
            raise IntegrityBroken(f"more than {MOST_FILES} files", where=str(folder), hint=PLAIN)
    return sorted(found)


def read(path: Path, limit: int = MOST_BYTES, hint: str = PLAIN) -> bytes:
    """The bytes of a plain file. Raises IntegrityBroken for anything else, and for more than `limit` bytes."""
    name = ascii(path.name)[1:-1]
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise IntegrityBroken(f"{name} is missing or a link", where=str(path), hint=hint) from error
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise IntegrityBroken(f"{name} is not a plain file", where=str(path), hint=hint)
        if status.st_size > limit:
            raise IntegrityBroken(f"{name} is too large", where=str(path), hint=hint)
        return file.read(limit)


def copy(folder: Path, target: Path) -> None:
    """Copy the files of a folder; raises IntegrityBroken if it has folders."""
    target.mkdir(parents=True)
    for name in names(folder):
        if "/" in name:
            raise IntegrityBroken(f"{name.partition('/')[0]!a} does not belong here", where=str(folder), hint=PLAIN)
        (target / name).write_bytes(read(folder / name))


def _walk(folder: Path, above: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{above}{entry.name}"
            if entry.name.startswith("."):
                raise IntegrityBroken(f"{name!a} is hidden", where=str(folder), hint=PLAIN)
            if entry.is_symlink():
                raise IntegrityBroken(f"{name!a} is a link", where=str(folder), hint=PLAIN)
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), f"{name}/")
            elif entry.is_file(follow_symlinks=False):
                yield name
            else:
                raise IntegrityBroken(f"{name!a} is not a plain file", where=str(folder), hint=PLAIN)
