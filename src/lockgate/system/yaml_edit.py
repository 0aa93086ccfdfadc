"""Changes values in the text of a YAML file; comments, order and layout of all other lines stay as they are."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node

from lockgate.system import strict_yaml


def changed(text: str, values: Mapping[str, Any]) -> str:
    """The text with these values by dotted name; a name that it lacks is added to its section.

    Raises strict_yaml.Malformed if the text cannot be changed so that it means exactly this, as with an alias.
    """
    wanted = strict_yaml.parse(text.encode())
    for name, value in values.items():
        wanted = _with(wanted, name.split("."), value)
        text = _changed(text, name.split("."), value)
    if strict_yaml.parse(text.encode()) != wanted:
        raise strict_yaml.Malformed("the values cannot be changed in place, as with an alias or a merged key")
    return text


def written(value: Any) -> str:
    """A value in one line, as YAML writes it within a mapping."""
    if isinstance(value, float):
        return repr(value) if "e" not in repr(value) else f"{value:.15f}".rstrip("0")
    if isinstance(value, str) and yaml.safe_load(value) == value and not set(value) & set(",[]{}:#&*!|>'\"%@`"):
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{written(name)}: {written(each)}' for name, each in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


def _changed(text: str, parts: list[str], value: Any) -> str:
    node = yaml.compose(text, yaml.SafeLoader)
    for place, part in enumerate(parts):
        found = dict(_entries(node))
        if part not in found:
            return _added(text, node, part, _nested(parts[place + 1 :], value))
        node = found[part]
    return text[: node.start_mark.index] + written(value) + text[_end(text, node) :]


def _end(text: str, node: Node) -> int:
    """Where a value ends: a block of several lines ends before the line break that follows it."""
    inside = text[node.start_mark.index : node.end_mark.index]
    return int(node.start_mark.index) + len(inside.rstrip())


def _entries(node: Node) -> Iterator[tuple[str, Node]]:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield str(key.value), value


def _nested(parts: list[str], value: Any) -> Any:
    for part in reversed(parts):
        value = {part: value}
    return value


def _added(text: str, section: Node, name: str, value: Any) -> str:
    """The text with one more key: as the last one in braces and in the file, as the first one of a block."""
    if not isinstance(section, MappingNode):  # a section without keys, such as `members:`
        entry = written({name: value})
        return f"{text[: section.start_mark.index]} {entry}{text[_end(text, section) :]}"
    if section.flow_style:
        end = section.end_mark.index - 1
        comma = ", " if section.value else ""
        return f"{text[:end].rstrip()}{comma}{name}: {written(value)}{text[end:]}"
    if section.start_mark.column == 0:
        return f"{text.rstrip()}\n{name}: {written(value)}\n"
    start, column = section.start_mark.index, section.start_mark.column
    return f"{text[:start]}{name}: {written(value)}\n{' ' * column}{text[start:]}"


def _with(section: Any, parts: list[str], value: Any) -> dict[str, Any]:
    first, *rest = parts
    inside = section if isinstance(section, dict) else {}
    return inside | {first: _with(inside.get(first), rest, value) if rest else value}
