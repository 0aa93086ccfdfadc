"""A raw file that is a folder of parts, as Spark and Dask write one: its parts in the order of their names.

Files whose names begin with `.` or `_` are no parts (Spark's `_SUCCESS` and checksums). A part may have a header and no
row; an empty file may be damaged, so it is refused.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from lockgate.data import readers, text_file
from lockgate.data.readers import RawTable
from lockgate.errors import BadData, NoRows
from lockgate.problem.description import SourceFile

COMPRESSED = ".gz"
SHOWN_NAMES = 5
TOO_LARGE = "prepare it on a cluster: engine: {kind: dask} in params.yaml"


def parts_of(path: Path) -> tuple[Path, ...]:
    """The file, or the parts in the folder. Raises BadData for no part, a folder inside, and parts of two kinds."""
    if not path.is_dir():
        return (path,)
    parts = sorted(each for each in path.iterdir() if not each.name.startswith((".", "_")))
    if folders := [part.name for part in parts if part.is_dir()]:
        what = f"a folder of parts with the folder {folders[0]} inside"
        raise BadData(what, where=str(path), hint="put the parts into one folder, without partitions by a column")
    if not parts:
        raise BadData("the folder has no parts", where=str(path), hint="give a file, or a folder of parts")
    if len(kinds := {_kind(part): part.name for part in parts}) > 1:
        what = f"parts of several kinds: {', '.join(sorted(kinds.values())[:SHOWN_NAMES])}"
        raise BadData(what, where=str(path), hint="keep the parts of one kind there")
    return tuple(parts)


def _kind(part: Path) -> str:
    return Path(part.name.removesuffix(COMPRESSED)).suffix


def read(path: Path, source: SourceFile) -> RawTable:
    """The rows of a described file, or of all its parts, as one table.

    Raises BadData as `readers.read` does, with the part and its line; for a part with other columns or other types
    than the first part; and if no part has a row, or all together have more rows or bytes than one process reads.
    """
    if not path.is_dir():
        return readers.read(path, source)
    tables: list[RawTable] = []
    for part in parts_of(path):
        try:
            tables.append(readers.read(part, source))
        except NoRows:
            continue
        refuse_other_columns(tables[0], tables[-1])
        _refuse_too_large(path, tables)
    if not tables:
        raise NoRows("no data rows in any part", where=str(path), hint="write it again")
    return readers.joined([tables[0], *(in_order_of(tables[0], table) for table in tables[1:])])


def in_order_of(first: RawTable, table: RawTable) -> RawTable:
    """The table with its columns in the order of those of the first part."""
    return table if table.names == first.names else table.select(first.names)


def refuse_other_columns(first: RawTable, table: RawTable) -> None:
    """Raise BadData if a part has other columns than the first part, or a column of another type."""
    refuse_other_schema(first.path, first.table.schema, table)


def refuse_other_schema(first: Path, wanted: pa.Schema, table: RawTable) -> None:
    """Raise BadData if the columns of a part are not those of the first part: by name and type, in any order."""
    if odd := sorted(set(wanted.names) ^ set(table.names)):
        has = "has no column" if odd[0] in wanted.names else "has the column"
        what = f"{has} {odd[0]}, unlike {first.name}"
        raise BadData(what, where=f"{table.path}, header", hint="write all parts with the same columns")
    for name in wanted.names:
        types = {str(schema.field(name).type) for schema in (wanted, table.table.schema)} - {"null"}
        if len(types) > 1:
            found = table.table.schema.field(name).type
            what = f"column {name} is of type {found}, but {wanted.field(name).type} in {first.name}"
            raise BadData(what, where=str(table.path), hint="write all parts with the same types")


def _refuse_too_large(path: Path, tables: Sequence[RawTable]) -> None:
    rows, size = sum(each.table.num_rows for each in tables), sum(each.table.nbytes for each in tables)
    if rows > readers.MAX_ROWS:
        raise BadData(f"the parts exceed {readers.MAX_ROWS:,} rows", where=str(path), hint=TOO_LARGE)
    if size > text_file.MAX_BYTES:
        raise BadData(f"the parts exceed {text_file.MAX_BYTES:,} bytes in memory", where=str(path), hint=TOO_LARGE)
