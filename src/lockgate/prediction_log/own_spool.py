"""The spools of servers: each server has one of its own while it lives, also beside others in one folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from lockgate.errors import StorageFailed
from lockgate.prediction_log.spool import FILE, make_folder

LOCK = "lock"  # held as long as the server lives; the operating system gives it back when the server is killed


@contextmanager
def own(spools: Path) -> Iterator[Path]:
    """The folder of the first spool below `spools` that no other server has: serve-1, serve-2 and so on.

    It may hold what a server that is gone has left. Raises StorageFailed if it cannot be made or locked.
    """
    for number in count(1):
        folder = spools / f"serve-{number}"
        with held(folder) as is_held:
            if is_held:
                yield folder
                return


def left(spools: Path) -> Iterator[Path]:
    """The folders of the spools below `spools` that no server has; each is held while the caller works on it."""
    for file in sorted(spools.glob(f"serve-*/{FILE}")):
        with held(file.parent) as is_held:
            if is_held:
                yield file.parent


@contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Hold the spool in a folder, unless another holds it; whether that succeeded. Raises StorageFailed."""
    make_folder(folder)
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(folder, error) from error
    try:
        yield _is_locked(lock, folder)
    finally:
        os.close(lock)


def _is_locked(lock: int, folder: Path) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _unusable(folder, error) from error
    return True


def _unusable(folder: Path, error: OSError) -> StorageFailed:
    hint = "check the folder's permissions; the spool needs a local disk, no network drive"
    return StorageFailed(f"the spool cannot be locked: {error.strerror}", where=str(folder), hint=hint)
