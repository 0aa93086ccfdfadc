"""docs/reference/problem.md describes exactly the keys that problem/description.py accepts."""

import re
from pathlib import Path

import pytest

from lockgate.problem.description import Problem
from lockgate.problem.metrics import METRICS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "problem.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)
SCHEMA = Problem.model_json_schema()
SECTIONS = {  # of the page, by the name of the model
    "SourceFile": "sources",
    "TimeColumn": "time",
    "ColumnDescription": "columns",
    "Where": "where",
    "RowRule": "rules",
    "Derived": "derived",
    "Split": "split",
    "Bins": "slices",
}
MODELS = {"problem": SCHEMA} | {SECTIONS[name]: schema for name, schema in SCHEMA["$defs"].items()}


def bare(schema):
    """The schema of a value that is given; the alternatives of a value of many types."""
    given = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    return given[0] if len(given) == 1 else {"anyOf": given}


def words(schema, plural=""):
    """The type of a value, as the page writes it."""
    schema = bare(schema)
    if "anyOf" in schema:
        *most, last = [words(each, plural) for each in schema["anyOf"]]
        return f"{', '.join(most)} or {last}"
    if "$ref" in schema:
        return f"`{SECTIONS[schema['$ref'].rpartition('/')[2]]}`"
    if "prefixItems" in schema:
        return f"list of {words(schema['prefixItems'][0], 's')}"
    if schema["type"] == "array":
        return f"list of {words(schema['items'], 's')}"
    if schema["type"] == "boolean":
        return "true or false"
    names = {"object": "mapping", "string": "date" if schema.get("format") == "date" else "text"}
    return names.get(schema["type"], schema["type"]) + plural


def allowed(schema):
    """The values that a key accepts, as the page writes them."""
    schema = bare(schema)
    if schema.get("enum") == list(METRICS):
        return "a [metric of the gate](gate.md)"
    if "prefixItems" in schema:
        return f"{schema['minItems']} entries"
    for inside in ("items", "additionalProperties"):
        if isinstance(schema.get(inside), dict) and "anyOf" not in schema[inside]:
            of_each = allowed(schema[inside])
            entry = words(schema[inside])
            return f"each {of_each}" if of_each != "any" else f"each {entry}" if inside[0] == "a" else "any"
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{text}`" for text in schema.get("enum", [schema.get("const")]) if text)
    if "pattern" in schema:
        return f"`{schema['pattern']}`"
    if schema.get("type") == "boolean":
        return "true or false"
    names = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    return ", ".join(f"{word} {schema[name]:.10g}" for name, word in names.items() if name in schema) or "any"


def default(schema, required):
    if required:
        return "required"
    if isinstance(value := schema["default"], bool | float):
        return str(value).lower()
    return "none" if value is None else '`""`' if value == "" else f"`{value}`"


def described(section):
    """The rows of a section of the page, without the meanings."""
    body = PAGE.partition(f"\n## `{section}`\n")[2].partition("\n## ")[0]
    return [row[:4] for row in ROW.findall(body)]


@pytest.mark.parametrize("section", MODELS)
def test_every_key_is_explained_with_its_type_limits_and_default(section):
    model = MODELS[section]
    assert described(section) == [
        (name, words(schema), allowed(schema), default(schema, name in model.get("required", [])))
        for name, schema in model["properties"].items()
    ]


def test_every_section_of_the_page_is_a_part_of_the_description():
    assert sorted(re.findall(r"^## `(\w+)`$", PAGE, re.MULTILINE)) == sorted(MODELS)
