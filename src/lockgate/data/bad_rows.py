"""Rows of a file that cannot be used: where they are, and why. A command may set them aside and go on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BadRow:
    """A line of a file (or a row of a parquet file) with a value that is refused; no column if the line is broken."""

    path: Path
    number: int
    column: str
    value: str
    reason: str


SetAside = Callable[[BadRow], None]
