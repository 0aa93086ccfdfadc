"""Tables, columns and indexes that schema lockgate lacks, although it has the number of this code.

An earlier state of the code made the schema, or a part was dropped. Indexes, and what schema SINCE or a later one
brought, can be made again. The older tables hold the records of the gate, and an empty one would deny what happened.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from sqlalchemy import Connection, text

from lockgate.database import sql_files
from lockgate.errors import StateConflict

PART = re.compile(
    r"^CREATE (?P<kind>TABLE|(?:UNIQUE )?INDEX) (?:IF NOT EXISTS )?(?P<name>[\w.]+)(?: ON (?P<table>[\w.]+))?.*?"
    r"(?=^(?:--|CREATE )|\Z)",
    re.MULTILINE | re.DOTALL,
)
COLUMN = re.compile(r'^    (?P<name>"?\w+"?) +(?P<type>.+?),?(?: -- .*)?$', re.MULTILINE)
SELECT_THERE = """
    SELECT nspname || '.' || relname AS relation,
           ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = relation.oid AND attnum > 0) AS columns
    FROM pg_class AS relation JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname IN ('lockgate', 'lockgate_artifacts')
"""
SINCE = 13
HAS_ROWS = "SELECT EXISTS (SELECT FROM {table})"


class Part(NamedTuple):
    """A table, index or column, with the SQL that makes it. `table` is the table that it belongs to."""

    kind: str
    name: str
    table: str
    statement: str

    def __str__(self) -> str:
        return f"the table {self.table}" if self.kind == "table" else f"the {self.kind} {self.name} of {self.table}"

    @property
    def needs_values(self) -> bool:
        """Whether the rows that are there must get a value that no file says."""
        return self.kind == "column" and "NOT NULL" in self.statement and "DEFAULT" not in self.statement


def missing(connection: Connection) -> list[Part]:
    """The parts that the database lacks, in the order in which they are made; columns only of tables that are there."""
    there = {relation: set(columns) for relation, columns in connection.execute(text(SELECT_THERE))}
    return list(_missing(there))


def _missing(there: dict[str, set[str]]) -> Iterator[Part]:
    for part in _parts(sql_files.tables()):
        if part.kind != "column":
            if part.name not in there:
                yield part
        elif part.table in there and part.name not in there[part.table]:
            yield part


def make(connection: Connection, parts: Iterable[Part], address: str) -> list[str]:
    """Make the parts; a sentence for each.

    Raises StateConflict for a table older than schema SINCE or a column of it, and for a column whose values are lost.
    """
    return [_made(connection, part, address) for part in parts]


def _made(connection: Connection, part: Part, address: str) -> str:
    has_rows = part.needs_values and connection.scalar(text(HAS_ROWS.format(table=part.table)))
    if has_rows or (part.kind != "index" and part.table not in _younger_tables()):
        raise _lost(part, address)
    connection.execution_options(no_parameters=True).exec_driver_sql(part.statement)
    return f"{part} was missing and is there again"


def _lost(part: Part, address: str) -> StateConflict:
    return StateConflict(
        f"{part} is missing, and nothing but a backup has its rows",
        where=address,
        hint="restore the database as docs/how-to/backup.md says",
    )


@cache
def _younger_tables() -> frozenset[str]:
    """The tables that schema SINCE and later ones brought."""
    files = [upgrade.sql for upgrade in sql_files.upgrades() if upgrade.number >= SINCE]
    return frozenset(part.name for sql in files for part in _parts(sql) if part.kind == "table")


def _parts(sql: str) -> Iterator[Part]:
    for match in PART.finditer(sql):
        if match["kind"] == "TABLE":
            yield Part("table", match["name"], match["name"], match[0])
            yield from _columns(match["name"], match[0])
        else:
            schema = match["table"].split(".")[0]
            yield Part("index", f"{schema}.{match['name']}", match["table"], match[0])


def _columns(table: str, made_by: str) -> Iterator[Part]:
    for match in COLUMN.finditer(made_by):
        statement = f"ALTER TABLE {table} ADD COLUMN {match['name']} {match['type']}"
        yield Part("column", match["name"].strip('"'), table, statement)
