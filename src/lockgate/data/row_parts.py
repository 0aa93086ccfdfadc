"""The parts of a dataset to forecast: the files of a folder, as Spark and Dask write them, or one file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lockgate.data import readers
from lockgate.data.readers import PARQUET
from lockgate.data.row_file import RowFile
from lockgate.data.row_writer import SUFFIXES
from lockgate.errors import BadData
from lockgate.problem.description import Problem

HIDDEN = (".", "_")  # files that start so are no parts, such as _SUCCESS


@dataclass(frozen=True)
class RowPart:
    """A part as it was when it was found: its file, the name of its forecasts, its bytes, and when it was changed.

    `empty`: it is a parquet file without rows.
    """

    path: Path
    name: str
    size: int
    changed: int
    empty: bool

    @classmethod
    def of(cls, path: Path) -> "RowPart":
        """The part in a file. Raises BadData for a file that cannot be read as its name says."""
        status, name = path.stat(), path.name
        stem = next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), path.stem)
        empty = name.endswith(PARQUET) and not readers.parquet_rows(path)
        return cls(path, f"{stem}{PARQUET}", status.st_size, status.st_mtime_ns, empty)

    def open(self, problem: Problem, raw: Path) -> RowFile:
        """Its rows; side tables are in the folder `raw`. Raises BadData if the file is not the one that was found."""
        try:
            status = self.path.stat()
        except OSError as error:
            raise BadData(f"the part cannot be read: {error.strerror}", where=str(self.path), hint=SAME_PATH) from error
        if (status.st_size, status.st_mtime_ns) != (self.size, self.changed):
            raise BadData("the part was changed, or is another file here", where=str(self.path), hint=SAME_PATH)
        return RowFile.open(problem, self.path, raw)


SAME_PATH = "every worker must have the input and the output under the same path, as on a shared file system"


def row_parts(source: Path) -> tuple[RowPart, ...]:
    """The parts of a folder in the order of their names, or a file as the only part. The paths are absolute.

    Raises BadData for a folder without parts, with parts of several formats, and without any row.
    """
    paths = _files(source) if source.is_dir() else [source]
    parts = tuple(RowPart.of(path.resolve()) for path in paths)
    if all(part.empty for part in parts):
        raise BadData("no data rows", where=str(source), hint="write it again")
    return parts


def _files(folder: Path) -> list[Path]:
    found = sorted(
        each
        for each in folder.iterdir()
        if each.name.endswith(SUFFIXES) and not each.name.startswith(HIDDEN) and each.is_file()
    )
    if not found:
        what = f"the folder has no {', '.join(SUFFIXES)} files"
        raise BadData(what, where=str(folder), hint="give a file, or a folder of parts")
    kinds = {next(suffix for suffix in SUFFIXES if each.name.endswith(suffix)) for each in found}
    if len(kinds) > 1:
        what = f"the folder has parts of several formats: {' and '.join(sorted(kinds))}"
        raise BadData(what, where=str(folder), hint="keep one format")
    return found


def refuse_split_keys(problem: Problem, parts: Sequence[RowPart], keys: Sequence[NDArray[np.int64]], raw: Path) -> None:
    """Raise BadData for the first key whose rows are in several parts; `keys` are those of each part (RowFile.keys)."""
    every, part = np.concatenate(keys), np.repeat(np.arange(len(keys)), [len(each) for each in keys])
    order = np.argsort(every, kind="stable")
    again = np.flatnonzero(np.diff(every[order]) == 0)
    if not len(again):
        return
    first, second = (parts[int(part[order[again[0] + step]])] for step in (0, 1))
    key = first.open(problem, raw).with_key(int(every[order[again[0]]]))
    raise BadData(
        f"{key} has rows in several parts: {first.path.name} and {second.path.name}",
        where=str(first.path.parent),
        hint=f"the rows of a key are its history: partition the data by {' and '.join(problem.keys)}, or write one "
        "output file instead of a folder",
    )
