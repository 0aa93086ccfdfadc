"""The examples of schedules: they are well formed, name commands that exist, and never promote."""

import re
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from lockgate.cli import lockgate

FOLDER = Path(__file__).parents[2] / "examples" / "schedules"
FILES = sorted(FOLDER.iterdir())
COMMAND = re.compile(r"(?<![./])lockgate ((?:[a-z][a-z-]*)(?: drain)?)((?: --[a-z-]+)*)")


def commands_of(path: Path) -> list[tuple[str, list[str]]]:
    """The commands of lockgate in a file, and their options."""
    return [(words, options.split()) for words, options in COMMAND.findall(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_command_of_a_schedule_exists_with_its_options(path: Path) -> None:
    found = commands_of(path)
    assert found
    for words, options in found:
        command: click.Command = lockgate
        for word in words.split():
            assert isinstance(command, click.Group)
            command = command.commands[word]
        known = {name for option in command.params for name in option.opts}
        assert set(options) <= known, words


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_schedule_promotes(path: Path) -> None:
    assert {words for words, _ in commands_of(path)} & {"promote", "approve"} == set()


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".yml"], ids=lambda path: path.name)
def test_a_workflow_has_a_schedule_and_steps(path: Path) -> None:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    [job] = found["jobs"].values()
    assert found[True]["schedule"][0]["cron"]  # YAML reads the key `on` as true
    assert all(("run" in step) != ("uses" in step) for step in job["steps"])


def test_the_shell_script_can_be_read_by_a_shell() -> None:
    subprocess.run(["sh", "-n", str(FOLDER / "retrain.sh")], check=True, timeout=10)
