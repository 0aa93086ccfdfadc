"""The guard: installs, checks and removes the constraint and triggers on MLflow's own tables.

What they ask is in the migrations; here they are put on, taken off and looked at. Without them, stage changes and
approvals are still recorded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from lockgate.database.connection import Database, with_retries
from lockgate.errors import StateConflict
from lockgate.lifecycle.moves import LEGAL_MOVES

RESOLVE = "resolve them in MLflow, then: lockgate guard install"
DEFERRED = "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION"


class Piece(NamedTuple):
    """A trigger or constraint, and the statement that makes it, in the very form in which Postgres gives it back."""

    name: str
    table: str
    made_by: str


def _trigger(name: str, table: str, kind: str, rest: str) -> Piece:
    return Piece(name, table, f"CREATE {kind} {name} {rest}")


# The capital makes it fire before the constraint's own trigger, Unique_ConstraintTrigger_..., which knows no sentences.
VERSIONS = _trigger(
    '"Lockgate_guard_versions"', "public.model_versions", "CONSTRAINT TRIGGER",
    f"AFTER INSERT OR DELETE OR UPDATE ON public.model_versions {DEFERRED} lockgate.guard_versions()",
)  # fmt: skip
TRUNCATION = _trigger(
    "lockgate_refuse_truncate", "public.model_versions", "TRIGGER",
    "BEFORE TRUNCATE ON public.model_versions FOR EACH STATEMENT EXECUTE FUNCTION lockgate.refuse_truncate()",
)  # fmt: skip
ALIASES = _trigger(
    "lockgate_guard_aliases", "public.registered_model_aliases", "CONSTRAINT TRIGGER",
    f"AFTER INSERT OR DELETE OR UPDATE ON public.registered_model_aliases {DEFERRED} lockgate.guard_aliases()",
)  # fmt: skip
MOVES = _trigger(
    "guard_moves", "lockgate.ledger", "CONSTRAINT TRIGGER",
    f"AFTER INSERT ON lockgate.ledger {DEFERRED} lockgate.guard_moves()",
)  # fmt: skip
RUNS = _trigger(
    "lockgate_guard_runs", "public.runs", "CONSTRAINT TRIGGER",
    f"AFTER DELETE OR UPDATE ON public.runs {DEFERRED} lockgate.guard_runs()",
)  # fmt: skip
LOGGED_MODELS = _trigger(
    "lockgate_guard_logged_models", "public.logged_models", "CONSTRAINT TRIGGER",
    f"AFTER DELETE OR UPDATE ON public.logged_models {DEFERRED} lockgate.guard_logged_models()",
)  # fmt: skip
TAGS = _trigger(
    "lockgate_guard_version_tags", "public.model_version_tags", "CONSTRAINT TRIGGER",
    f"AFTER INSERT OR DELETE OR UPDATE ON public.model_version_tags {DEFERRED} lockgate.guard_version_tags()",
)  # fmt: skip
GUARDING = [VERSIONS, TRUNCATION, ALIASES, MOVES, RUNS, LOGGED_MODELS, TAGS]

# These come with the migrations and stay when the guard goes; who owns MLflow's tables could have dropped them.
RECORDING = [
    _trigger(
        "lockgate_record_stage_change", "public.model_versions", "CONSTRAINT TRIGGER",
        f"AFTER UPDATE ON public.model_versions {DEFERRED} lockgate.record_stage_change()",
    ),
    _trigger(
        "lockgate_record_approval", "public.model_version_tags", "CONSTRAINT TRIGGER",
        f"AFTER INSERT OR DELETE OR UPDATE ON public.model_version_tags {DEFERRED} lockgate.record_tagged_approval()",
    ),
]  # fmt: skip

CONSTRAINT = Piece(
    "lockgate_one_production",
    "public.model_versions",
    "EXCLUDE USING btree (workspace WITH =, name WITH =) WHERE (((current_stage)::text = 'Production'::text))"
    " DEFERRABLE INITIALLY DEFERRED",
)

NOBODY_ELSE = "LOCK TABLE public.model_versions, public.registered_model_aliases IN SHARE ROW EXCLUSIVE MODE"
FULL_NAMES = "SET LOCAL search_path = pg_catalog"  # else Postgres leaves out of a definition what the path finds
FIND_TRIGGER = """
    SELECT pg_get_triggerdef(oid) AS made_by, tgenabled IN ('O', 'A') AS works
    FROM pg_trigger
    WHERE tgrelid = CAST(:on_table AS regclass) AND tgname = :name
"""
FIND_CONSTRAINT = """
    SELECT pg_get_constraintdef(oid) AS made_by, convalidated AS works
    FROM pg_constraint
    WHERE conrelid = CAST(:on_table AS regclass) AND conname = :name
"""
LAST_CHANGE = "SELECT change, actor, at FROM lockgate.guard_changes ORDER BY id DESC LIMIT 1"
NOTE_CHANGE = "INSERT INTO lockgate.guard_changes (change, actor) VALUES (:change, :actor)"

TWO_IN_PRODUCTION = """
    SELECT format('versions %s of %s are all in Production: archive all but one',
                  string_agg(version::text, ', ' ORDER BY version), name)
    FROM public.model_versions
    WHERE current_stage = 'Production'
    GROUP BY workspace, name
    HAVING count(*) > 1
    ORDER BY name
"""
FALSE_ALIASES = """
    SELECT format('the alias %s of %s points to version %s, and %s in %s: take the alias away',
                  alias, name, version, coalesce('version ' || holder || ' is', 'nothing is'), initcap(alias))
    FROM (
        SELECT alias.*, (
            SELECT max(held.version)
            FROM public.model_versions AS held
            WHERE (held.workspace, held.name, held.current_stage) = (alias.workspace, alias.name, initcap(alias.alias))
              AND alias.alias = lower(alias.alias)
        ) AS holder
        FROM public.registered_model_aliases AS alias
        WHERE alias.workspace = 'default' AND lower(alias.alias) IN ('production', 'staging')
          AND NOT lockgate.is_prompt(alias.name)
    ) AS pointing
    WHERE version IS DISTINCT FROM holder
    ORDER BY name, alias
"""

# What stood in a stage before Lockgate came is told as found there; the ledger agrees with the registry from then on.
ADOPT = """
    INSERT INTO lockgate.ledger
        (model, version, from_stage, to_stage, command, actor, reason, db_user, bundle_digest)
    SELECT registry.name, registry.version, 'None', registry.current_stage, 'adopt', :actor,
           'found there when the guard was installed', session_user, ours.bundle_digest
    FROM public.model_versions AS registry
    LEFT JOIN lockgate.versions AS ours ON (ours.model, ours.version) = (registry.name, registry.version)
    WHERE registry.workspace = 'default' AND registry.current_stage IN ('Staging', 'Production', 'Archived')
      AND NOT EXISTS (
          SELECT FROM lockgate.ledger WHERE (model, version) = (registry.name, registry.version)
      )
    ORDER BY registry.name, registry.version
"""
MIRROR = """
    SELECT lockgate.mirror_stages('default', name)
    FROM public.model_versions
    WHERE workspace = 'default' AND current_stage IN ('Staging', 'Production')
    GROUP BY name
"""


@dataclass(frozen=True)
class Guard:
    """Whether the guard is on, what is wrong with it, and who put it on or took it off last."""

    installed: bool
    faults: tuple[str, ...]
    last_change: str | None
    last_actor: str | None
    last_at: datetime | None


@with_retries
def status(database: Database) -> Guard:
    """Look at every piece of the guard. Not installed means: none of it is there."""
    with database.transaction() as connection:
        connection.execute(text(FULL_NAMES))
        guarding = [_fault(connection, piece) for piece in [CONSTRAINT, *GUARDING]]
        last = connection.execute(text(LAST_CHANGE)).one_or_none()
        faults = [*guarding, *(_fault(connection, piece) for piece in RECORDING), _fault_of_moves(connection)]
    installed = not all(fault is not None and fault.endswith("is missing") for fault in guarding)
    return Guard(installed, tuple(fault for fault in faults if fault), *(last or (None, None, None)))


@with_retries
def install(database: Database, actor: str) -> bool:
    """Put on what is missing or changed, in one transaction; whether anything had to be done.

    Raises StateConflict, with every violation that stands in the registry now, before anything is changed.
    """
    if status(database).faults == ():
        return False
    with database.transaction() as connection:
        connection.execute(text(FULL_NAMES))
        connection.execute(text(NOBODY_ELSE))
        _refuse_violations(connection, database.address)
        pieces = [*GUARDING, *(piece for piece in RECORDING if _fault(connection, piece))]
        for piece in pieces:
            _drop(connection, piece)
        _teach_moves(connection)
        connection.execute(text(ADOPT), {"actor": actor})
        connection.execute(text(MIRROR))
        for piece in pieces:
            connection.execute(text(piece.made_by))
        _constrain(connection)
        connection.execute(text(NOTE_CHANGE), {"change": "installed", "actor": actor})
    return True


@with_retries
def remove(database: Database, actor: str) -> bool:
    """Take the guard off; whether it was on. What happens is still recorded."""
    with database.transaction() as connection:
        if all((_fault(connection, piece) or "").endswith("is missing") for piece in [CONSTRAINT, *GUARDING]):
            return False
        for piece in GUARDING:
            _drop(connection, piece)
        connection.execute(text(f"ALTER TABLE {CONSTRAINT.table} DROP CONSTRAINT IF EXISTS {CONSTRAINT.name}"))
        connection.execute(text(NOTE_CHANGE), {"change": "removed", "actor": actor})
    return True


@with_retries
def violations(database: Database) -> list[str]:
    """What in the registry the guard would not have allowed; it cannot be installed before that is resolved."""
    with database.transaction() as connection:
        return _violations(connection)


def _violations(connection: Connection) -> list[str]:
    return [str(says) for query in (TWO_IN_PRODUCTION, FALSE_ALIASES) for says in connection.scalars(text(query))]


def _refuse_violations(connection: Connection, address: str) -> None:
    found = _violations(connection)
    if found:
        raise StateConflict("the guard is not installed: " + "; ".join(found), where=address, hint=RESOLVE)


def _fault(connection: Connection, piece: Piece) -> str | None:
    """What is wrong with a trigger or the constraint; None if it is there as it was made."""
    kind, query = ("constraint", FIND_CONSTRAINT) if piece is CONSTRAINT else ("trigger", FIND_TRIGGER)
    what = f"the {kind} {piece.name.strip(chr(34))} on {piece.table}"
    row = connection.execute(text(query), {"on_table": piece.table, "name": piece.name.strip('"')}).one_or_none()
    if row is None:
        return f"{what} is missing"
    if not row.works:
        return f"{what} is switched off"
    return None if _alike(row.made_by, piece.made_by) else f"{what} was changed"


def _alike(found: str, expected: str) -> bool:
    """The same definition, whatever text type the column has: MLflow may widen it."""
    return found.replace("(current_stage)::text", "current_stage") == expected.replace(
        "(current_stage)::text", "current_stage"
    )


def _fault_of_moves(connection: Connection) -> str | None:
    rows = connection.execute(text("SELECT from_stage, to_stage, command FROM lockgate.legal_moves"))
    same = {tuple(row) for row in rows} == set(_legal_moves())
    return None if same else "the table of legal moves is not that of this code"


def _teach_moves(connection: Connection) -> None:
    connection.execute(text("DELETE FROM lockgate.legal_moves"))
    rows = [{"from_stage": start, "to_stage": end, "command": command} for start, end, command in _legal_moves()]
    connection.execute(text("INSERT INTO lockgate.legal_moves VALUES (:from_stage, :to_stage, :command)"), rows)


def _legal_moves() -> Sequence[tuple[str, str, str]]:
    return [
        (str(start), str(end), str(command)) for (start, end), commands in LEGAL_MOVES.items() for command in commands
    ]


def _drop(connection: Connection, piece: Piece) -> None:
    connection.execute(text(f"DROP TRIGGER IF EXISTS {piece.name} ON {piece.table}"))


def _constrain(connection: Connection) -> None:
    if _fault(connection, CONSTRAINT) is None:
        return
    connection.execute(text(f"ALTER TABLE {CONSTRAINT.table} DROP CONSTRAINT IF EXISTS {CONSTRAINT.name}"))
    connection.execute(text(f"ALTER TABLE {CONSTRAINT.table} ADD CONSTRAINT {CONSTRAINT.name} {CONSTRAINT.made_by}"))
