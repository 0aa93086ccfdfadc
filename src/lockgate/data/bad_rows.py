"""Rows of a file that cannot be used: where they are, and why. A command may set them aside and go on."""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COLUMNS = ("file", "line", "column", "value", "reason")


@dataclass(frozen=True)
class BadRow:
    """A line of a file (or a row of a parquet file) with a value that is refused; no column if the line is broken."""

    path: Path
    number: int
    column: str
    value: str
    reason: str


SetAside = Callable[[BadRow], None]


@dataclass
class BadRowsFile:
    """A CSV of the bad values, one a line, in the order in which they are added; `rows` counts their rows."""

    writer: Any
    rows: int = 0
    last: BadRow | None = None

    def add(self, bad: BadRow) -> None:
        """Write one bad value."""
        if self.last is None or (bad.path, bad.number) != (self.last.path, self.last.number):
            self.rows += 1
        self.last = bad
        self.writer.writerow([bad.path.name, bad.number, bad.column, bad.value, bad.reason])


@contextmanager
def into(path: Path) -> Iterator[BadRowsFile]:
    """Write bad rows into a new file, below a header."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        yield BadRowsFile(writer)
