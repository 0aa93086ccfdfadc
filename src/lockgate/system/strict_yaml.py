"""A strict YAML reader: no duplicate keys, no tags, bounded size, depth and aliases; errors with their place."""

from collections.abc import Hashable
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node

LARGEST = 1 << 20  # bytes
DEEPEST = 40
MOST_ALIASES = 100
MOST_VALUES = 5_000


class Malformed(ValueError):
    """Raised for text that this reader refuses; the message has line and column."""


class _StrictLoader(yaml.SafeLoader):  # type: ignore[misc]
    """PyYAML's safe loader, without duplicate keys, tags and unbounded aliases."""

    depth = 0
    aliases = 0
    values = 0
    anchored = 0  # number of enclosing nodes with an anchor

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event = self.peek_event()
        self._refuse(event)
        has_anchor = getattr(event, "anchor", None) is not None
        self.depth += 1
        self.anchored += has_anchor
        try:
            node: Node | None = super().compose_node(parent, index)
            return node
        finally:
            self.depth -= 1
            self.anchored -= has_anchor

    def _refuse(self, event: Any) -> None:
        """Refuse nested aliases, because a few lines of them can stand for more values than fit into memory."""
        if isinstance(event, yaml.AliasEvent):
            self.aliases += 1
            if self.anchored or self.aliases > MOST_ALIASES:
                raise _malformed("an alias within an anchor, or too many aliases", event.start_mark)
        elif event.tag is not None:
            raise _malformed(f"a tag ({event.tag}) is not allowed", event.start_mark)
        if self.depth >= DEEPEST:
            raise _malformed(f"more than {DEEPEST} levels", event.start_mark)
        self.values += 1
        if self.values > MOST_VALUES:
            raise _malformed(f"more than {MOST_VALUES:,} values", event.start_mark)

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except Malformed:
            raise
        except ValueError as error:  # an impossible date, a number with thousands of digits
            raise _malformed(str(error), node.start_mark) from error

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        found: set[Hashable] = set()
        for key_node, _ in node.value:
            is_merge = key_node.tag == "tag:yaml.org,2002:merge"
            key = "<<" if is_merge else self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise _malformed("a key is a list or a mapping", key_node.start_mark)
            if key in found:
                raise _malformed(f"duplicate key {key}", key_node.start_mark)
            found.add(key)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def parse(content: bytes) -> Any:
    """The value of a YAML document in UTF-8. Raises Malformed."""
    if len(content) > LARGEST:
        raise Malformed(f"{len(content):,} bytes, at most {LARGEST:,} are read")
    try:
        return yaml.load(content.decode("utf-8"), _StrictLoader)  # noqa: S506 - a stricter SafeLoader
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise Malformed(f"line {line}, column {column}: not UTF-8") from error
    except yaml.MarkedYAMLError as error:
        raise _malformed(error.problem or "not YAML", error.problem_mark) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, Malformed):
            raise
        raise Malformed(str(error).splitlines()[0]) from error


def _malformed(problem: str, mark: Any) -> Malformed:
    return Malformed(f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else problem)
