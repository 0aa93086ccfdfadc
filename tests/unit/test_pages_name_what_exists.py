"""Each command, option, key of params.yaml and file that a page names exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from from_code.params import keys
from from_code.problem import SECTIONS

from lockgate.cli import lockgate
from lockgate.problem.params import Params

PROJECT = Path(__file__).parents[2]
PAGES = sorted([PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *(PROJECT / "docs").rglob("*.md")])
CODE = re.compile(r"```.*?\n(.*?)```|^    (.+)$|`([^`\n]+)`", re.DOTALL | re.MULTILINE)
# `lockgate` is also the name of a schema, of a database, and of a namespace of Kubernetes.
COMMAND = re.compile(
    r"(?<![\w/.:-])(?<!schema )(?<!-n )(?<!--namespace )lockgate((?: (?!lockgate\b)[a-z][a-z-]*\b(?!@))+)"
    r"((?:[ =\[(]+(?!lockgate\b)[^\s`|]+)*)",
    re.MULTILINE,
)
KEY = re.compile(
    r"(?<![\w./-])((?:gate|monitor|guard|training|fast|generator|members|problem)\.[a-z_.0-9]+[a-z0-9])(?![\w(/])"
)
PATH = re.compile(r"(?<![\w/.-])((?:src|tests|docs|examples|benchmarks|pipelines|docker|audit)/[\w./-]+\.\w+)(?![\w*])")
ENDINGS = (".yaml", ".py", ".md", ".sql", ".png", ".csv", ".json", ".html")


def code_of(page: str) -> Iterator[str]:
    """The code of a page: blocks, indented lines and spans."""
    for found in CODE.finditer(page):
        yield next(filter(None, found.groups()), "")


def unknown_words(text: str) -> list[str]:
    """The commands and options of lockgate in a text that do not exist."""
    return [
        words for line in text.splitlines() for found in COMMAND.finditer(line) for words in _unknown(*found.groups())
    ]


def _unknown(words: str, rest: str) -> Iterator[str]:
    command: click.Command = lockgate
    for word in words.split():
        if not isinstance(command, click.Group):
            break
        if word not in command.commands:
            yield f"lockgate{words}"
            return
        command = command.commands[word]
    known = {name for option in command.params for name in option.opts} | {"--help", "--version"}
    below = command.commands.values() if isinstance(command, click.Group) else ()
    known |= {name for each in below for option in each.params for name in option.opts}
    given = re.findall(r"(?<=[\s\[(])(--[a-z-]+)", rest.partition(" && ")[0].partition(" | ")[0])
    yield from (f"lockgate{words} {option}" for option in given if option not in known)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_command_and_option_of_a_page_exists(page: Path) -> None:
    assert [words for code in code_of(page.read_text(encoding="utf-8")) for words in unknown_words(code)] == []


def test_an_unknown_command_and_an_unknown_option_are_found() -> None:
    assert unknown_words("lockgate fly --high") == ["lockgate fly"]
    assert unknown_words("lockgate ledger verify --export F, and lockgate promote --force") == [
        "lockgate promote --force"
    ]
    assert unknown_words('eval "$(lockgate env)" && lockgate verdict 3 --json | head --lines 3') == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_key_of_a_page_exists(page: Path) -> None:
    known = {key.name for key in keys(Params)} | {f"problem.{name}" for name in SECTIONS["problem"].model_fields}
    known |= {f"problem.{name}.{key}" for name, model in SECTIONS.items() for key in model.model_fields}
    sections = {".".join(name.split(".")[:depth]) for name in known for depth in (1, 2)}
    named = {key for code in code_of(page.read_text(encoding="utf-8")) for key in KEY.findall(code)}
    files = {key for key in named if key.endswith(ENDINGS)}
    assert named - files - known - sections == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = set(PATH.findall(page.read_text(encoding="utf-8")))
    assert {name for name in named if not (PROJECT / name).exists()} == set()
