"""An output file: checked before the work begins, and replaced in one step."""

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from lockgate.errors import WrongUsage


@dataclass(frozen=True)
class OutFile:
    """The path of the output, and whether an existing file may be replaced."""

    path: Path
    force: bool

    def check(self, suffixes: tuple[str, ...], source: Path | None = None) -> None:
        """Raise WrongUsage for a wrong suffix, a missing folder, an existing file without `force`, or `source`."""
        if not self.path.name.endswith(suffixes):
            names = " nor ".join(suffixes)
            either = "neither " if len(suffixes) > 1 else "not "
            raise WrongUsage(
                f"the output is {either}{names}: {self.path}", hint=f"end its name with {' or '.join(suffixes)}"
            )
        is_special = self.path.exists() and not self.path.is_file()  # a folder, a pipe or a device
        if is_special or not self.path.absolute().parent.is_dir():
            raise WrongUsage(
                f"the output cannot be written: {self.path}", hint="give a plain file in an existing folder"
            )
        if source and self.path.exists() and source.exists() and self.path.samefile(source):
            raise WrongUsage("the output is the input", hint="give another output file")
        if self.path.exists() and not self.force:
            raise WrongUsage(f"the output exists already: {self.path}", hint="replace it with --force")

    @contextmanager
    def replacing(self) -> Iterator[Path]:
        """A temporary file beside the target. It replaces the target at the end; after an error it is deleted.

        Those of killed processes are deleted, too.
        """
        for left in self.path.parent.glob(f".{glob.escape(self.path.name)}.*.part"):
            if is_of_a_dead_process(left.suffixes[-2].removeprefix(".")):
                left.unlink(missing_ok=True)
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            yield partial
            partial.replace(self.path)
        finally:
            partial.unlink(missing_ok=True)


def is_of_a_dead_process(number: str) -> bool:
    """Whether the process with this number, from the name of a file, has ended; what is no number is of none."""
    return number.isdecimal() and not psutil.pid_exists(int(number))
