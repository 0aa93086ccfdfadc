"""`lockgate truth load`: puts a file of ground truth on record."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lockgate.data import truth_file
from lockgate.database import truth
from lockgate.operations.workspace import Workspace
from lockgate.prediction_log.truth_rows import TruthRow, truth_rows
from lockgate.problem.description import Problem

ROWS_AT_ONCE = 20_000  # of one transaction
SHOWN = 5  # places of a kind


@dataclass(frozen=True)
class Places:
    """A number of rows, and file and line of the first ones."""

    count: int = 0
    first: tuple[str, ...] = ()

    def and_also(self, places: list[str]) -> "Places":
        """These rows and further ones."""
        return Places(self.count + len(places), (*self.first, *places)[:SHOWN])


@dataclass(frozen=True)
class Loaded:
    """What became of the rows of a file. Unknown rows are on record too, but no prediction on record asks for them.

    `left_out` rows are not scored, by `where` of the description. `ignored` columns were not read.
    """

    rows: int
    new: int
    unchanged: int
    corrected: Places
    unknown: Places
    left_out: int
    ignored: tuple[str, ...]


def load(workspace: Workspace, problem: Problem, path: Path) -> Loaded:
    """Put the rows of a file on record. It may be interrupted and repeated: what is on record adds nothing.

    Raises BadData with file, line and value for a row that the description does not allow.
    """
    file = truth_file.read(problem, path)
    rows = truth_rows(problem, file.rows)
    new, corrected, unknown = 0, Places(), Places()
    for first, part in _parts(rows):
        done = truth.load(workspace.database, workspace.model, part, path.name, workspace.actor)
        new += done.new
        corrected = corrected.and_also([file.place(first + place) for place in done.corrected])
        unknown = unknown.and_also([file.place(first + place) for place in done.unknown])
    unchanged = len(rows) - new - corrected.count
    return Loaded(len(rows), new, unchanged, corrected, unknown, file.left_out, file.ignored)


def _parts(rows: list[TruthRow]) -> Iterator[tuple[int, list[TruthRow]]]:
    for first in range(0, len(rows), ROWS_AT_ONCE):
        yield first, rows[first : first + ROWS_AT_ONCE]
