"""Where MLflow's artifacts are stored: in a folder or in the database, never in both."""

from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path

from lockgate.errors import BadConfiguration, StateConflict
from lockgate.system.service_urls import ARTIFACTS_IN_DATABASE, FOLDER_SCHEME


class Place(StrEnum):
    """The two places, as `lockgate up --artifacts` names them."""

    FOLDER = "folder"
    DATABASE = "database"


def folder(home: Path) -> Path:
    """The folder of the artifacts, if they are not in the database."""
    return home / "artifacts"


def destination(home: Path, place: Place) -> str:
    """The value of MLflow's option --artifacts-destination."""
    in_folder = f"{FOLDER_SCHEME}://{folder(home).as_uri().removeprefix('file://')}"
    return ARTIFACTS_IN_DATABASE if place is Place.DATABASE else in_folder


def require_repository(destination: str) -> None:
    """Raise BadConfiguration if MLflow would find no repository for this destination: entry points are installed."""
    scheme = destination.partition(":")[0]
    if not entry_points(group="mlflow.artifact_repository", name=scheme):
        raise BadConfiguration(
            f"the installed Lockgate is older than this code: it has no artifact repository {scheme}",
            hint="install this code: make install",
        )


def refuse_to_lose(home: Path, place: Place, database_url: str) -> None:
    """Raise StateConflict if the other place holds artifacts: a server that uses this place would not find them."""
    for other in Place:
        if other is not place and _holds_any(home, other, database_url):
            raise StateConflict(
                f"the artifacts of this stack are in its {other}",
                where=str(home),
                hint=f"keep them there: lockgate up --artifacts {other}; or move them: docs/how-to/backup.md",
            )


def _holds_any(home: Path, place: Place, database_url: str) -> bool:
    if place is Place.FOLDER:
        return any(path.is_file() for path in folder(home).rglob("*"))
    from lockgate.database import artifacts  # SQLAlchemy: not needed by `down`
    from lockgate.database.connection import Database

    return artifacts.any_file(Database(database_url))
