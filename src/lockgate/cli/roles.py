"""`roles` gives the group roles of Postgres their rights, and lists them."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lockgate.cli.common_options import as_json, command, database, group, print_json, table
from lockgate.errors import StateConflict

if TYPE_CHECKING:
    from lockgate.database.roles import Roles

group(
    "roles",
    "Give the database roles their rights, or list them.\n\nLogins become members: GRANT lockgate_app TO anna.",
)


@command("roles install", example="lockgate roles install", project=False)
def install(timeout: float) -> None:
    """Create the four group roles and give them their rights.

    The roles are lockgate_app (commands), lockgate_scorer (serve, predict), lockgate_reader (dashboards) and
    lockgate_server (the MLflow server). Run it as the owner of schema lockgate, again after an upgrade of MLflow. If
    the owner may create no roles, the command prints the statements for an administrator and ends with exit code 6.
    """
    from lockgate.database import roles

    done = roles.install(database(timeout))
    click.echo("; ".join(done) or "the roles have their rights; nothing was changed")


@command("roles status", example="lockgate roles status --json", project=False)
@as_json
def status(as_json: bool, timeout: float) -> None:
    """Show the login of this connection, the group roles and their members.

    The command ends with exit code 5 if a role has other rights than it should have.
    """
    from lockgate.database import roles

    where = database(timeout)
    mine, found = roles.mine(where), roles.read(where)
    if as_json:
        print_json(asdict(found) | {"login": asdict(mine)})
    else:
        click.echo(f"connected as {mine}")
        table(["role", "members"], [[name, _members(found, name)] for name in (*found.in_use, *found.unused)])
    if found.faults:
        raise StateConflict("; ".join(found.faults), hint="repair it with: lockgate roles install")


def _members(found: "Roles", name: str) -> str:
    if name in found.unused:
        return "not in use here: lockgate roles install"
    return ", ".join(login for login, groups in found.members.items() if name in groups) or "none"
