"""The roles of Postgres that use Lockgate's database: the group roles, their members, and who is connected."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from lockgate.database import definitions, group_roles
from lockgate.database.connection import Database, with_retries
from lockgate.errors import AccessRefused

SELECT_PRESENT = "SELECT rolname FROM pg_roles WHERE rolname = ANY(:groups)"
MAY_CREATE = "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user"
SELECT_MEMBERS = """
    SELECT login.rolname, joined.rolname
    FROM pg_roles AS login JOIN pg_roles AS joined ON pg_has_role(login.oid, joined.oid, 'USAGE')
    WHERE joined.rolname = ANY(:groups) AND login.rolcanlogin AND NOT login.rolsuper
    ORDER BY login.rolname, joined.rolname
"""
SELECT_MINE = """
    SELECT session_user::text, nspowner::regrole::text, pg_has_role(session_user, nspowner, 'USAGE'),
           ARRAY(SELECT rolname::text FROM pg_roles AS joined
                 WHERE rolname = ANY(:groups) AND pg_has_role(session_user, joined.oid, 'USAGE') ORDER BY 1)
    FROM pg_namespace WHERE nspname = 'lockgate'
"""


@dataclass(frozen=True)
class Mine:
    """The login of this connection, the owner of schema lockgate, and the group roles that the login is a member of."""

    login: str
    owner: str
    is_owner: bool
    groups: tuple[str, ...]

    def __str__(self) -> str:
        if self.is_owner:
            return f"{self.login}, owner of schema lockgate"
        groups = ", ".join(self.groups)
        return f"{self.login}, " + (f"member of {groups}" if groups else "member of no role of Lockgate")

    @property
    def may_run_commands(self) -> bool:
        """Whether the login has the rights of the commands that register, judge and move versions."""
        return self.is_owner or "lockgate_app" in self.groups


@dataclass(frozen=True)
class Roles:
    """The group roles in use here, those that are not, the faults of their rights, and the groups of each login."""

    in_use: tuple[str, ...]
    unused: tuple[str, ...]
    faults: tuple[str, ...]
    members: dict[str, tuple[str, ...]]


@with_retries
def install(database: Database) -> list[str]:
    """Make the group roles that are missing, and give them their rights in this database; what was done.

    Raises AccessRefused, with the statements, if roles are missing and this login may make none.
    """
    with database.transaction() as connection:
        done = [f"role {name} made" for name in _make_missing(connection, database.address)]
        unused = sorted(set(group_roles.NAMES) - group_roles.in_use(connection))
        for name in unused:
            group_roles.begin_use(connection, name)
        if unused or group_roles.faults(connection):
            definitions.apply(connection)
            done.append("rights given")
    return done


@with_retries
def read(database: Database) -> Roles:
    """The group roles, their rights and their members now."""
    with database.transaction() as connection:
        used = group_roles.in_use(connection)
        members: dict[str, tuple[str, ...]] = {}
        for login, group in connection.execute(text(SELECT_MEMBERS), {"groups": list(group_roles.NAMES)}):
            members[login] = (*members.get(login, ()), group)
        unused = tuple(name for name in group_roles.NAMES if name not in used)
        in_use = tuple(name for name in group_roles.NAMES if name in used)
        return Roles(in_use, unused, tuple(group_roles.faults(connection)), members)


@with_retries
def mine(database: Database) -> Mine:
    """The login of this connection. It may have no right in schema lockgate."""
    with database.unchecked_transaction() as connection:
        row = connection.execute(text(SELECT_MINE), {"groups": list(group_roles.NAMES)}).one_or_none()
        if row is None:
            return Mine(str(connection.scalar(text("SELECT session_user"))), "", False, ())
    return Mine(row[0], row[1], row[2], tuple(row[3]))


def _make_missing(connection: Connection, address: str) -> list[str]:
    present = set(connection.scalars(text(SELECT_PRESENT), {"groups": list(group_roles.NAMES)}))
    missing = [name for name in group_roles.NAMES if name not in present]
    statements = [f"CREATE ROLE {name} NOLOGIN" for name in missing]
    if missing and not connection.scalar(text(MAY_CREATE)):
        raise AccessRefused(
            f"the roles {', '.join(missing)} are missing, and this login may make none",
            where=address,
            hint=f"let an administrator of the server run: {'; '.join(statements)}",
        )
    for statement in statements:
        definitions.run(connection, statement)
    return missing
