"""The files of a problem folder, as texts."""

import textwrap
from importlib import resources
from typing import Any

import jinja2
import yaml

from lockgate.describe.document import Document
from lockgate.describe.guess import Line
from lockgate.system.readable_line import visible

WIDTH = 120
TEMPLATES = resources.files("lockgate.describe") / "templates"


def files_of(document: Document) -> dict[str, str]:
    """The text of each file of the folder, without the data."""
    return {
        "params.yaml": _rendered("params.yaml.j2", document),
        "dvc.yaml": _text("pipeline.yaml"),  # DVC would run a file called dvc.yaml in this package
        "README.md": _rendered("README.md.j2", document),
        ".gitignore": _text("gitignore"),
    }


def flow(value: Any) -> str:
    """A value as YAML on one line; with an invisible character, all characters but those of ASCII are escapes."""
    text = _dumped(value, allow_unicode=True)
    return text if text.isprintable() else _dumped(value, allow_unicode=False)


def _dumped(value: Any, allow_unicode: bool) -> str:
    text: str = yaml.safe_dump(
        value, default_flow_style=True, width=10**6, allow_unicode=allow_unicode, sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("\n...")


def comment(text: str, indent: int) -> str:
    """A comment of YAML, indented, on as many lines as it needs; nothing without a text."""
    prefix = " " * indent + "# "
    filled = textwrap.fill(
        visible(text), WIDTH, initial_indent=prefix, subsequent_indent=prefix, break_long_words=False
    )
    return filled + "\n" if filled else ""


def doubts(line: Line, indent: int) -> str:
    """The doubts of a line as comments of YAML."""
    return "".join(comment(f"Doubt: {each}", indent) for each in line.doubts)


def line_of(text: str) -> str:
    """A text on one line: names and values of a file may have line ends, which would end a comment of YAML."""
    return visible(" ".join(text.split()))


def _rendered(name: str, document: Document) -> str:
    environment = jinja2.Environment(  # noqa: S701 - no page
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"flow": flow, "comment": comment, "doubts": doubts, "line": line_of}
    return environment.from_string(_text(name)).render(vars(document) | {"title": _title(document)})


def _title(document: Document) -> str:
    return next(str(line.value) for line in document.head if line.key == "title")


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")
