"""docs/reference/params.md describes exactly the keys that problem/params.py accepts, but for those of `problem`."""

import re
from pathlib import Path

import yaml

from lockgate.gate.checks import CHECKS
from lockgate.problem.params import Params

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "reference" / "params.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([\w.]+)` \| (.+?) \| (.+?) \| (.+?) \| (.+?) \| ([\w, ]+) \| (.+) \|$", re.MULTILINE)
SCHEMA = Params.model_json_schema()
STAGES = yaml.safe_load((PROJECT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def keys(section, above=""):
    """Every key below a section of the schema, with its own schema."""
    for name, schema in section["properties"].items():
        if schema.get("$ref") == "#/$defs/Problem":
            continue
        if "$ref" in schema:
            yield from keys(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], f"{above}{name}.")
        else:
            yield f"{above}{name}", schema


def allowed(schema):
    """The values that a key accepts, as the page writes them."""
    if "anyOf" in schema:
        return f"{allowed(schema['anyOf'][0])}, or null"
    if schema["type"] == "array":
        count = f"at most {schema['maxItems']} entries, each " if "maxItems" in schema else "each "
        return count + allowed(schema["items"])
    if schema["type"] == "string":
        return " or ".join(f"`{text}`" for text in schema["enum"]) if "enum" in schema else text_form(schema)
    if schema["type"] == "boolean":
        return "true or false"
    names = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    return ", ".join(f"{word} {schema[name]:.10g}" for name, word in names.items() if name in schema)


def text_form(schema):
    return f"`{schema['pattern']}`" if "pattern" in schema else "an Ed25519 public key"


def kind(schema):
    if "anyOf" in schema:
        return kind(schema["anyOf"][0])
    return "list" if schema["type"] == "array" else schema["type"]


def value(name):
    found = yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
    for part in name.split("."):
        found = found[part]
    return written(found)


def written(found):
    """A value as YAML writes it."""
    if found is None:
        return "null"
    return str(found).lower() if isinstance(found, bool) else str(found)


def default(name):
    """The default of the key; a section of which all keys have defaults may be left out."""
    *sections, key = name.split(".")
    model = Params
    for section in sections:
        model = model.model_fields[section].annotation
    field = model.model_fields[key]
    return "required" if field.is_required() else written(field.default)


def stages(name):
    """The stages of dvc.yaml that list the key or its section."""
    found = ", ".join(
        stage for stage, entry in STAGES.items() if any(f"{name}.".startswith(f"{key}.") for key in entry["params"])
    )
    return found or "none"


def test_every_key_is_explained_with_its_type_limits_value_and_stages():
    described = [row[:6] for row in ROW.findall(PAGE)]
    assert described == [
        (name, kind(schema), allowed(schema), default(name), value(name), stages(name)) for name, schema in keys(SCHEMA)
    ]


def test_the_checks_that_the_page_names_are_the_gates():
    named = set(re.findall(r"check `([^`]+)`", PAGE))
    assert "within limit" in named
    assert named <= set(CHECKS)
