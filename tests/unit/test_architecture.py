"""Lists that repeat what the code imports are complete: the dependencies of a stage, the packages of a forecast."""

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest
import yaml

from lockgate.operations.lineage import INFERENCE_PACKAGES

PROJECT = Path(__file__).parents[2]
STAGES = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("lockgate", cache_dir=None)


def modules_of(script: Path, graph: grimp.ImportGraph) -> set[str]:
    """The modules of lockgate that a script imports, and all that those import."""
    named = set()
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("lockgate"):
            named |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    direct = named & graph.modules
    return direct.union(*(graph.find_upstream_modules(module) for module in direct)) - packages(graph)


def packages(graph: grimp.ImportGraph) -> set[str]:
    return {module for module in graph.modules if graph.find_children(module)}


def path_of(module: str) -> str:
    return f"src/{module.replace('.', '/')}.py"


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_every_module_that_its_script_reaches(name: str, graph: grimp.ImportGraph) -> None:
    deps = STAGES[name]["deps"]
    reached = {path_of(module) for module in modules_of(PROJECT / f"pipelines/{name}.py", graph)}
    assert {path for path in reached if not any(path == dep or path.startswith(f"{dep}/") for dep in deps)} == set()


@pytest.mark.parametrize("name", STAGES)
def test_every_module_that_a_stage_names_is_reached(name: str, graph: grimp.ImportGraph) -> None:
    reached = {path_of(module) for module in modules_of(PROJECT / f"pipelines/{name}.py", graph)}
    named = [dep for dep in STAGES[name]["deps"] if dep.startswith("src/") and not dep.endswith("/__init__.py")]
    assert [dep for dep in named if not any(path == dep or path.startswith(f"{dep}/") for path in reached)] == []
    assert all((PROJECT / dep).exists() for dep in named)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_script_is_about_thirty_lines(name: str) -> None:
    assert len((PROJECT / f"pipelines/{name}.py").read_text().splitlines()) <= 45


def test_the_version_of_every_library_that_a_member_imports_is_recorded() -> None:
    """MLflow installs these packages where it serves a version."""
    trees = [ast.parse(path.read_text()) for path in (PROJECT / "src/lockgate/models").glob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    names |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    libraries = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"lockgate"}
    assert "catboost" in libraries
    distributions = packages_distributions()
    assert [name for name in libraries if not set(distributions[name]) & set(INFERENCE_PACKAGES)] == []
