"""`lockgate truth load`: puts a file of ground truth on record."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate.data import truth_file
from lockgate.data.truth_file import TruthFile
from lockgate.database import truth
from lockgate.operations.workspace import Workspace
from lockgate.prediction_log.truth_rows import TruthRow, truth_rows
from lockgate.problem.description import Problem

SHOWN = 5  # places of a kind


@dataclass(frozen=True)
class Places:
    """A number of rows, and file and line of the first ones."""

    count: int
    first: tuple[str, ...]


@dataclass(frozen=True)
class FileRows:
    """The rows of a file, made when a part of them is asked for."""

    problem: Problem
    file: TruthFile

    def __len__(self) -> int:
        return len(self.file.rows)

    def __getitem__(self, part: slice) -> list[TruthRow]:
        return truth_rows(self.problem, self.file.rows.iloc[part])

    def places(self, numbers: Sequence[int]) -> Places:
        """These rows in the file."""
        return Places(len(numbers), tuple(self.file.place(number) for number in numbers[:SHOWN]))


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
    """Put the rows of a file on record, all or none. Repeated, it adds nothing: the rows are on record.

    Raises BadData with file, line and value for a row that the description does not allow.
    """
    file = truth_file.read(problem, path)
    rows = FileRows(problem, file)
    done = truth.load(workspace.database, workspace.model, rows, path.name, workspace.actor)
    corrected, unknown = rows.places(done.corrected), rows.places(done.unknown)
    unchanged = len(rows) - done.new - corrected.count
    return Loaded(len(rows), done.new, unchanged, corrected, unknown, file.left_out, file.ignored)
