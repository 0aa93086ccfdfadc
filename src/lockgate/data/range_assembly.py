"""The second step of preparing a panel in parts: all rows of a key range are checked by all rules and written.

Rules between rows hold within a key, so a key range is checked as a table of its own.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data import dataset, sorted_pieces
from lockgate.data.ingest import CheckedRows, TypedRows, checked
from lockgate.data.key_ranges import KeyRange, bounds
from lockgate.data.raw_reading import RawFile
from lockgate.data.row_counts import RowCount
from lockgate.data.side_tables import SideTable
from lockgate.data.sorted_pieces import FILE, HASH, LINE, Piece
from lockgate.data.split import groups
from lockgate.errors import BadData
from lockgate.problem.description import Problem


@dataclass(frozen=True)
class RangeSummary:
    """What the split and the static features need to know of a key range; its rows are in `file_of`."""

    number: int
    rows: int
    first: int  # periods by number; 0 without a row
    last: int
    keys: pd.DataFrame
    static: pd.DataFrame
    groups: pd.DataFrame  # of a split by group
    counts: tuple[RowCount, ...]


def file_of(scratch: Path, number: int) -> Path:
    """The file of the checked rows of a key range."""
    return scratch / f"range-{number:05}.parquet"


@dataclass(frozen=True)
class Locating:
    """Finds the rows of each key range in a piece."""

    ranges: tuple[KeyRange, ...]

    def __call__(self, piece: Piece) -> NDArray[np.int64]:
        """The first row of each range, and the number of rows."""
        return bounds(dataset.read_file(piece.keys, "keys"), self.ranges)


@dataclass(frozen=True)
class Assembling:
    """Assembles key ranges from pieces, and writes their checked rows into the folder `scratch`."""

    problem: Problem
    file: RawFile
    sides: tuple[SideTable, ...]
    pieces: tuple[Piece, ...]
    bounds: NDArray[np.int64]  # of each piece, the first row of each range and the number of rows
    scratch: Path

    def __call__(self, wanted: KeyRange) -> RangeSummary | BadData:
        """Assemble a key range; a refusal is returned."""
        typed = self._typed(sorted_pieces.read(self._places(wanted.number)))
        try:
            found = checked(self.problem, self.sides, typed)
        except BadData as fault:
            return fault
        return written(self.problem, found, self.scratch, wanted.number)

    def _places(self, number: int) -> list[tuple[Path, int, int]]:
        starts, stops = self.bounds[:, number].tolist(), self.bounds[:, number + 1].tolist()
        return [(piece.rows, *ends) for piece, ends in zip(self.pieces, zip(starts, stops, strict=True), strict=True)]

    def _typed(self, rows: pd.DataFrame) -> TypedRows:
        files, lines = rows[FILE].to_numpy(), rows[LINE].to_numpy()
        cells = rows.drop(columns=[FILE, LINE])
        again = np.asarray(cells.duplicated()) if HASH in cells else None

        def place(row: int) -> str:
            return self.file.place(int(files[row]), int(lines[row]))

        return TypedRows(cells.drop(columns=HASH, errors="ignore"), place, again, self.file.path.name)


def written(problem: Problem, found: CheckedRows, scratch: Path, number: int) -> RangeSummary:
    """Write the checked rows of a key range, and return their summary."""
    dataset.write_file(file_of(scratch, number), found.rows)
    periods = problem.period.number(found.rows[problem.time_name].to_numpy())
    first, last = (int(periods.min()), int(periods.max())) if len(periods) else (0, 0)
    by_group = groups(problem, found.rows) if problem.holdout.by == "group" else pd.DataFrame()
    return RangeSummary(number, len(found.rows), first, last, found.keys, found.static, by_group, found.counts)
