"""The first step of preparing a panel in parts: each raw part is read, typed, and written as pieces sorted by key.

A part is read block by block, so memory depends on the rows of a piece and not on the part. Each step is a picklable
function of one item; a refusal is returned as a value, so that the first part that is refused decides.
"""

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pyarrow as pa

from lockgate.data import key_ranges, raw_parts, readers, sorted_pieces
from lockgate.data.cells import cells
from lockgate.data.ingest import InputFile, history_types, input_file
from lockgate.data.sorted_pieces import Piece
from lockgate.data.time_parts import with_time
from lockgate.errors import BadData, NoRows
from lockgate.problem.description import Problem

T = TypeVar("T")


@dataclass(frozen=True)
class RawFile:
    """The file of rows, which may be a folder: its parts, and the columns and types of the first part with a row."""

    path: Path
    parts: tuple[Path, ...]
    first: Path
    schema: pa.Schema
    unit: str  # "line" or "row"

    @classmethod
    def of(cls, problem: Problem, path: Path) -> "RawFile":
        """Look at the first rows. Raises BadData if a part cannot be read, or no part has a row."""
        parts = raw_parts.parts_of(path)
        for part in parts:
            try:
                found = next(readers.chunks(part, problem.main_source))
            except NoRows:
                continue
            return cls(path, parts, part, found.table.schema, found.unit)
        raise NoRows("no data rows in any part", where=str(path), hint="write it again")

    def place(self, file: int, line: int) -> str:
        """A line of a part, for messages."""
        return f"{self.parts[file]}, {self.unit} {line}"


@dataclass(frozen=True)
class PartRead:
    """What was read of a part: the file, its pieces, and its keys with their numbers of rows."""

    input: InputFile
    pieces: tuple[Piece, ...]
    counts: pd.DataFrame


@dataclass(frozen=True)
class Reading:
    """Reads the parts of a file by their numbers into pieces of about `rows` rows in the folder `scratch`."""

    problem: Problem
    file: RawFile
    scratch: Path
    rows: int
    today: datetime.date

    def __call__(self, number: int) -> PartRead | BadData:
        """Read a part; a refusal is returned."""
        try:
            return self._read(number)
        except BadData as fault:
            return fault

    def _read(self, number: int) -> PartRead:
        keys, part = list(self.problem.keys), self.file.parts[number]
        stems = (self.scratch / f"part-{number:05}-{piece:05}" for piece in range(1 << 30))
        written = [sorted_pieces.write(frames, keys, next(stems)) for frames in self._pieces(number)]
        counts = key_ranges.added([each for _, each in written], keys) if written else pd.DataFrame()
        return PartRead(input_file(self.file.path, part), tuple(piece for piece, _ in written), counts)

    def _pieces(self, number: int) -> Iterator[list[pd.DataFrame]]:
        held: list[pd.DataFrame] = []
        for frame in self._typed(number):
            held.append(frame)
            if sum(map(len, held)) >= self.rows:
                yield held
                held = []
        if held:
            yield held

    def _typed(self, number: int) -> Iterator[pd.DataFrame]:
        source = self.problem.main_source
        types = history_types(self.problem, source, self.today)
        try:
            for chunk in readers.chunks(self.file.parts[number], source):
                raw_parts.refuse_other_schema(self.file.first, self.file.schema, chunk)
                table = with_time(chunk.select(self.file.schema.names), self.problem.time)
                yield sorted_pieces.with_places(cells(table, types), table, number, source.duplicates == "drop")
        except NoRows:
            return


def without_refusal(found: Sequence[T | BadData]) -> list[T]:
    """The results of a step in their order. Raises the first refusal among them."""
    for each in found:
        if isinstance(each, BadData):
            raise each
    return [each for each in found if not isinstance(each, BadData)]
