"""The registered versions that need artifacts, wherever the artifacts are stored."""

from sqlalchemy import text

from lockgate.database.connection import Database

HOLDER = "SELECT lockgate_artifacts.holder(:place)"
QUERY_SECONDS = 60.0


def holder(database: Database, place: str) -> str | None:
    """A version whose folder is this place, or is inside it, or contains it: 'version 3 of NAME'; None without one.

    MLflow's role may call this function.
    """
    with database.unchecked_transaction(QUERY_SECONDS) as connection:
        found: str | None = connection.scalar(text(HOLDER), {"place": place})
    return found
