"""The commands: each option is explained, each command has an example, and lists of commands are not cut."""

import click
import pytest
from click.testing import CliRunner
from from_code.commands import commands, section

from lockgate.cli import lockgate

COMMANDS = commands()


def test_a_section_has_the_help_an_example_and_the_options_of_a_command():
    assert section(COMMANDS["lockgate retire"]).splitlines() == [
        "### `lockgate retire`",
        "",
        "Archive the version in Production and leave the stage empty.",
        "",
        '    lockgate retire --reason "the chain was sold" --yes',
        "",
        "| option | meaning |",
        "|---|---|",
        "| `--reason TEXT` | The reason, in one line. The history shows it.  [required] |",
        "| `--yes` | Do not ask for confirmation. |",
        "| `--dry-run` | Print what would happen, and change nothing. |",
    ]


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_an_example_that_names_it(path):
    example = section(COMMANDS[path]).split("\n\n")[2]
    assert path in example


@pytest.mark.parametrize("words", [[], ["guard"], ["ledger"], ["log"]])
def test_no_list_of_commands_is_cut_on_a_narrow_terminal(words):
    shown = CliRunner().invoke(lockgate, [*words, "--help"], terminal_width=80).output
    listed = shown.partition("Commands:")[2].splitlines()
    assert len(listed) > 2
    assert [line for line in listed if line.endswith("...") or len(line) > 80] == []


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_is_explained_by_a_sentence(path):
    command = COMMANDS[path].command
    texts = {option.name: option.help for option in command.params if isinstance(option, click.Option)}
    assert {name: text for name, text in texts.items() if not (text and text[0].isupper() and text[-1] == ".")} == {}
