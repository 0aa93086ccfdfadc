"""MLflow's own tables in Postgres, made or upgraded by MLflow's own code: for a server that may not make tables."""

from typing import Any

from mlflow.store.db import utils

MLFLOW: Any = utils  # without types


def upgrade(database_url: str, *, with_logins: bool) -> list[str]:
    """Bring MLflow's tables to the state of this MLflow; what was done.

    `with_logins`: also the tables of users and permissions, which its app basic-auth needs.
    """
    engine = MLFLOW.create_sqlalchemy_engine(database_url)
    try:
        before = MLFLOW._get_schema_version(engine)
        if before is None:
            MLFLOW._initialize_tables(engine)
        else:
            MLFLOW._upgrade_db(engine)
        if with_logins:
            from mlflow.server.auth.db import utils as logins

            logins.migrate_if_needed(engine, "head")
        after = MLFLOW._get_schema_version(engine)
    finally:
        engine.dispose()
    return [] if before == after else [f"tables of MLflow ({before or 'none'} to {after})"]
