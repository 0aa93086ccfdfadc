"""The keys of params.yaml, but for those of `problem`, from the classes of pydantic."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from from_code.meanings import about, meaning
from from_code.tables import table
from lockgate.problem.description import Problem
from lockgate.problem.params import MembersParams, Params

PROJECT = Path(__file__).parents[2]
HEADS = ("key", "type", "allowed", "default", "value", "stage", "meaning")
LIMITS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


@dataclass(frozen=True)
class Key:
    """A key of params.yaml: its full name, the class that reads it, and its schema."""

    name: str
    model: type[BaseModel]
    schema: dict[str, Any]

    @property
    def field(self) -> str:
        """The name within its section."""
        return self.name.rpartition(".")[2]


def sections() -> str:
    """A table for the keys at the top, and one for each section."""
    own = [key for key in keys(Params) if "." not in key.name]
    parts = ["## At the top", rows(own)]
    for name, model in dict(_sections()).items():
        parts += [f"## `{name}`", about(model), rows(list(keys(model, f"{name}.")))]
    return "\n\n".join(parts)


def _sections() -> Iterator[tuple[str, type[BaseModel]]]:
    for name, model in _parts(Params):
        if model is MembersParams:
            yield from ((f"{name}.{member}", inside) for member, inside in _parts(model))
        elif model is not Problem:
            yield name, model


def _parts(model: type[BaseModel]) -> list[tuple[str, type[BaseModel]]]:
    """The sections within a model."""
    kinds = {name: field.annotation for name, field in model.model_fields.items()}
    return [(name, kind) for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, BaseModel)]


def keys(model: type[BaseModel], above: str = "") -> Iterator[Key]:
    """Every key of a model and of its sections, but for those of `problem`."""
    inside, schema = dict(_parts(model)), model.model_json_schema()
    for name in model.model_fields:
        if name not in inside:
            yield Key(above + name, model, schema["properties"][name])
        elif inside[name] is not Problem:
            yield from keys(inside[name], f"{above}{name}.")


def rows(found: list[Key]) -> str:
    """The table of the keys."""
    return table(HEADS, [_row(key) for key in found])


def _row(key: Key) -> tuple[str, ...]:
    return (f"`{key.name}`", kind(key.schema), allowed(key.schema), default(key), value(key.name), stages(key.name),
            meaning(key.model, key.field))  # fmt: skip


def kind(schema: dict[str, Any]) -> str:
    """The type of a value."""
    if "anyOf" in schema:
        return kind(schema["anyOf"][0])
    return "list" if schema["type"] == "array" else str(schema["type"])


def allowed(schema: dict[str, Any]) -> str:
    """The values that a key accepts, in words."""
    if "anyOf" in schema:
        return f"{allowed(schema['anyOf'][0])}, or null"
    if schema["type"] == "array":
        count = f"at most {schema['maxItems']} entries, each " if "maxItems" in schema else "each "
        return count + allowed(schema["items"])
    if schema["type"] == "string":
        return " or ".join(f"`{text}`" for text in schema["enum"]) if "enum" in schema else _form(schema)
    return "true or false" if schema["type"] == "boolean" else limits(schema)


def _form(schema: dict[str, Any]) -> str:
    return f"`{schema['pattern']}`" if "pattern" in schema else "an Ed25519 public key"


def limits(schema: dict[str, Any]) -> str:
    """The limits of a number in words; "" without any."""
    return ", ".join(f"{word} {schema[name]:.10g}" for name, word in LIMITS.items() if name in schema)


def default(key: Key) -> str:
    """The default of the key; a section of which all keys have defaults may be left out."""
    field = key.model.model_fields[key.field]
    return "required" if field.is_required() else written(field.default)


def value(name: str) -> str:
    """The value of the key in the project's params.yaml; `-` for a key that the file leaves out."""
    found = yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
    for part in name.split("."):
        if part not in found:
            return "-"
        found = found[part]
    return written(found)


def written(found: object) -> str:
    """A value as YAML writes it."""
    if found is None:
        return "null"
    return str(found).lower() if isinstance(found, bool) else str(found)


def stages(name: str) -> str:
    """The stages of dvc.yaml that list the key or its section."""
    listed = yaml.safe_load((PROJECT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    found = [
        stage for stage, entry in listed.items() if any(f"{name}.".startswith(f"{key}.") for key in entry["params"])
    ]
    return ", ".join(found) or "none"
