"""The features that a description declares for a plain table, beside those that every column has by its type."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lockgate.errors import BadConfiguration
from lockgate.features.plain_table.sources import Source
from lockgate.problem.description import Problem

RECIPE = "plain_table"
KNOWN = (RECIPE, "first_words", "numbers_in", "group_statistics", "ratio")
MOST = 10  # words or numbers of a text


@dataclass(frozen=True)
class Declaration:
    """Columns made of others, and group statistics: (column of the groups, column of the number)."""

    categories: tuple[Source, ...]
    numbers: tuple[Source, ...]
    groups: tuple[tuple[Source, Source], ...]


def declaration(problem: Problem) -> Declaration:
    """The declared features; raises BadConfiguration for an unknown name, column or setting."""
    categories: list[Source] = []
    numbers: list[Source] = []
    groups: list[tuple[Source, Source]] = []
    known = {column.name for column in problem.request}
    for name, setting in map(_pair, problem.features):
        match name:
            case "first_words":
                column, counts = _column(name, setting, known), _counts(name, setting, "words")
                categories += [Source(column, "first_words", count) for count in counts]
            case "numbers_in":
                column, (count,) = _column(name, setting, known), _counts(name, setting, "count")
                numbers += [Source(column, "number_in", place) for place in range(count)]
            case "ratio":
                numbers.append(_ratio(setting, known))
            case "group_statistics":
                groups += _groups(setting, known)
    return Declaration(tuple(categories), tuple(numbers), tuple(groups))


def _pair(entry: str | dict[str, Any]) -> tuple[str, Mapping[str, Any]]:
    name, setting = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()), ("", {}))
    if name not in KNOWN or (name != RECIPE and not isinstance(setting, Mapping)):
        near = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.6)
        raise _refused(f"names {name}", f"did you mean {near[0]}?" if near else f"known features: {', '.join(KNOWN)}")
    return name, setting or {}


def _column(name: str, setting: Mapping[str, Any], known: set[str], key: str = "column") -> str:
    column = setting.get(key)
    if column not in known:
        raise _refused(f"{name}.{key} is {column}", f"a column that is learned: {', '.join(sorted(known))}")
    return str(column)


def _counts(name: str, setting: Mapping[str, Any], key: str) -> tuple[int, ...]:
    given = setting.get(key, 1)
    counts = tuple(given) if isinstance(given, list | tuple) else (given,)
    if not counts or not all(isinstance(count, int) and 1 <= count <= MOST for count in counts):
        raise _refused(f"{name}.{key} is {given}", f"whole numbers from 1 to {MOST}")
    return counts if key == "words" else counts[:1]


def _ratio(setting: Mapping[str, Any], known: set[str]) -> Source:
    return Source(_column("ratio", setting, known, "of"), "over", 0, _column("ratio", setting, known, "to"))


def _groups(setting: Mapping[str, Any], known: set[str]) -> list[tuple[Source, Source]]:
    by = Source(_column("group_statistics", setting, known, "by"))
    if words := setting.get("words"):
        by = Source(by.column, "first_words", _counts("group_statistics", {"words": words}, "words")[0])
    given = setting.get("of", ())
    names = (given,) if isinstance(given, str) else tuple(given)
    return [(by, Source(_column("group_statistics", {"of": name}, known, "of"))) for name in names]


def _refused(what: str, hint: str) -> BadConfiguration:
    return BadConfiguration(f"problem.features: {what}", where="params.yaml", hint=hint)
