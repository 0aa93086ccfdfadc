"""MLproject and conda.yaml: what `mlflow run` reads, by MLflow's own loader."""

import hashlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow.exceptions import ExecutionException
from mlflow.projects._project_spec import load_project

ROOT = Path(__file__).parents[2]
CONDA = (ROOT / "conda.yaml").read_text(encoding="utf-8")
NOT_INSTALLED = """
import runpy, sys
from importlib.metadata import Distribution, PackageNotFoundError
find = Distribution.from_name
def find_others(name):
    if name == "lockgate":
        raise PackageNotFoundError(name)
    return find(name)
Distribution.from_name = find_others
sys.argv = ["lockgate", "--version"]
runpy.run_module("lockgate", run_name="__main__")
"""
HOSTILE = ["two words", "it's", '"; touch /tmp/pwned; "', "$(id)", "`id`", "--yes", "-h", "{version}", "a\nb", ""]


def test_mlflow_loads_the_project() -> None:
    project = load_project(str(ROOT))
    assert (project.name, project.env_type) == ("lockgate", "conda_env")
    assert Path(project.env_config_path) == ROOT / "conda.yaml"
    assert set(project._entry_points) == {"main", "promote", "predict"}


def test_main_reproduces_and_then_asks_for_the_verdict() -> None:
    """The last command's exit code is the run's: 4 for a refused candidate."""
    assert _command("main", {}).endswith("&& python -m dvc repro && python -m lockgate verdict")


@pytest.mark.parametrize("text", HOSTILE)
def test_promote_passes_version_and_reason_as_they_were_given(text: str) -> None:
    words = shlex.split(_command("promote", {"version": text, "reason": text}))
    assert words[-6:] == ["lockgate", "promote", "--yes", f"--reason={text}", "--", text]


@pytest.mark.parametrize("text", HOSTILE)
def test_predict_passes_its_paths_as_they_were_given(text: str) -> None:
    words = shlex.split(_command("predict", {"input": text, "output": text}))
    assert words[-5:] == ["lockgate", "predict", f"--input={text}", f"--output={text}", "--stage=Production"]


@pytest.mark.parametrize("missing", ["version", "reason"])
def test_a_promotion_needs_a_version_and_a_reason(missing: str) -> None:
    given = {"version": "2", "reason": "better"}
    del given[missing]
    with pytest.raises(ExecutionException, match=missing):
        _command("promote", given)


def test_conda_installs_the_lock_file_and_nothing_else() -> None:
    """A local path beside a file with hashes is refused by pip, editable or not."""
    assert yaml.safe_load(CONDA)["dependencies"] == ["python=3.11", "pip", {"pip": ["-r requirements.lock"]}]


def test_the_project_runs_from_src_without_being_installed() -> None:
    """So it is in the conda environment: `python -m lockgate` with src on the path, and no metadata of the project."""
    command = [sys.executable, "-c", NOT_INSTALLED]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout.split()[:1]) == (0, ["lockgate"]), done.stderr


def test_a_new_lock_file_means_a_new_conda_environment() -> None:
    """MLflow reuses the environment of the same conda.yaml: without this line an old one would stay in use."""
    lock = hashlib.sha256((ROOT / "requirements.lock").read_bytes()).hexdigest()
    assert re.findall(r"requirements\.lock sha256: (\w+)", CONDA) == [lock], "renew the line in conda.yaml: make lock"


def test_the_lock_file_has_xgboost_once_for_each_system() -> None:
    """`xgboost` and `xgboost-cpu` own the same files; together they would overwrite each other."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = re.findall(r"^(xgboost\S*)==\S+ ; .*sys_platform (.. '\w+') \\$", lock, re.MULTILINE)
    assert set(pinned) == {("xgboost", "== 'darwin'"), ("xgboost-cpu", "!= 'darwin'")}
    assert "nvidia" not in lock


def _command(entry_point: str, parameters: dict[str, Any]) -> str:
    command = load_project(str(ROOT)).get_entry_point(entry_point).compute_command(parameters, None)
    assert isinstance(command, str)
    return command
