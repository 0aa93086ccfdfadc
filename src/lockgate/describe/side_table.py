"""A side table: one row for each key, joined to the rows; its columns are static features."""

from dataclasses import dataclass
from pathlib import Path

from lockgate.describe import column_guess, layout, reading
from lockgate.describe.column_guess import ColumnGuess
from lockgate.describe.guess import Seen
from lockgate.describe.layout import Layout
from lockgate.describe.table import TextTable
from lockgate.errors import BadData, WrongUsage


@dataclass(frozen=True)
class SideTable:
    """A file with one row for each value of `key`, and the guessed type of each of its other columns."""

    path: Path
    layout: Layout
    key: tuple[str, ...]
    rows: int
    guesses: tuple[ColumnGuess, ...]

    @property
    def learned(self) -> tuple[ColumnGuess, ...]:
        """The columns with two values or more, or with a value in some rows only."""
        return tuple(each for each in self.guesses if len(each.filled) + bool(each.missing_rows) > 1)


def side_table_of(path: Path, seen: Seen) -> SideTable:
    """Look at a side table of a table that was seen.

    Raises WrongUsage if it has no column of the key or a column of the table, BadData if a key stands in two rows.
    """
    found = layout.layout_of(path)
    table = reading.read(path, found)
    keys = seen.series.keys if seen.series else seen.wish.keys
    key = tuple(name for name in table.names if name in keys)
    if not key:
        hint = f"columns: {', '.join(table.names[:20])}; keys: {', '.join(keys) or 'none, name one with --key'}"
        raise WrongUsage(f"--side {path.name}: no column has the name of a key", hint=hint)
    _refuse_shared_columns(path, table, seen, key)
    _refuse_repeated_key(path, table, key)
    guesses = tuple(column_guess.guess(each, found.decimal) for each in table.columns if each.name not in key)
    return SideTable(path, found, key, table.rows, guesses)


def _refuse_shared_columns(path: Path, table: TextTable, seen: Seen, key: tuple[str, ...]) -> None:
    if shared := [name for name in table.names if name in seen.guesses and name not in key]:
        raise WrongUsage(
            f"--side {path.name}: the table of rows also has the column {', '.join(shared)}",
            hint="rename the column; a table by key and time belongs into the table of rows: join it first",
        )


def _refuse_repeated_key(path: Path, table: TextTable, key: tuple[str, ...]) -> None:
    codes = table.joint_codes(key)
    if (repeated := table.rows - len(set(codes.tolist()))) > 0:
        raise BadData(
            f"{repeated:,} rows repeat the {', '.join(key)} of another row",
            where=str(path),
            hint="keep one row for each key",
        )
