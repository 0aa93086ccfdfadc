"""A side table: one row for each key, time, or both. It is joined to the rows by the columns of that name."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lockgate.describe import column_guess, guess, layout, reading
from lockgate.describe.column_guess import ColumnGuess, Marks
from lockgate.describe.guess import Line, Seen
from lockgate.describe.layout import Layout
from lockgate.describe.table import Texts, TextTable
from lockgate.errors import BadData, WrongUsage

LEAST_COVERED = 5  # different values of a key or time that a column of another name must contain


@dataclass(frozen=True)
class SideTable:
    """A file with one row for each value of `key`, and the guessed type of each of its other columns.

    `renamed` has the columns of the key that have another name in the file. `is_static`: its columns are static
    features, else covariates. `uncovered` rows of the table have no row in it.
    """

    path: Path
    layout: Layout
    marks: Marks
    key: tuple[str, ...]
    renamed: dict[str, str]
    rows: int
    guesses: tuple[ColumnGuess, ...]
    is_static: bool
    uncovered: int
    doubts: tuple[str, ...]

    @property
    def learned(self) -> tuple[ColumnGuess, ...]:
        """The columns with two values or more, or with a value in some rows only."""
        return tuple(each for each in self.guesses if len(each.filled) + bool(each.missing_rows) > 1)

    def line(self, found: ColumnGuess) -> Line:
        """The description of one of its columns."""
        entry: dict[str, Any] = guess.column_entry(found, classes=False)
        if self.uncovered:
            entry["missing"] = "unknown"
        entry["file"] = self.path.name.removesuffix(".gz")
        return Line(found.name, entry, guess.summary_of(found), found.doubts)


def side_table_of(path: Path, seen: Seen) -> SideTable:
    """Look at a side table of a table that was seen.

    Raises WrongUsage if no column can be joined to the table, BadData if a key stands in two rows.
    """
    found = layout.layout_of(path)
    read = reading.read(path, found)
    renamed = _renamed(read, seen)
    table = TextTable(tuple(replace(each, name=renamed.get(each.name, each.name)) for each in read.columns))
    key = _key(path, table, seen)
    _refuse_repeated_key(path, table, key)
    shared = [name for name in table.names if name in seen.guesses and name not in key]
    own = (column for column in table.columns if column.name not in (*key, *shared))
    is_static = seen.kind == "panel" and seen.wish.time not in key
    doubt = f"{path.name} has {', '.join(shared)}, too: that of the table of rows is used"
    marks = column_guess.marks_of(table.columns, found.decimal)
    guesses = tuple(column_guess.guess(each, marks) for each in own)
    uncovered = 0 if is_static else _uncovered(table, seen, key)
    doubts = (doubt,) if shared else ()
    return SideTable(path, found, marks, key, renamed, table.rows, guesses, is_static, uncovered, doubts)


def _joining(seen: Seen) -> tuple[str, ...]:
    """The columns of the table by which a side table may be joined: keys and time; any column without time."""
    if seen.series is None:
        return tuple(name for name in seen.guesses if name != seen.wish.target)
    return (*seen.series.keys, seen.wish.time)


def _key(path: Path, table: TextTable, seen: Seen) -> tuple[str, ...]:
    joining = _joining(seen)
    key = tuple(name for name in table.names if name in joining)
    if seen.series is None:  # of shared columns, one that numbers the rows of the side table
        key = next(((name,) for name in key if len(table.by_name[name].distinct) == table.rows), key)
    if not key:
        named = ", ".join(joining) if seen.series else "any but the target"
        hint = f"columns: {', '.join(table.names[:20])}; it is joined by columns of the table of rows: {named}"
        raise WrongUsage(f"--side {path.name}: no column has the name of a key or of the time", hint=hint)
    return key


def _renamed(table: TextTable, seen: Seen) -> dict[str, str]:
    """The columns that contain every value of a key or of the time, under another name."""
    if seen.series is None:
        return {}
    wanted = [name for name in _joining(seen) if name not in table.names]
    found: dict[str, str] = {}
    for name in wanted:
        values = seen.table.by_name[name]
        free = (each for each in table.columns if each.name not in seen.guesses and each.name not in found)
        if same := next((each for each in free if _contains(each, values)), None):
            found[same.name] = name
    return found


def _contains(column: Texts, values: Texts) -> bool:
    return len(values.distinct) >= LEAST_COVERED and set(values.distinct) <= set(column.distinct)


def _uncovered(table: TextTable, seen: Seen, key: tuple[str, ...]) -> int:
    """The rows of the table that have no row in the side table."""
    there = set(_combinations(table, key))
    return sum(each not in there for each in _combinations(seen.table, key))


def _combinations(table: TextTable, key: tuple[str, ...]) -> list[tuple[str, ...]]:
    columns = [table.by_name[name] for name in key]
    return list(zip(*([each.distinct[code] for code in each.codes.tolist()] for each in columns), strict=True))


def _refuse_repeated_key(path: Path, table: TextTable, key: tuple[str, ...]) -> None:
    codes = table.joint_codes(key)
    if (repeated := table.rows - len(set(codes.tolist()))) > 0:
        raise BadData(
            f"{repeated:,} rows repeat the {', '.join(key)} of another row",
            where=str(path),
            hint="keep one row for each combination of them, or rename a column that means something else",
        )
