"""A small trained project for each seed, shared by all tests, and a model of its own for each test."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import computed_once
import pytest
import trained_projects
from passed_by_hand import passed_by_hand

from lockgate.database.connection import Database
from lockgate.database.verdicts import StoredVerdict
from lockgate.operations import register, validate
from lockgate.operations.stage_files import Build
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import Params, load_params
from lockgate.system.service_urls import Addresses

counter = itertools.count(1)


@pytest.fixture(autouse=True)
def results_computed_once() -> Iterator[None]:
    """Forecasts and pictures are computed once a session for the same files."""
    with computed_once.in_force():
        yield


@pytest.fixture(scope="session")
def trained_project() -> Callable[[int], Path]:
    """A folder with params.yaml, data/prepared and build of a small chain, trained with this seed. Only to be read.

    Made once for each state of the code, and shared by all workers and later sessions.
    """
    return trained_projects.folder_of


@pytest.fixture
def params(trained_project: Callable[[int], Path]) -> Params:
    """The params of the small chain."""
    return load_params(trained_project(1) / "params.yaml")


@pytest.fixture
def build(trained_project: Callable[[int], Path], tmp_path: Path) -> Callable[[int], Build]:
    """A copy of a small build for this test alone, by seed."""

    def copy_of(seed: int) -> Build:
        folder = tmp_path / f"copy of seed {seed}"
        if not folder.exists():
            shutil.copytree(trained_project(seed), folder)
        return Build(folder / "data" / "prepared", folder / "build")

    return copy_of


@pytest.fixture
def backend(stack: Addresses) -> Workspace:
    """A model that no other test has, on the session's server."""
    return Workspace(f"chain{next(counter)}-ensemble", stack, Database(stack.database_url), "anna", 10.0)


@pytest.fixture
def validated(backend: Workspace, build: Callable[[int], Build], params: Params) -> Callable[..., StoredVerdict]:
    """Registers and validates the build of a seed, with some of the gate's limits changed."""

    def judge(seed: int = 1, **limits: float) -> StoredVerdict:
        receipt = register.register(backend, build(seed), params)
        return validate.validate(backend, receipt, build(seed), params.policy.model_copy(update=limits), params.problem)

    return judge


@pytest.fixture
def unreachable() -> Callable[[Workspace], Workspace]:
    """The same backend with an MLflow server that is not there."""

    def without_server(backend: Workspace) -> Workspace:
        nobody = Addresses("http://127.0.0.1:9", backend.addresses.database_url)
        return Workspace(backend.model, nobody, backend.database, backend.actor, 3.0)

    return without_server


@pytest.fixture
def passed(backend: Workspace, build: Callable[[int], Build], params: Params) -> Callable[..., StoredVerdict]:
    """Registers the build of a seed and moves it to Staging on a passed verdict by hand, without scoring."""

    def record(seed: int, **limits: float) -> StoredVerdict:
        return passed_by_hand(backend, build(seed), params, **limits)

    return record
