"""The file of forecasts: checked before the work begins, replaced in one step at its end; `-` is standard output."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from lockgate.data import row_writer
from lockgate.errors import WrongUsage
from lockgate.system.output_file import OutFile

STREAM = Path("-")


def check(target: Path, force: bool, source: Path | None = None) -> None:
    """Raise WrongUsage for a target that cannot be written, exists without `force`, or is the source or in it."""
    if target != STREAM:
        OutFile(target, force).check(row_writer.SUFFIXES, source)
        if source and source.is_dir() and target.absolute().parent.samefile(source):
            raise WrongUsage("the output is in the folder of the input", hint="give a file in another folder")


@contextmanager
def replaced(target: Path, force: bool) -> Iterator[Path]:
    """A temporary file. At the end it becomes the target, or goes to standard output; after an error it is deleted."""
    if target != STREAM:
        with OutFile(target, force).replacing() as partial:
            yield partial
        return
    with TemporaryDirectory(prefix="lockgate-") as folder:
        yield Path(folder, "output")
        with Path(folder, "output").open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
