"""The scripts of the stages as processes."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("stage", ["prepare", "train", "register", "validate"])
def test_a_stage_with_other_arguments_says_which_it_takes(stage: str) -> None:
    script = str(PROJECT / "pipelines" / f"{stage}.py")
    done = subprocess.run([sys.executable, script, "one"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr[:23]) == (2, "error: the stage takes ")
    shown = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=True)
    assert f"python -m lockgate.pipeline.{stage}" in shown.stdout
