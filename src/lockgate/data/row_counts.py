"""How many rows were left out, dropped or joined while a table was read, in a sentence. Counts of its parts add up."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class RowCount:
    """Some of the rows, and what happened to them: `done` is said before the numbers, `why` after them."""

    done: str
    rows: int
    of: int
    why: str

    def __str__(self) -> str:
        return f"{self.done} {self.rows:,} of {self.of:,} rows{self.why}"


def added(counts: Iterable[RowCount]) -> tuple[RowCount, ...]:
    """The counts of all parts of a table, one for each thing that happened, in the order of their first appearance."""
    found: dict[tuple[str, str], RowCount] = {}
    for count in counts:
        name = count.done, count.why
        earlier = found.get(name, RowCount(count.done, 0, 0, count.why))
        found[name] = RowCount(count.done, earlier.rows + count.rows, earlier.of + count.of, count.why)
    return tuple(found.values())


def notes(counts: Iterable[RowCount]) -> tuple[str, ...]:
    """The sentences of the counts of at least one row."""
    return tuple(str(count) for count in counts if count.rows)
