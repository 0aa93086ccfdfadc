"""The definitions in the database beside those of this code: functions, triggers, constraints and grants."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection, text

from lockgate.database import group_roles, schema_check, sql_files
from lockgate.database.sql_files import Function, Piece

FULL_NAMES = "SET LOCAL search_path = pg_catalog"  # else Postgres leaves out of a definition what the path finds
SELECT_FUNCTIONS = """
    SELECT nspname || '.' || proname AS name, pg_get_function_arguments(function.oid) AS arguments,
           pg_get_function_result(function.oid) AS returns, lanname AS language, provolatile::text AS volatility,
           prosecdef AS has_rights_of_owner, coalesce(proconfig, '{}') AS settings, prosrc AS body,
           proowner = nspowner AS has_owner, function.oid::regprocedure::text AS signature
    FROM pg_proc AS function
    JOIN pg_namespace AS namespace ON namespace.oid = pronamespace
    JOIN pg_language AS language ON language.oid = prolang
    WHERE nspname IN ('lockgate', 'lockgate_artifacts')
"""
SELECT_UNKNOWN = """
    SELECT 'trigger' AS kind, tgname AS name, tgrelid::regclass::text AS table
    FROM pg_trigger JOIN pg_class AS relation ON relation.oid = tgrelid
    JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
    WHERE NOT tgisinternal AND nspname IN ('lockgate', 'lockgate_artifacts')
    UNION ALL
    SELECT 'rule', rulename, ev_class::regclass::text
    FROM pg_rewrite JOIN pg_class AS relation ON relation.oid = ev_class
    JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
    WHERE nspname IN ('lockgate', 'lockgate_artifacts')
    UNION ALL
    SELECT 'trigger', tgname, tgrelid::regclass::text
    FROM pg_trigger JOIN pg_class AS relation ON relation.oid = tgrelid JOIN pg_proc AS called ON called.oid = tgfoid
    WHERE NOT tgisinternal AND relnamespace = 'public'::regnamespace AND proowner = relowner
      AND relowner <> (SELECT nspowner FROM pg_namespace WHERE nspname = 'lockgate')
    ORDER BY 1, 2, 3
"""
SELECT_TRIGGERS = """
    SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), tgenabled IN ('O', 'A')
    FROM pg_trigger
    WHERE NOT tgisinternal
"""
SELECT_CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated
    FROM pg_constraint
    WHERE connamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('lockgate', 'lockgate_artifacts'))
"""
# Rights that no role but the owner and the group roles has, and rights of MLflow's role that are missing.
SELECT_FAULTS_OF_GRANTS = """
    WITH mlflow AS (
        SELECT relowner AS oid FROM pg_class WHERE oid = 'public.model_versions'::regclass
    ), ours AS (
        SELECT oid, relowner, relacl, oid::regclass::text AS name
        FROM pg_class
        WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('lockgate', 'lockgate_artifacts'))
    ), written AS (
        SELECT name, acl.grantee, acl.privilege_type
        FROM ours, aclexplode(relacl) AS acl
        WHERE acl.grantee <> relowner
        UNION
        SELECT name, acl.grantee, acl.privilege_type
        FROM ours JOIN pg_attribute ON attrelid = ours.oid, aclexplode(attacl) AS acl
        WHERE acl.grantee <> relowner
        UNION
        SELECT 'schema ' || nspname, acl.grantee, acl.privilege_type
        FROM pg_namespace, aclexplode(nspacl) AS acl
        WHERE nspname IN ('lockgate', 'lockgate_artifacts') AND acl.grantee <> nspowner
          AND acl.privilege_type = 'CREATE'
        UNION
        SELECT function.oid::regprocedure::text, acl.grantee, acl.privilege_type
        FROM pg_proc AS function
        JOIN pg_namespace AS namespace ON namespace.oid = pronamespace,
             aclexplode(coalesce(proacl, acldefault('f', proowner))) AS acl
        WHERE (nspname = 'lockgate_artifacts'
               OR nspname = 'lockgate' AND prosecdef AND prorettype <> 'trigger'::regtype)
          AND acl.grantee <> proowner
          AND NOT (acl.grantee = (SELECT oid FROM mlflow) AND proname IN ('claim', 'keep', 'remove', 'holder'))
    )
    SELECT format('%s may %s %s', CASE grantee WHEN 0 THEN 'every role' ELSE 'the role ' || grantee::regrole END,
                  string_agg(privilege_type, ', ' ORDER BY privilege_type), name)
    FROM written
    WHERE privilege_type NOT IN ('SELECT', 'MAINTAIN')
      AND grantee NOT IN (SELECT oid FROM pg_roles WHERE rolname = ANY(:groups))
      AND (name, grantee, privilege_type) <> ('lockgate_artifacts.chunks', (SELECT oid FROM mlflow), 'INSERT')
    GROUP BY grantee, name
    UNION ALL
    SELECT format('%s belongs to another role than its schema', relation.oid::regclass)
    FROM pg_class AS relation JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
    WHERE nspname IN ('lockgate', 'lockgate_artifacts') AND relkind IN ('r', 'p') AND relowner <> nspowner
    UNION ALL
    SELECT format('the role %s may not use lockgate_artifacts', oid::regrole)
    FROM mlflow
    WHERE NOT (
        (SELECT has_schema_privilege(mlflow.oid, oid, 'USAGE') FROM pg_namespace WHERE nspname = 'lockgate_artifacts')
        AND (SELECT bool_and(has_table_privilege(mlflow.oid, ours.oid, 'SELECT')
                             AND (name NOT LIKE '%.chunks' OR has_table_privilege(mlflow.oid, ours.oid, 'INSERT')))
             FROM ours
             WHERE name IN ('lockgate_artifacts.blobs', 'lockgate_artifacts.files', 'lockgate_artifacts.chunks'))
        AND (SELECT bool_and(has_function_privilege(mlflow.oid, function.oid, 'EXECUTE'))
             FROM pg_proc AS function JOIN pg_namespace AS namespace ON namespace.oid = pronamespace
             WHERE nspname = 'lockgate_artifacts' AND proname IN ('claim', 'keep', 'remove', 'holder'))
    )
    ORDER BY 1
"""
RECORD = "INSERT INTO lockgate.definitions (digest) VALUES (:digest)"


def faults(connection: Connection) -> list[str]:
    """A sentence for each function, constraint, recording trigger or right that is not as this code defines it."""
    connection.execute(text(FULL_NAMES))
    return [
        *_function_faults(connection),
        *piece_faults(connection, [*sql_files.constraints(), *sql_files.recording_triggers()]).values(),
        *(f"the {kind} {name} on {table} is not of this version" for kind, name, table in _unknown(connection)),
        *connection.scalars(text(SELECT_FAULTS_OF_GRANTS), {"groups": list(group_roles.NAMES)}),
        *group_roles.faults(connection),
    ]


def piece_faults(connection: Connection, pieces: Iterable[Piece]) -> dict[Piece, str]:
    """The triggers and constraints that are missing, switched off or changed, each with a sentence."""
    connection.execute(text(FULL_NAMES))
    found = {}
    for kind, query in (("trigger", SELECT_TRIGGERS), ("constraint", SELECT_CONSTRAINTS)):
        for table, name, made_by, works in connection.execute(text(query)):
            found[kind, table, name] = (made_by, works)
    sentences = {piece: _fault(piece, found.get((piece.kind, piece.table, piece.name))) for piece in pieces}
    return {piece: sentence for piece, sentence in sentences.items() if sentence}


def apply(connection: Connection) -> None:
    """Make the functions, constraints, recording triggers and grants those of this code, and record their digest."""
    connection.execute(text("SET LOCAL check_function_bodies = off"))  # they call one another
    _drop_unknown_functions(connection)
    for sql in sql_files.function_files():
        run(connection, sql)
    for kind, name, table in _unknown(connection):
        run(connection, f"DROP {kind} {_quoted(name)} ON {table}")
    replace(connection, piece_faults(connection, [*sql_files.constraints(), *sql_files.recording_triggers()]))
    run(connection, sql_files.grants())
    group_roles.apply(connection)
    if schema_check.definitions_in_force(connection) != sql_files.digest():
        connection.execute(text(RECORD), {"digest": sql_files.digest()})


def replace(connection: Connection, pieces: Iterable[Piece]) -> None:
    """Drop and make triggers and constraints."""
    for piece in pieces:
        connection.execute(text(piece.removal))
        run(connection, piece.statement)


def run(connection: Connection, sql: str) -> None:
    """Run SQL as it stands; colons and percent signs in it are no parameters."""
    connection.execution_options(no_parameters=True).exec_driver_sql(sql)


def _unknown(connection: Connection) -> list[tuple[str, str, str]]:
    """Triggers and rules that are in no file. On our tables they could change or drop a row before it is recorded.

    On MLflow's tables, a trigger whose code belongs to MLflow's role would run with our rights when we write there.
    """
    connection.execute(text(FULL_NAMES))
    known = {(each.name, each.table) for each in [*sql_files.recording_triggers(), *sql_files.guarding_triggers()]}
    rows = [(row[0], row[1], row[2]) for row in connection.execute(text(SELECT_UNKNOWN))]
    return [row for row in rows if row[1:] not in known]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _fault(piece: Piece, found: tuple[str, bool] | None) -> str | None:
    if found is None:
        return f"{piece} is missing"
    made_by, works = found
    if not works:
        return f"{piece} is switched off"
    return None if made_by == piece.made_by else f"{piece} was changed"


class _FoundFunction(NamedTuple):
    function: Function
    has_owner: bool
    signature: str


def _function_faults(connection: Connection) -> Iterator[str]:
    found = _found_functions(connection)
    for expected in sql_files.functions():
        there = found.pop(expected[:2], None)
        if there is None:
            yield f"the function {expected.name} is missing"
        elif not there.has_owner:
            yield f"the function {expected.name} belongs to another role than its schema"
        elif there.function != expected:
            yield f"the function {expected.name} was changed"
    for unknown in found.values():
        yield f"the function {unknown.signature} is not of this version"


def _drop_unknown_functions(connection: Connection) -> None:
    """Functions with the arguments or the result of an earlier version, and overloads that could be called instead."""
    connection.execute(text(FULL_NAMES))
    known = {function[:3] for function in sql_files.functions()}
    for found in _found_functions(connection).values():
        if found.function[:3] not in known:
            run(connection, f"DROP ROUTINE {found.signature} CASCADE")


def _found_functions(connection: Connection) -> dict[tuple[str, str], _FoundFunction]:
    """Every function of our schemas by name and arguments."""
    found = [
        _FoundFunction(Function(*(getattr(row, name) for name in Function._fields)), row.has_owner, row.signature)
        for row in connection.execute(text(SELECT_FUNCTIONS))
    ]
    return {each.function[:2]: each for each in found}
