"""The SQL of schema lockgate as this code has it: tables, upgrades, and the definitions that are applied whole."""

import hashlib
import re
from functools import cache
from importlib import resources
from typing import NamedTuple

FUNCTION = re.compile(
    r"^CREATE OR REPLACE FUNCTION (?P<name>\w+\.\w+)\((?P<arguments>[^)]*)\)\s+RETURNS (?P<returns>[\w. ]+?)\s+"
    r"LANGUAGE (?P<language>\w+)(?P<options>[^$]*) AS \$\$(?P<body>.*?)\$\$;$",
    re.MULTILINE | re.DOTALL,
)
TRIGGER = re.compile(
    r"^(?P<made_by>CREATE (?:CONSTRAINT )?TRIGGER (?P<name>\S+) .*? ON (?P<table>\S+) .*);$", re.MULTILINE
)
CONSTRAINT = re.compile(r"^ALTER TABLE (?P<table>\S+) ADD CONSTRAINT (?P<name>\w+) (?P<made_by>.*);$", re.MULTILINE)
GRANT = re.compile(
    r"^GRANT (?P<privileges>[A-Z, ]+) ON (?P<kind>SCHEMA|TABLE|SEQUENCE|FUNCTION)\s"
    r"(?P<names>[^;]+?)\sTO (?P<roles>[^;]+);$",
    re.MULTILINE,
)
VOLATILITY = {"IMMUTABLE": "i", "STABLE": "s"}


class Function(NamedTuple):
    """A function as Postgres keeps it in its catalog."""

    name: str
    arguments: str
    returns: str
    language: str
    volatility: str
    has_rights_of_owner: bool
    settings: list[str]
    body: str


class Piece(NamedTuple):
    """A trigger or constraint of a table, and its definition in the very form in which Postgres shows it."""

    kind: str
    name: str
    table: str
    made_by: str

    def __str__(self) -> str:
        return f"the {self.kind} {self.name} on {self.table}"

    @property
    def statement(self) -> str:
        """The SQL that makes it."""
        if self.kind == "trigger":
            return self.made_by
        return f"ALTER TABLE {self.table} ADD CONSTRAINT {self.name} {self.made_by}"

    @property
    def removal(self) -> str:
        """The SQL that drops it, if it is there."""
        if self.kind == "trigger":
            return f'DROP TRIGGER IF EXISTS "{self.name}" ON {self.table}'
        return f"ALTER TABLE {self.table} DROP CONSTRAINT IF EXISTS {self.name} CASCADE"


class Right(NamedTuple):
    """A right of a group role. The name `public.*` stands for every table or sequence of MLflow."""

    role: str
    privilege: str
    kind: str
    name: str


class Upgrade(NamedTuple):
    """A numbered file that brings the tables of an earlier schema to the next number."""

    number: int
    name: str
    sql: str


@cache
def tables() -> str:
    """The SQL that makes the tables of a new database."""
    return _read("tables.sql")


@cache
def upgrades() -> tuple[Upgrade, ...]:
    """The upgrades of existing databases, oldest first. The number of the last one is that of the schema."""
    files = _folder("upgrades")
    return tuple(Upgrade(int(file.name[:4]), file.name[5:-4], file.read_text(encoding="utf-8")) for file in files)


@cache
def function_files() -> tuple[str, ...]:
    """The SQL of every file of functions; each statement replaces its function."""
    return tuple(_read(f"functions/{file.name}") for file in _folder("functions"))


@cache
def functions() -> tuple[Function, ...]:
    """Every function of the files."""
    return tuple(_function(match) for sql in function_files() for match in FUNCTION.finditer(sql))


@cache
def constraints() -> tuple[Piece, ...]:
    """The constraints of our tables, each after those that it refers to."""
    return _pieces("constraint", CONSTRAINT, "constraints.sql")


@cache
def recording_triggers() -> tuple[Piece, ...]:
    """The triggers that are there with or without the guard."""
    return _pieces("trigger", TRIGGER, "triggers_recording.sql")


@cache
def guarding_triggers() -> tuple[Piece, ...]:
    """The triggers that are the guard."""
    return _pieces("trigger", TRIGGER, "triggers_guarding.sql")


@cache
def grants() -> str:
    """The SQL that sets the rights of all roles."""
    return _read("grants.sql")


@cache
def rights() -> tuple[Right, ...]:
    """Every right of the group roles, in the order of the file."""
    return tuple(
        Right(role, privilege, match["kind"], name)
        for match in GRANT.finditer(_read("roles.sql"))
        for role in _listed(match["roles"])
        for privilege in _listed(match["privileges"])
        for name in _listed(match["names"])
    )


@cache
def digest() -> str:
    """The SHA-256 of all definitions that are applied whole."""
    names = ["constraints.sql", "triggers_recording.sql", "triggers_guarding.sql", "grants.sql", "roles.sql"]
    texts = [*function_files(), *(_read(name) for name in names)]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _pieces(kind: str, pattern: re.Pattern[str], name: str) -> tuple[Piece, ...]:
    found = pattern.finditer(_read(name))
    return tuple(Piece(kind, match["name"].strip('"'), match["table"], match["made_by"]) for match in found)


def _function(match: re.Match[str]) -> Function:
    options = match["options"]
    return Function(
        match["name"],
        " ".join(match["arguments"].split()),
        match["returns"],
        match["language"],
        next((letter for word, letter in VOLATILITY.items() if word in options), "v"),
        "SECURITY DEFINER" in options,
        [f"{name}={value}" for name, value in re.findall(r"SET (\w+) = (\w+(?:, \w+)*)", options)],
        match["body"],
    )


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")]


def _folder(name: str) -> list[resources.abc.Traversable]:
    folder = resources.files("lockgate.database") / "sql" / name
    return sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)


def _read(name: str) -> str:
    return (resources.files("lockgate.database") / "sql" / name).read_text(encoding="utf-8")
