"""Rows of a file that cannot be used: where they are, and why. A command may set them aside and go on."""

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
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
    """A CSV of the bad values, one a line; `rows` counts their rows, and `first` is the first value."""

    writer: Any
    rows: int = 0
    first: BadRow | None = None
    waiting: list[BadRow] = field(default_factory=list)

    def add(self, bad: BadRow) -> None:
        """Take one bad value."""
        self.waiting.append(bad)

    def write(self) -> None:
        """Write the values that were taken since the last call, in the order of the file."""
        found = sorted(self.waiting, key=lambda bad: (bad.path, bad.number))
        self.first = self.first or next(iter(found), None)
        self.rows += len({(bad.path, bad.number) for bad in found})
        self.writer.writerows([bad.path.name, bad.number, bad.column, bad.value, bad.reason] for bad in found)
        self.waiting.clear()


def join(parts: Iterable[Path], path: Path) -> None:
    """Write the rows of several files of bad rows, one after the other, into a new file."""
    with into(path) as found:
        for part in parts:
            with part.open(encoding="utf-8", newline="") as file:
                found.writer.writerows(islice(csv.reader(file), 1, None))


@contextmanager
def into(path: Path) -> Iterator[BadRowsFile]:
    """Write bad rows into a new file, below a header."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        found = BadRowsFile(writer)
        yield found
        found.write()
