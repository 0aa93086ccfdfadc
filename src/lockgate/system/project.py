"""The project's folder: the nearest one, from the working directory upward, that holds params.yaml and dvc.yaml."""

from pathlib import Path

PROJECTS_VARIABLE = "LOCKGATE_PROJECTS"  # folders with projects, which the pages of the MLflow server know
MARKS = ("params.yaml", "dvc.yaml")


def find(folder: Path) -> Path | None:
    """The project of a folder, or None."""
    folder = folder.absolute()
    return next((each for each in (folder, *folder.parents) if all((each / mark).is_file() for mark in MARKS)), None)
