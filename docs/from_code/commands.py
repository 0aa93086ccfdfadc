"""The commands with their options, from click."""

import re
from collections.abc import Callable, Iterator

import click

from from_code.tables import table
from lockgate.cli import lockgate

SHARED = {"timeout", "debug", "result_json"}
EXAMPLE = re.compile(r"Example:\n\s+(.+)")


def commands() -> dict[str, click.Context]:
    """Every command by its path, in the order of the alphabet."""
    root = click.Context(lockgate, info_name="lockgate")
    return dict(sorted((context.command_path, context) for context in _below(lockgate, root)))


def _below(group: click.Group, above: click.Context) -> Iterator[click.Context]:
    for name, command in group.commands.items():
        context = click.Context(command, info_name=name, parent=above)
        if isinstance(command, click.Group):
            yield from _below(command, context)
        else:
            yield context


def sections() -> str:
    """A section for each command: its help, an example, its options."""
    return "\n\n".join(section(context) for context in commands().values())


def section(context: click.Context) -> str:
    """What the page says of a command."""
    arguments = [piece for piece in context.command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    paragraphs = [" ".join(lines.split()) for lines in str(context.command.help).split("\n\n")]
    example = EXAMPLE.search(str(context.command.epilog))
    parts = [
        f"### `{' '.join([context.command_path, *arguments])}`",
        " ".join(paragraphs),
        f"    {example[1]}" if example else "",
        options(context, lambda name: name not in SHARED),
    ]
    return "\n\n".join(filter(None, parts))


def options(context: click.Context, chosen: Callable[[str], bool]) -> str:
    """The options as `--help` words them; "" without any."""
    found = [each for each in context.command.params if isinstance(each, click.Option) and chosen(str(each.name))]
    records = filter(None, (option.get_help_record(context) for option in found))
    rows = [(f"`{option}`", text) for option, text in records]
    return table(("option", "meaning"), rows) if rows else ""


def shared_options() -> str:
    """The options that every command has, and which commands lack --timeout."""
    every = commands()
    without = [path for path, each in every.items() if "timeout" not in {given.name for given in each.command.params}]
    *most, last = [f"`{path}`" for path in without]
    return "\n\n".join(
        [
            options(every["lockgate status"], lambda name: name in SHARED),
            f"{', '.join(most)} and {last} need no server and have no `--timeout`.",
        ]
    )
