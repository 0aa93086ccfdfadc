"""dvc.yaml names all that a stage depends on, so that DVC never skips a stage whose outcome would change."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
ELSEWHERE = {"register", "validate"}
LOADED = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("stage", sys.argv[1])
spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(*(module.__file__ for name, module in sys.modules.items() if name.startswith("lockgate.")), sep="\\n")
"""


@pytest.mark.long
@pytest.mark.parametrize("stage", sorted(set(STAGES) - ELSEWHERE))
def test_a_stage_that_dvc_may_skip_depends_on_each_module_that_it_loads(stage: str) -> None:
    """The package's own __init__ holds the version alone, which changes no result."""
    loaded = subprocess.run(
        [sys.executable, "-c", LOADED, f"pipelines/{stage}.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    named = [(ROOT / dep).resolve() for dep in STAGES[stage]["deps"]]
    paths = [Path(line).resolve() for line in loaded.stdout.split("\n") if line]
    assert paths
    assert [str(path) for path in paths if not any(path == dep or dep in path.parents for dep in named)] == []


def test_stages_that_write_to_the_registry_always_run() -> None:
    assert {name for name, stage in STAGES.items() if stage.get("always_changed")} == ELSEWHERE


def test_every_param_belongs_to_a_stage() -> None:
    """A key that no stage names could be changed without a new run.

    `lockgate up` and `guard install` read `guard`, `lockgate monitor` reads `monitor`.
    """
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    del params["guard"], params["monitor"]
    named = {name for stage in STAGES.values() for name in stage["params"]}
    assert [key for key in _keys(params) if not any(key == name or key.startswith(f"{name}.") for name in named)] == []


def test_the_script_and_the_data_of_a_stage_are_among_its_dependencies() -> None:
    for name, stage in STAGES.items():
        assert f"pipelines/{name}.py" in stage["deps"]
        assert stage["cmd"].split()[2] in stage["deps"]


def _keys(params: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in params.items():
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
