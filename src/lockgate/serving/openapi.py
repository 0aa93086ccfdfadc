"""The OpenAPI description of the server: its pages, and the columns of the problem that it answers for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lockgate import __version__
from lockgate.forecaster.answers import columns_of
from lockgate.forecaster.explanation_records import MOST_EXPLAINED
from lockgate.problem.columns import Category, Column, Date, Decimal, Flag, Months, Whole
from lockgate.problem.confidence import DEFAULT, MOST
from lockgate.problem.description import EXACT
from lockgate.serving.refusals import CODES

if TYPE_CHECKING:
    from lockgate.serving.live_version import LiveVersion

Json = dict[str, Any]
REFUSALS = {
    400: "The body has another form.",
    403: "The address or the origin is another one.",
    408: "The body was not complete in time.",
    409: "The server does not hold the version that the request names; `versions` has those that it holds.",
    413: "The body or the number of rows is too large.",
    415: "The body has another type.",
    422: "Rows cannot be forecast; `rows` lists them.",
    503: "No version answers, too many requests wait, or the log is full.",
}


def document(live: "LiveVersion") -> Json:
    """The description of the server while this version answers."""
    problem = live.problem
    return {
        "openapi": "3.1.0",
        "info": {"title": problem.title or problem.name, "version": __version__, "description": _about(live)},
        "paths": {
            "/invocations": {"post": _invocations()},
            "/ping": {"get": _page("The server runs.")},
            "/health": {"get": _page("The version that answers.", 503)},
            "/version": {"get": _page("The version that answers.", 503)},
            "/metrics": {"get": _page("Metrics for Prometheus.", kind="text/plain")},
        },
        "components": {
            "schemas": {
                "Row": _row(live),
                "Answer": _answer(live),
                "Explanation": _explanation(),
                "Refusal": _refusal(),
            }
        },
    }


def _about(live: "LiveVersion") -> str:
    return (
        f"Forecasts of {live.problem.target} by version {live.version} of {live.model}, in MLflow's scoring protocol."
    )


def _bodies() -> list[Json]:
    """The forms of a JSON body: rows under one of the protocol's names, and params."""
    rows = {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Row"}}
    params = {
        "type": "object",
        "properties": {"confidence": _confidence(), "explain": _explain()},
        "additionalProperties": False,
    }
    split = {
        "type": "object",
        "required": ["columns", "data"],
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            "data": {"type": "array", "minItems": 1, "items": {"type": "array"}},
        },
    }
    forms: Mapping[str, Json] = {
        "dataframe_records": rows, "instances": rows, "inputs": {"anyOf": [rows, {"type": "object"}]},
        "dataframe_split": split,
    }  # fmt: skip
    return [
        {
            "type": "object",
            "required": [name],
            "properties": {name: form, "params": params},
            "additionalProperties": False,
        }
        for name, form in forms.items()
    ]


def _invocations() -> Json:
    predictions = {
        "type": "object",
        "required": ["predictions"],
        "properties": {"predictions": {"type": "array", "items": {"$ref": "#/components/schemas/Answer"}}},
    }
    return {
        "summary": "Forecast rows",
        "parameters": [
            {"name": "X-Request-Id", "in": "header", "schema": {"type": "string", "maxLength": 128}},
            {
                "name": "X-Lockgate-Version",
                "in": "header",
                "schema": {"type": "integer", "minimum": 1},
                "description": "the version that shall answer: the present one, or the one before it while it is kept",
            },
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"oneOf": _bodies()}},
                "text/csv": {"schema": {"type": "string"}},
            },
        },
        "responses": {
            "200": _described("A forecast for each row, in their order.", predictions),
            **{
                str(status): _described(text, {"$ref": "#/components/schemas/Refusal"})
                for status, text in REFUSALS.items()
            },
        },
    }


def _confidence() -> Json:
    return {"type": "number", "exclusiveMinimum": 0, "maximum": MOST, "default": DEFAULT}


def _explain() -> Json:
    return {
        "type": "boolean",
        "default": False,
        "description": f"Give each answer its explanation: slower, and at most {MOST_EXPLAINED} rows.",
    }


def _page(text: str, other: int | None = None, kind: str = "application/json") -> Json:
    statuses = (200, other) if other else (200,)
    return {"responses": {str(status): {"description": text, "content": {kind: {}}} for status in statuses}}


def _described(text: str, schema: Json) -> Json:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _row(live: "LiveVersion") -> Json:
    problem = live.problem
    weekday = {
        "type": ["integer", "null"],
        "minimum": 1,
        "maximum": 7,
        "description": "weekday of the time; Monday is 1",
    }
    checks = dict.fromkeys(problem.checks, weekday)
    return {
        "type": "object",
        "required": [column.name for column in problem.required],
        "properties": {column.name: column_schema(column) for column in problem.request} | checks,
    }


def column_schema(column: Column) -> Json:
    """The schema of a value of the column. A missing value is null where it has a meaning."""
    found = _values(column)
    if column.missing:
        found = {"anyOf": [found, {"type": "null", "description": column.missing}]}
    return found | ({"description": column.meaning} if column.meaning else {})


def _values(column: Column) -> Json:
    match column.kind:
        case Whole(low, high):
            return {"type": "integer", **_limits(low, high)}
        case Decimal(low, high, units):
            number: Json = {"type": "number", **_limits(low, high)}
            return {"anyOf": [number, {"type": "string", "examples": [f"1 {units[0]}"]}]} if units else number
        case Flag():
            return {"type": "integer", "enum": [0, 1]}
        case Category(values):
            return {"type": "string", **({"enum": list(values)} if values else {})}
        case Date(first, last, form):
            return {
                "type": "string",
                "examples": [str(last)],
                "description": f"a time from {first} to {last} {form}".strip(),
            }
        case Months():
            return {"type": "string", "examples": ["Mar,Jun,Sept,Dec"]}


def _limits(low: float, high: float) -> Json:
    """The limits of a number; those that stand for none are left out."""
    found = {"minimum": low} if low > -EXACT else {}
    return found | ({"maximum": high} if high < EXACT else {})


def _answer(live: "LiveVersion") -> Json:
    columns = columns_of(live.problem, live.forecaster.classes)
    types = {
        name: {"type": "string"} if kind is str else {"type": ["number", "null"]} for name, kind in columns.items()
    }
    explanation: Json = {"$ref": "#/components/schemas/Explanation"}
    return {"type": "object", "required": list(types), "properties": types | {"explanation": explanation}}


def _explanation() -> Json:
    effect: Json = {
        "type": "object",
        "required": ["of", "contribution"],
        "properties": {
            "of": {"type": "string", "description": "a column, or words"},
            "value": {"description": "of the column"},
            "contribution": {"type": "number", "description": "in units of the target, or a probability"},
            "factor": {"type": "number", "description": "of a target that is learned in logs"},
            "log_odds": {"type": "number", "description": "of a probability"},
        },
    }
    effects: Json = {"type": "array", "items": effect}
    return {
        "type": "object",
        "description": "With params.explain: base, contributions and parts add up to the forecast.",
        "required": ["forecast", "base", "scale", "contributions", "parts"],
        "properties": {
            "forecast": {"type": "number"},
            "class": {"type": "string"},
            "base": {"type": "number"},
            "scale": {"type": "string", "enum": ["number", "log", "probability"]},
            "contributions": effects,
            "parts": effects,
        },
    }


def _refusal() -> Json:
    row = {"type": "object", "properties": {"row": {"type": "integer"}, "column": {"type": "string"}, "allowed": {}}}
    return {
        "type": "object",
        "required": ["error_code", "message"],
        "properties": {
            "error_code": {"type": "string", "enum": sorted(set(CODES.values()))},
            "message": {"type": "string"},
            "rows": {"type": "array", "items": row},
            "versions": {"type": "array", "items": {"type": "integer"}},
        },
    }
