"""The HTTP interface of `lockgate serve`, from the OpenAPI document that the server gives for the project's problem."""

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from from_code.tables import table
from lockgate.problem.params import load_params
from lockgate.serving.openapi import document

if TYPE_CHECKING:
    from lockgate.serving.live_version import LiveVersion

PARAMS = Path(__file__).parents[2] / "params.yaml"
Json = dict[str, Any]


@cache
def described() -> Json:
    """The document, as a server with version 1 of the project's problem gives it."""
    params = load_params(PARAMS)
    live = SimpleNamespace(
        problem=params.problem, version=1, model=params.model_name, forecaster=SimpleNamespace(classes=())
    )
    return document(cast("LiveVersion", live))


def pages() -> str:
    """The table of paths with the statuses of each answer."""
    rows = [
        (f"`{method.upper()} {path}`", entry.get("summary") or entry["responses"]["200"]["description"],
         ", ".join(entry["responses"]))
        for path, methods in described()["paths"].items()
        for method, entry in methods.items()
    ]  # fmt: skip
    return table(("request", "answer", "status"), rows)


def bodies() -> str:
    """The forms of a body of /invocations."""
    content = _invocations()["requestBody"]["content"]
    rows = [
        (f"`{form}`", f"`{body['required'][0]}`", _shape(body["properties"][body["required"][0]]),
         ", ".join(f"`{name}`" for name in body["properties"]["params"]["properties"]))
        for form, entry in content.items() for body in entry["schema"].get("oneOf", [])
    ]  # fmt: skip
    others = [(f"`{form}`", "", "a header and one line for each row", "") for form, entry in content.items()
              if "oneOf" not in entry["schema"]]  # fmt: skip
    return table(("type", "key", "rows", "`params`"), [*rows, *others])


def _shape(schema: Json) -> str:
    """The form of rows in words."""
    if "anyOf" in schema:
        return "a mapping of columns to lists, or a list of rows"
    return "a list of rows" if schema["type"] == "array" else f"{' and '.join(f'`{k}`' for k in schema['properties'])}"


def refusals() -> str:
    """The statuses of /invocations."""
    found = _invocations()["responses"]
    return table(("status", "means"), [(status, each["description"]) for status, each in found.items()])


def row() -> str:
    """The columns of a row of a request."""
    schema = described()["components"]["schemas"]["Row"]
    rows = [
        (f"`{name}`", "yes" if name in schema["required"] else "no", values(each), each.get("description", ""))
        for name, each in schema["properties"].items()
    ]
    return table(("column", "required", "values", "meaning"), rows)


def values(schema: Json) -> str:
    """The values that a column accepts."""
    if "anyOf" in schema:
        return " or ".join(values(each) for each in schema["anyOf"])
    if schema.get("type") == "null":
        return f"null ({schema['description']})" if "description" in schema else "null"
    kinds, empty = [schema["type"]], ""
    if isinstance(schema["type"], list):
        kinds, empty = [each for each in schema["type"] if each != "null"], ", or null"
    limits = [f"{word} {schema[name]}" for word, name in (("from", "minimum"), ("to", "maximum")) if name in schema]
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    return (
        " ".join([" or ".join(kinds), *limits, *(f"such as `{each}`" for each in schema.get("examples", []))]) + empty
    )


def refusal() -> str:
    """The fields of the body of a refusal."""
    fields = described()["components"]["schemas"]["Refusal"]["properties"]
    codes = ", ".join(f"`{code}`" for code in fields["error_code"]["enum"])
    keys = ", ".join(f"`{name}`" for name in fields)
    return f"The body of a refusal has the keys {keys}. `error_code` is one of {codes}."


def _invocations() -> Json:
    found: Json = described()["paths"]["/invocations"]["post"]
    return found
