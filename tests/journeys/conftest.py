"""One pipeline run for the session; each journey goes on from a copy of it, with a model of its own."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from clone import Clone, clone_of_project, commit, make_small

from lockgate.system.service_urls import DATABASE_VARIABLE, TRACKING_VARIABLE, Addresses

counter = itertools.count(1)


@pytest.fixture(scope="session")
def services(stack: Addresses) -> dict[str, str]:
    """The variables that name the session's stack."""
    return {TRACKING_VARIABLE: stack.tracking_uri, DATABASE_VARIABLE: stack.database_url}


@pytest.fixture(scope="session")
def project(services: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone of the project, small, in which nothing has run yet. Only to be looked at and copied."""
    clone = clone_of_project(tmp_path_factory.mktemp("project") / "a clone", services)
    make_small(clone)
    commit(clone, "the project, small")
    return clone


@pytest.fixture(scope="session")
def first_run(project: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in which `dvc repro` has run once, from raw data to version 1 in Staging. Only to be looked at."""
    clone = project.copy(tmp_path_factory.mktemp("journeys") / "a clone", "first_run")
    commit(clone, "the first run")
    clone.repro()
    return clone


@pytest.fixture
def clone(first_run: Clone, tmp_path: Path) -> Clone:
    """A copy of the first run that this test may do anything with; its model is not registered yet."""
    return first_run.copy(tmp_path / "a clone", f"journey{next(counter)}")


@pytest.fixture
def without_mlflow(tmp_path: Path) -> Callable[[Clone], dict[str, str]]:
    """Variables under which nothing can import mlflow in a clone."""

    def variables(clone: Clone) -> dict[str, str]:
        package = tmp_path / "in front" / "mlflow"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise ImportError('mlflow was imported')\n")
        return {"PYTHONPATH": f"{package.parent}:{clone.folder / 'src'}"}

    return variables
