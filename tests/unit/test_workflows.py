"""The examples of schedules and workflows: well formed, with commands that exist; no schedule promotes."""

import re
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from lockgate.cli import lockgate

FOLDER = Path(__file__).parents[2] / "examples"
SCHEDULES, CI = sorted((FOLDER / "schedules").iterdir()), sorted((FOLDER / "ci").iterdir())
WORKFLOWS = [path for path in SCHEDULES + CI if path.suffix == ".yml"]
COMMAND = re.compile(r"(?<![./])lockgate ((?:[a-z][a-z-]*)(?: drain)?)((?: --[a-z-]+)*)")


def commands_of(path: Path) -> list[tuple[str, list[str]]]:
    """The commands of lockgate in a file, and their options."""
    return [(words, options.split()) for words, options in COMMAND.findall(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("path", SCHEDULES + CI, ids=lambda path: path.name)
def test_every_command_of_a_file_exists_with_its_options(path: Path) -> None:
    found = commands_of(path)
    assert found
    for words, options in found:
        command: click.Command = lockgate
        for word in words.split():
            assert isinstance(command, click.Group)
            command = command.commands[word]
        known = {name for option in command.params for name in option.opts}
        assert set(options) <= known, words


@pytest.mark.parametrize("path", [*SCHEDULES, FOLDER / "ci/pull-request.yml"], ids=lambda path: path.name)
def test_no_schedule_and_no_pull_request_promotes(path: Path) -> None:
    assert {words for words, _ in commands_of(path)} & {"promote", "approve"} == set()


def workflow(path: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_steps_that_a_shell_can_read(path: Path) -> None:
    [job] = workflow(path)["jobs"].values()
    for step in job["steps"]:
        assert ("run" in step) != ("uses" in step)
        subprocess.run(["bash", "-n", "-c", step.get("run", "")], check=True, timeout=10)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_text_of_a_user_is_put_into_a_script(path: Path) -> None:
    """A reason such as `"; curl ...` would run; a script gets such texts as variables."""
    [job] = workflow(path)["jobs"].values()
    assert [step["run"] for step in job["steps"] if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize("path", [path for path in SCHEDULES if path.suffix == ".yml"], ids=lambda path: path.name)
def test_a_schedule_has_a_time(path: Path) -> None:
    assert workflow(path)[True]["schedule"][0]["cron"]  # YAML reads the key `on` as true


def test_only_one_training_runs_at_a_time() -> None:
    trainings = [workflow(FOLDER / name)["concurrency"] for name in ("schedules/retrain.yml", "ci/pull-request.yml")]
    assert trainings == ["training", "training"]


def test_the_shell_script_can_be_read_by_a_shell() -> None:
    subprocess.run(["sh", "-n", str(FOLDER / "schedules/retrain.sh")], check=True, timeout=10)
