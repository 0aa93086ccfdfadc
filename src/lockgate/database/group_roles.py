"""The rights of the group roles in one database: those of sql/roles.sql, given, compared and put back.

A group role is in use in a database if it may use a schema of ours there. Roles belong to the whole server, so another
database may use them too.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, text

from lockgate.database import sql_files
from lockgate.database.sql_files import Right

NAMES = ("lockgate_app", "lockgate_scorer", "lockgate_reader", "lockgate_server")
SCHEMAS = ("lockgate", "lockgate_artifacts", "public")
KINDS = {"r": "TABLE", "p": "TABLE", "v": "TABLE", "m": "TABLE", "f": "TABLE", "S": "SEQUENCE"}
SELECT_RELATIONS = """
    SELECT relkind::text, nspname || '.' || relname
    FROM pg_class JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
    WHERE nspname = ANY(:schemas) AND relkind IN ('r', 'p', 'S')
"""
SELECT_HELD = """
    WITH held AS (
        SELECT relkind::text AS kind, nspname || '.' || relname AS name, acl.grantee, acl.privilege_type
        FROM pg_class JOIN pg_namespace AS namespace ON namespace.oid = relnamespace, aclexplode(relacl) AS acl
        WHERE nspname = ANY(:schemas)
        UNION
        SELECT relkind::text, nspname || '.' || relname, acl.grantee, acl.privilege_type
        FROM pg_attribute JOIN pg_class AS relation ON relation.oid = attrelid
        JOIN pg_namespace AS namespace ON namespace.oid = relnamespace, aclexplode(attacl) AS acl
        WHERE nspname = ANY(:schemas)
        UNION
        SELECT 'SCHEMA', nspname, acl.grantee, acl.privilege_type
        FROM pg_namespace, aclexplode(nspacl) AS acl
        WHERE nspname = ANY(:schemas)
        UNION
        SELECT 'FUNCTION', nspname || '.' || proname, acl.grantee, acl.privilege_type
        FROM pg_proc JOIN pg_namespace AS namespace ON namespace.oid = pronamespace, aclexplode(proacl) AS acl
        WHERE nspname = ANY(:schemas)
    )
    SELECT rolname, privilege_type, kind, name FROM held JOIN pg_roles AS role ON role.oid = grantee
    WHERE rolname = ANY(:groups)
"""


def faults(connection: Connection) -> list[str]:
    """A sentence for each role whose rights are not those of this code."""
    held, expected = _held(connection), _expected(connection)
    return [
        *_sentences(held - expected, "may"),
        *_sentences(expected - held, "may not"),
    ]


def apply(connection: Connection) -> None:
    """Give each group role that is in use exactly its rights."""
    held, expected = _held(connection), _expected(connection)
    for right in sorted(held - expected):
        _run(connection, f"REVOKE {right.privilege} ON {right.kind} {right.name} FROM {right.role} CASCADE")
    for right in sorted(expected - held):
        _run(connection, f"GRANT {right.privilege} ON {right.kind} {right.name} TO {right.role}")


def begin_use(connection: Connection, role: str) -> None:
    """Let a group role, which must exist, be in use in this database."""
    for right in sql_files.rights():
        if (right.role, right.kind) == (role, "SCHEMA"):
            _run(connection, f"GRANT {right.privilege} ON SCHEMA {right.name} TO {role}")


def in_use(connection: Connection) -> set[str]:
    """The group roles that are in use in this database."""
    return {right.role for right in _held(connection) if right.kind == "SCHEMA" and right.name != "public"}


def _expected(connection: Connection) -> set[Right]:
    """What the roles in use should have: of MLflow's tables those that this MLflow has."""
    rows = connection.execute(text(SELECT_RELATIONS), {"schemas": list(SCHEMAS)})
    there = {(KINDS[kind], name) for kind, name in rows}
    used = in_use(connection)
    return {
        each
        for right in sql_files.rights()
        if right.role in used
        for each in _spelled_out(right, there)
        if each.kind in ("SCHEMA", "FUNCTION") or (each.kind, each.name) in there
    }


def _spelled_out(right: Right, there: set[tuple[str, str]]) -> Iterator[Right]:
    if not right.name.endswith(".*"):
        yield right
    else:
        schema = right.name.removesuffix("*")
        yield from (right._replace(name=name) for kind, name in there if kind == right.kind and name.startswith(schema))


def _held(connection: Connection) -> set[Right]:
    values = {"schemas": list(SCHEMAS), "groups": list(NAMES)}
    rows = connection.execute(text(SELECT_HELD), values)
    return {Right(role, privilege, KINDS.get(kind, kind), name) for role, privilege, kind, name in rows}


def _sentences(rights: set[Right], may: str) -> list[str]:
    by_name: dict[tuple[str, str], list[str]] = {}
    for right in sorted(rights):
        by_name.setdefault((right.role, right.name), []).append(right.privilege)
    return [f"the role {role} {may} {', '.join(privileges)} {name}" for (role, name), privileges in by_name.items()]


def _run(connection: Connection, statement: str) -> None:
    connection.execution_options(no_parameters=True).exec_driver_sql(statement)
