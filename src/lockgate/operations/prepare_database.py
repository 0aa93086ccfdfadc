"""`lockgate migrate`: a database of a deployment gets all tables, rules and rights of this code, as its owner."""

from lockgate.database import guard, roles, snapshot
from lockgate.database.connection import Database
from lockgate.database.migrate import migrate


def prepare(database_url: str, timeout: float, actor: str, *, with_logins: bool, with_roles: bool) -> list[str]:
    """Bring MLflow's tables, schema lockgate, the guard and the group roles to the state of this code; what was done.

    Raises StateConflict for a newer schema, or for a registry that breaks the rules of the guard; AccessRefused if the
    login is not the owner.
    """
    from lockgate.registry import mlflow_tables  # mlflow: seconds

    database = Database(database_url, timeout)
    with database.unchecked_transaction():
        pass  # a database that refuses the login is told in our words
    done = mlflow_tables.upgrade(database_url, with_logins=with_logins)
    done += migrate(database)
    if guard.install(database, actor):
        done.append("guard")
    return done + (roles.install(database) if with_roles else [])


def after_restore(database_url: str, timeout: float, actor: str) -> list[str]:
    """Bring a restored database, which earlier code may have made, to the state of this code; what was done."""
    from lockgate.registry import mlflow_tables

    database = Database(database_url, timeout)
    with_logins = snapshot.has_table(database, "public.users")
    done = mlflow_tables.upgrade(database_url, with_logins=with_logins) + migrate(database)
    return done + (["guard"] if guard.install(database, actor) else [])
