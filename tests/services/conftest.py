"""Small bundles, trained once a session by the stage scripts themselves, and a model of its own for each test."""

import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from lockgate.database.connection import Database
from lockgate.database.verdicts import StoredVerdict
from lockgate.operations import register, validate
from lockgate.operations.stage_files import Build
from lockgate.operations.workspace import Backend
from lockgate.problem.params import Params, load_params
from lockgate.system.service_urls import Addresses

PROJECT = Path(__file__).parents[2]
SMALL = {"seed": 7, "stores": 12, "days": 500, "noise": 0.04}
counter = itertools.count(1)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """A folder with params.yaml, data/prepared and build of a small chain, trained with this seed; made once a seed."""
    made: dict[int, Path] = {}

    def folder_of(seed: int) -> Path:
        if seed not in made:
            made[seed] = tmp_path_factory.mktemp(f"seed {seed}")
            _train(made[seed], seed)
        return made[seed]

    return folder_of


@pytest.fixture
def params(workshop: Callable[[int], Path]) -> Params:
    """The params of the small chain."""
    return load_params(workshop(1) / "params.yaml")


@pytest.fixture
def made(workshop: Callable[[int], Path], tmp_path: Path) -> Callable[[int], Build]:
    """A copy of a small build for this test alone, by seed."""

    def copy_of(seed: int) -> Build:
        folder = tmp_path / f"copy of seed {seed}"
        if not folder.exists():
            shutil.copytree(workshop(seed), folder)
        return Build(folder / "data" / "prepared", folder / "build")

    return copy_of


@pytest.fixture
def backend(stack: Addresses) -> Backend:
    """A model that no other test has, on the session's server."""
    return Backend(f"chain{next(counter)}-ensemble", stack, Database(stack.database_url), "anna", 10.0)


def _train(folder: Path, seed: int) -> None:
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    params |= {"seed": seed, "threads": 1, "source": "generated", "generator": SMALL}
    params["training"]["max_rounds"] = 30
    params["gate"]["min_scored_rows"] = 100
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    (folder / "data" / "raw").mkdir(parents=True)
    for words in (["prepare.py", "data/raw", "data/prepared"], ["train.py", "data/prepared", "build"]):
        command = [sys.executable, str(PROJECT / "pipelines" / words[0]), *words[1:]]
        subprocess.run(command, cwd=folder, check=True, timeout=120, capture_output=True)


@pytest.fixture
def judged(backend: Backend, made: Callable[[int], Build], params: Params) -> Callable[..., StoredVerdict]:
    """Registers and validates the build of a seed, with some of the gate's limits changed."""

    def judge(seed: int = 1, **limits: float) -> StoredVerdict:
        receipt = register.register(backend, made(seed), params)
        return validate.validate(backend, receipt, made(seed), params.gate.model_copy(update=limits))

    return judge


@pytest.fixture
def unreachable() -> Callable[[Backend], Backend]:
    """The same backend with an MLflow server that is not there."""

    def without_server(backend: Backend) -> Backend:
        nobody = Addresses("http://127.0.0.1:9", backend.where.database_url)
        return Backend(backend.model, nobody, backend.database, backend.actor, 3.0)

    return without_server
