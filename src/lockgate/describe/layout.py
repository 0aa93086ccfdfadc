"""The layout of a file: encoding, delimiter, decimal sign, header. Guessed from its first lines."""

import codecs
import csv
import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lockgate.data import text_file
from lockgate.errors import BadData, WrongUsage

SPACES = "spaces"
DELIMITERS = (";", "\t", "|", ",")  # the earlier one, where two give the same number of columns
SAMPLE_LINES = 500
SAMPLE_BYTES = 1 << 20
NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d+)*|[.,]\d+)([eE][-+]?\d+)?\s*")
DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
GROUPED_THOUSANDS = re.compile(r"-?\d{1,3}(,\d{3})+")


@dataclass(frozen=True)
class Layout:
    """How the cells of a file are written; `header` tells whether its first line has the names of the columns."""

    format: str = "csv"
    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: str = "."
    header: bool = True
    names: tuple[str, ...] = ()


def layout_of(path: Path) -> Layout:
    """The layout of a file. Raises BadData for a file that is no table of text."""
    if text_file.magic(path) == text_file.PARQUET:
        return Layout(format="parquet")
    content = _start_of(path)
    encoding = encoding_of(content)
    lines = [line for line in content.decode(encoding, errors="ignore").splitlines() if line.strip()][:SAMPLE_LINES]
    if not lines:
        raise BadData("the file is empty", where=str(path), hint="give a table with a header and rows")
    delimiter = delimiter_of(lines)
    rows = split_lines(lines, delimiter)
    header = has_header(rows)
    names = (
        tuple(_cells(lines[0], delimiter))
        if header
        else tuple(f"column_{place}" for place in range(1, len(rows[0]) + 1))
    )
    return Layout("csv", encoding, delimiter, decimal_of(rows[header:], delimiter), header, names)


def named(layout: Layout, names: Sequence[str]) -> Layout:
    """The layout with names for the first columns of a file without a header. Raises WrongUsage if it has a header."""
    if not names:
        return layout
    if layout.header:
        raise WrongUsage("--names is for a file without a header", hint=f"its first line: {', '.join(layout.names)}")
    if len(names) > len(layout.names) or not all(names):
        fact = f"--names has {len(names)} names, and the file has {len(layout.names)} columns"
        raise WrongUsage(fact, hint="separate the names with commas; columns after the last name keep their number")
    return replace(layout, names=(*names, *layout.names[len(names) :]))


def encoding_of(content: bytes) -> str:
    """utf-8 where the bytes are UTF-8, utf-16 with its byte order mark, else cp1252."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)
        return "utf-8-sig" if content.startswith(codecs.BOM_UTF8) else "utf-8"
    except UnicodeDecodeError:
        return "cp1252"


def delimiter_of(lines: Sequence[str]) -> str:
    """The delimiter that gives each line the same number of cells, and the most of them; "," for a single column."""
    widths = {delimiter: _width(lines, delimiter) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: widths[delimiter])
    if widths[best] > 1:
        return best
    return SPACES if _width(lines, SPACES) > 1 and all(_mostly_numbers(line.split()) for line in lines[1:]) else ","


def split_lines(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """The cells of each line."""
    return [[cell.strip() for cell in _cells(line, delimiter)] for line in lines]


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first line has names: at most half of the columns of numbers have a number there."""
    if len(rows) < 2:
        return True
    numeric = [
        place for place in range(len(rows[0])) if _mostly_numbers([row[place] for row in rows[1:] if len(row) > place])
    ]
    named = [place for place in numeric if not NUMBER.fullmatch(rows[0][place])]
    return 2 * len(named) >= len(numeric) if numeric else not any(map(NUMBER.fullmatch, rows[0]))


def decimal_of(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    """ "," where a column has numbers such as 3,5 and no column numbers such as 3.5; else "."."""
    if delimiter == ",":
        return "."
    columns = [[cell for cell in column if cell] for column in zip(*rows, strict=False)]
    numbers = [column for column in columns if _mostly_numbers(column)]
    commas = any(
        DECIMAL_COMMA.fullmatch(cell) and not GROUPED_THOUSANDS.fullmatch(cell) for each in numbers for cell in each
    )
    return "," if commas else "."


def _cells(line: str, delimiter: str) -> list[str]:
    return line.split() if delimiter == SPACES else next(csv.reader([line], delimiter=delimiter))


def _start_of(path: Path) -> bytes:
    compressed = text_file.magic(path, 2) == text_file.GZIP
    try:
        with gzip.open(path) if compressed else path.open("rb") as file:
            content: bytes = file.read(SAMPLE_BYTES)
    except (OSError, EOFError) as error:
        raise BadData(f"the file cannot be read: {error}", where=str(path), hint="restore the file") from error
    return content[: content.rfind(b"\n") + 1] if len(content) == SAMPLE_BYTES else content


def _width(lines: Sequence[str], delimiter: str) -> int:
    """The number of cells of every line; 0 where lines differ."""
    widths = {len(row) for row in split_lines(lines, delimiter)}
    return widths.pop() if len(widths) == 1 else 0


def _mostly_numbers(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell]
    return bool(filled) and sum(NUMBER.fullmatch(cell) is not None for cell in filled) >= 0.9 * len(filled)
