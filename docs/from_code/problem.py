"""The keys of a problem's description, from the classes of pydantic."""

from typing import Any

from pydantic import BaseModel

from from_code.meanings import about, meaning
from from_code.params import limits
from from_code.tables import table
from lockgate.problem import description
from lockgate.problem.metrics import METRICS

HEADS = ("key", "type", "allowed", "default", "meaning")
SECTIONS: dict[str, type[BaseModel]] = {
    "problem": description.Problem,
    "sources": description.SourceFile,
    "time": description.TimeColumn,
    "columns": description.ColumnDescription,
    "where": description.Where,
    "rules": description.RowRule,
    "derived": description.Derived,
    "split": description.Split,
    "slices": description.Bins,
}
NAMES = {model.__name__: name for name, model in SECTIONS.items()}
TYPES = {"object": "mapping", "string": "text"}


def sections() -> str:
    """A section for each part of the description."""
    return "\n\n".join(f"## `{name}`\n\n{about(model)}\n\n{rows(model)}" for name, model in SECTIONS.items())


def rows(model: type[BaseModel]) -> str:
    """The table of the keys of a part."""
    found = model.model_json_schema()
    found = found if "properties" in found else found["$defs"][model.__name__]
    required = found.get("required", [])
    return table(
        HEADS,
        [
            (f"`{name}`", kind(schema), allowed(schema), default(schema, name in required), meaning(model, name))
            for name, schema in found["properties"].items()
        ],
    )


def _given(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a value that is given; the alternatives of a value of many types."""
    found: list[dict[str, Any]] = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    return found[0] if len(found) == 1 else {"anyOf": found}


def kind(schema: dict[str, Any], plural: str = "") -> str:
    """The type of a value in words."""
    schema = _given(schema)
    if "anyOf" in schema:
        *most, last = [kind(each, plural) for each in schema["anyOf"]]
        return f"{', '.join(most)} or {last}"
    if "$ref" in schema:
        return f"`{NAMES[schema['$ref'].rpartition('/')[2]]}`"
    if "prefixItems" in schema:
        return f"list of {kind(schema['prefixItems'][0], 's')}"
    if schema["type"] == "array":
        return f"list of {kind(schema['items'], 's')}"
    if schema["type"] == "boolean":
        return "true or false"
    return ("date" if schema.get("format") == "date" else TYPES.get(schema["type"], str(schema["type"]))) + plural


def allowed(schema: dict[str, Any]) -> str:
    """The values that a key accepts, in words."""
    schema = _given(schema)
    if schema.get("enum") == list(METRICS):
        return "a [metric of the gate](gate.md)"
    if "prefixItems" in schema:
        return f"{schema['minItems']} entries"
    for inside in ("items", "additionalProperties"):
        if isinstance(schema.get(inside), dict) and "anyOf" not in schema[inside]:
            return _each(schema[inside], of_mapping=inside == "additionalProperties")
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{text}`" for text in schema.get("enum", [schema.get("const")]) if text)
    if "pattern" in schema:
        return f"`{schema['pattern']}`"
    return "true or false" if schema.get("type") == "boolean" else limits(schema) or "any"


def _each(schema: dict[str, Any], of_mapping: bool) -> str:
    """The values that each entry of a list or of a mapping accepts."""
    if (of_each := allowed(schema)) != "any":
        return f"each {of_each}"
    return f"each {kind(schema)}" if of_mapping else "any"


def default(schema: dict[str, Any], required: bool) -> str:
    """The default of a key."""
    if required:
        return "required"
    value = schema["default"]
    if isinstance(value, bool | float):
        return str(value).lower()
    return "none" if value is None else '`""`' if value == "" else f"`{value}`"
