"""The tables of the database with their columns, constraints, indexes and triggers, from the SQL files."""

import re
from dataclasses import dataclass

from from_code.tables import table
from lockgate.database import sql_files

COMMENT = r"(?P<comment>(?:^-- [^\n]*\n)*)"
TABLE = re.compile(
    COMMENT + r"^CREATE TABLE (?:IF NOT EXISTS )?(?P<name>[\w.]+) \(\n(?P<columns>.*?)^\)(?P<options>[^;]*);",
    re.MULTILINE | re.DOTALL,
)
COLUMN = re.compile(
    r'^    "?(?P<name>\w+)"? +(?P<type>[a-z]+(?: precision)?(?: +COLLATE "C")?)(?P<rest>.*?),?'
    r"(?: -- (?P<meaning>.*))?$",
    re.MULTILINE,
)
INDEX = re.compile(
    r"^CREATE (?P<unique>UNIQUE )?INDEX (?:IF NOT EXISTS )?(?P<name>\w+) ON (?P<table>\S+) (?P<on>.*);", re.MULTILINE
)
SHARED = re.compile(r"^--   (?P<name>\w+): (?P<meaning>.*)$", re.MULTILINE)
FUNCTION = re.compile(r"EXECUTE FUNCTION (\S+)\(\)")


@dataclass(frozen=True)
class Column:
    """A column as the page shows it."""

    name: str
    type: str
    required: bool
    default: str
    meaning: str


def tables() -> str:
    """A section for each table."""
    return "\n\n".join(_section(found) for found in TABLE.finditer(sql_files.tables()))


def _section(found: re.Match[str]) -> str:
    name = found["name"]
    cells = [
        (f"`{each.name}`", each.type, "no" if each.required else "yes", f"`{each.default}`" if each.default else "",
         each.meaning) for each in columns(found["columns"])
    ]  # fmt: skip
    parts = [
        f"### `{name}`",
        _text(found["comment"]),
        table(("column", "type", "null", "default", "meaning"), cells),
        "\n".join([*_constraints(name), *_indexes(name), *_triggers(name)]),
    ]
    return "\n\n".join(filter(None, parts))


def columns(body: str) -> list[Column]:
    """The columns of a table; a meaning that all tables share is told once at the top of the file."""
    shared = {each["name"]: each["meaning"] for each in SHARED.finditer(sql_files.tables())}
    return [_column(each, shared) for each in COLUMN.finditer(body)]


def _column(found: re.Match[str], shared: dict[str, str]) -> Column:
    rest = " ".join(found["rest"].split())
    default = "counted" if "IDENTITY" in rest else rest.partition("DEFAULT ")[2]
    meaning = found["meaning"] or shared.get(found["name"], "")
    required = "NOT NULL" in rest or "IDENTITY" in rest
    return Column(found["name"], " ".join(found["type"].split()), required, default, meaning)


def _constraints(name: str) -> list[str]:
    return [f"- `{each.made_by}`" for each in sql_files.constraints() if each.table == name]


def _indexes(name: str) -> list[str]:
    found = [each for each in INDEX.finditer(sql_files.tables()) if each["table"] == name]
    return [f"- {'unique index' if each['unique'] else 'index'} `{each['name']}` on `{each['on']}`" for each in found]


def _triggers(name: str) -> list[str]:
    pieces = (*sql_files.recording_triggers(), *sql_files.guarding_triggers())
    return [f"- trigger `{each.name}` ({_events(each)}): {_purpose(each)}" for each in pieces if each.table == name]


def _events(trigger: sql_files.Piece) -> str:
    """When a trigger fires, such as `before update, delete`."""
    [words] = re.findall(r"((?:BEFORE|AFTER) .*?) ON ", trigger.made_by)
    return str(words).lower().replace(" or ", ", ")


def triggers() -> str:
    """The triggers on the tables of MLflow: those that record always, and those that are the guard."""
    kinds = {"always": sql_files.recording_triggers(), "with the guard": sql_files.guarding_triggers()}
    rows = [
        (f"`{each.name}`", f"`{each.table.removeprefix('public.')}`", when, _purpose(each))
        for when, pieces in kinds.items()
        for each in pieces
        if each.table.startswith("public.")
    ]
    return table(("trigger", "table of MLflow", "there", "purpose"), rows)


def _purpose(trigger: sql_files.Piece) -> str:
    """What the function of a trigger does: the comment above it."""
    [function] = FUNCTION.findall(trigger.made_by)
    above = re.compile(COMMENT + rf"^CREATE OR REPLACE FUNCTION {re.escape(function)}\(", re.MULTILINE)
    [found] = [match for sql in sql_files.function_files() for match in above.finditer(sql)]
    return _text(found["comment"])


def _text(comment: str) -> str:
    """The lines of a comment as one paragraph."""
    return " ".join(line.removeprefix("-- ").strip() for line in comment.splitlines())
