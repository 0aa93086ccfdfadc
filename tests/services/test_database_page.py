"""docs/reference/database.md shows the tables of a real Postgres, and its queries run."""

import re
from pathlib import Path

from from_code.database import TABLE, columns
from sqlalchemy import text

from lockgate.database import sql_files
from lockgate.database.connection import Database

PAGE = (Path(__file__).parents[2] / "docs/reference/database.md").read_text(encoding="utf-8")
SELECT_COLUMNS = """
    SELECT nspname || '.' || relname, attname, format_type(atttypid, NULL), attnotnull
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname IN ('lockgate', 'lockgate_artifacts')
      AND relkind IN ('r', 'p') AND NOT relispartition AND attnum > 0 AND NOT attisdropped
"""
NAMES = {"timestamptz": "timestamp with time zone"}


def test_the_page_has_the_columns_of_the_database(database: Database) -> None:
    shown = {
        (found["name"], each.name): (NAMES.get(each.type, each.type.partition(" COLLATE")[0]), each.required)
        for found in TABLE.finditer(sql_files.tables())
        for each in columns(found["columns"])
    }
    with database.transaction() as connection:
        there = {(row[0], row[1]): (row[2], row[3]) for row in connection.execute(text(SELECT_COLUMNS))}
    assert shown == there


def test_every_column_has_a_meaning() -> None:
    found = [(each["name"], column.name) for each in TABLE.finditer(sql_files.tables())
             for column in columns(each["columns"]) if not column.meaning]  # fmt: skip
    assert found == []


def test_the_queries_of_the_page_run(database: Database) -> None:
    [block] = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    with database.transaction() as connection:
        for query in filter(str.strip, block.split(";")):
            connection.exec_driver_sql(query)
