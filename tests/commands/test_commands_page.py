"""docs/reference/commands.md describes exactly the commands and options of `--help`; lists of commands are not cut."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lockgate.cli import lockgate

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
SHARED = {"timeout", "debug", "result_json"}


def commands(group, above):
    """Every command with its context, those of groups included."""
    for name, command in group.commands.items():
        context = click.Context(command, info_name=name, parent=above)
        if isinstance(command, click.Group):
            yield from commands(command, context)
        else:
            yield context


COMMANDS = {
    context.command_path: context for context in commands(lockgate, click.Context(lockgate, info_name="lockgate"))
}


def option_rows(context, names):
    """The rows of a table of options, as `--help` words them."""
    options = [option for option in context.command.params if isinstance(option, click.Option) and names(option.name)]
    records = [option.get_help_record(context) for option in options]
    rows = [f"| `{option}` | {text.replace('|', chr(92) + '|')} |" for option, text in filter(None, records)]
    return ["| option | meaning |", "|---|---|", *rows] if rows else []


def section(context):
    """What the page says of a command."""
    arguments = [piece for piece in context.command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    paragraphs = [" ".join(lines.split()) for lines in context.command.help.split("\n\n")]
    parts = [f"### `{' '.join([context.command_path, *arguments])}`", " ".join(paragraphs)]
    if rows := option_rows(context, lambda name: name not in SHARED):
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_is_on_the_page_with_the_words_of_its_help(path):
    assert section(COMMANDS[path]) in PAGE


def test_the_page_has_no_other_commands():
    headings = [line for line in PAGE.splitlines() if line.startswith("### ")]
    assert headings == [section(COMMANDS[path]).splitlines()[0] for path in sorted(COMMANDS)]


def test_the_options_of_all_commands_are_on_the_page():
    assert "\n".join(option_rows(COMMANDS["lockgate status"], lambda name: name in SHARED)) in PAGE


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
