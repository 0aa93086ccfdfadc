"""What `mlflow models generate-dockerfile` writes for a version, completed by the steps of docs/how-to/deploy.md."""

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import grimp
import pytest
import served_versions
import serving_process
from free_port import free_port
from packaging.requirements import Requirement

from lockgate.database.connection import Database
from lockgate.operations.workspace import Workspace
from lockgate.system.service_urls import Addresses

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "deploy.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## An image of one version")[2].partition("\n## ")[0]
LOADED = "lockgate.registry.served_model"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def image(stack: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the image after the page's steps before `docker build`; the wheel is built from a copy."""
    workspace = Workspace("boxed-ensemble", stack, Database(stack.database_url), "anna", 10.0)
    served_versions.put_in_production(workspace, 1)
    folder = tmp_path_factory.mktemp("boxed")
    subprocess.run(["cp", "-r", str(ROOT / "src"), str(ROOT / "pyproject.toml"), str(folder)], check=True)
    steps = re.findall(r"^    ((?:mlflow|pip|sed) .*)$", SECTION, re.MULTILINE)
    assert [step.split()[0] for step in steps] == ["mlflow", "pip", "sed", "sed"]
    script = "\n".join(steps).replace("rossmann-ensemble", workspace.model)
    script = script.replace(
        "pip wheel", f"{shlex.quote(sys.executable)} -m pip wheel --no-build-isolation --no-index --quiet"
    )
    environment = serving_process.environment(workspace)
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    subprocess.run(["bash", "-ec", script], cwd=folder, env=environment, check=True, timeout=200)
    return folder / "image"


@pytest.mark.long
def test_the_file_copies_the_model_and_installs_lockgate_before_it(image: Path) -> None:
    lines = (image / "Dockerfile").read_text().splitlines()
    [copied] = [place for place, line in enumerate(lines) if line.startswith("COPY model_dir")]
    assert lines[copied - 2 : copied] == ["COPY lockgate-*.whl /tmp/", "RUN pip install --no-deps /tmp/lockgate-*.whl"]
    assert (image / lines[copied].split()[1] / "MLmodel").is_file()
    assert any("nginx libgomp1" in line for line in lines)
    assert next(line for line in lines if line.startswith("FROM")).startswith("FROM python:3.11")
    assert len(list(image.glob("lockgate-*.whl"))) == 1
    assert "ENTRYPOINT" in lines[-1]
    assert "C._serve('local')" in lines[-1]


@pytest.mark.long
def test_the_wheel_and_the_model_answer_without_registry_and_sources(image: Path, tmp_path: Path) -> None:
    """In an empty folder, with the wheel instead of this checkout, the server of the image's entry point answers."""
    [wheel] = image.glob("lockgate-*.whl")
    packages = tmp_path / "packages"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(packages)]
    subprocess.run([*install, str(wheel)], check=True, timeout=120)
    [model] = (path.parent for path in image.rglob("MLmodel"))
    asked = served_versions.rows().head(3)
    with serving(model, packages, tmp_path) as port:
        body = json.dumps(serving_process.body_of(asked)).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", body, headers)
        with DIRECT.open(request, timeout=60) as reply:
            assert json.load(reply)["predictions"] == served_versions.expected(1, asked)


@contextmanager
def serving(model: Path, packages: Path, folder: Path) -> Iterator[int]:
    """MLflow's scoring server, as the container starts it, on a free port."""
    port, log = free_port(), folder / "server.log"
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "LOCKGATE_", "PYTHON"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = kept | {"PATH": path, "PYTHONPATH": str(packages), "HOME": str(folder)}
    words = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model), "--env-manager", "local"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*words, "--port", str(port)], cwd=folder, env=environment, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        serving_process.wait_for_port(port, process, log)
        yield port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        process.wait(timeout=30)


def test_what_the_code_of_a_version_imports_is_in_the_packages_that_its_image_installs() -> None:
    """The closure of the pinned requirements has every package that the served model imports, directly or not."""
    from lockgate.operations.lineage import pinned_requirements

    graph = grimp.build_graph("lockgate", include_external_packages=True, cache_dir=None)
    reached = graph.find_upstream_modules(LOADED) | {LOADED}
    external = {each for each in reached if not each.startswith("lockgate")} - set(sys.stdlib_module_names)
    distributions = packages_distributions()
    installed = closure({Requirement(each).name.lower() for each in pinned_requirements()})
    missing = {name for name in external if not {each.lower() for each in distributions.get(name, [name])} & installed}
    assert missing == set()


def closure(names: set[str]) -> set[str]:
    """The packages with all that they require on this machine."""
    found: set[str] = set()
    while names - found:
        name = (names - found).pop()
        found.add(name)
        for each in map(Requirement, requires(name) or []):
            if each.marker is None or each.marker.evaluate({"extra": ""}):
                names = names | {each.name.lower()}
    return found
