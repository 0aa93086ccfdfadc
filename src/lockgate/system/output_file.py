"""An output file: checked before the work begins, written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lockgate.errors import WrongUsage


@dataclass(frozen=True)
class OutFile:
    """Where to write, and whether what is there may be replaced."""

    path: Path
    force: bool

    def check(self, suffixes: tuple[str, ...], source: Path | None = None) -> None:
        """Raise WrongUsage unless the file may be written: its name fits, its folder is there, it is not `source`."""
        if not self.path.name.endswith(suffixes):
            names = " nor ".join(suffixes)
            either = "neither " if len(suffixes) > 1 else "not "
            raise WrongUsage(
                f"the output is {either}{names}: {self.path}", hint=f"end its name with {' or '.join(suffixes)}"
            )
        if self.path.is_dir() or not self.path.absolute().parent.is_dir():
            raise WrongUsage(f"the output cannot be written: {self.path}", hint="name a file in a folder that is there")
        if source and self.path.exists() and source.exists() and self.path.samefile(source):
            raise WrongUsage("the output is the input", hint="name another output file")
        if self.path.exists() and not self.force:
            raise WrongUsage(f"the output is there already: {self.path}", hint="replace it with --force")

    @contextmanager
    def replacing(self) -> Iterator[Path]:
        """A passing file beside the target, which takes its place when all went well and is gone otherwise."""
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            yield partial
            partial.replace(self.path)
        finally:
            partial.unlink(missing_ok=True)
