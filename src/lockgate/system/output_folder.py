"""An output folder: made in a scratch folder beside its target, and put in its place at the end.

The earlier folder is deleted only when the new one is in its place. A process that is killed in between leaves it in
its scratch folder, and the next one with the same target puts it back.
"""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lockgate.system.output_file import is_of_a_dead_process

EARLIER = "earlier"  # in the scratch folder: what was in the place of the target


@dataclass(frozen=True)
class Scratch:
    """A folder for all files of one run, beside its target."""

    folder: Path
    target: Path

    def put(self, made: Path) -> None:
        """Put a finished folder in the place of the target. Raises OSError; the target is as before then."""
        try:
            if self.target.exists():
                self.target.rename(self.folder / EARLIER)
            made.rename(self.target)
        finally:
            _restore(self.folder, self.target)


@contextmanager
def beside(target: Path) -> Iterator[Scratch]:
    """A new scratch folder, which is deleted at the end, as those that killed processes of this machine have left.

    Raises OSError if the folder of the target cannot be written.
    """
    target = target.resolve()
    start = f".{target.name}.{socket.gethostname()}."
    path = target.with_name(f"{start}{os.getpid()}")
    for left in sorted(target.parent.iterdir()):
        if left.name.startswith(start) and (left == path or is_of_a_dead_process(left.name.removeprefix(start))):
            _delete(left, target)
    path.mkdir()
    try:
        yield Scratch(path, target)
    finally:
        _delete(path, target)


def _delete(scratch: Path, target: Path) -> None:
    _restore(scratch, target)
    shutil.rmtree(scratch, ignore_errors=True)


def _restore(scratch: Path, target: Path) -> None:
    """Put the earlier folder back if nothing is in the place of the target."""
    if (scratch / EARLIER).exists() and not target.exists():
        (scratch / EARLIER).rename(target)
