"""Reads the body of a request in one of the forms of MLflow's scoring protocol; strict, and quick for one row.

The values stay as the client sent them: the forecaster reads and refuses them. A column of numbers becomes float64, and
a column of texts stays objects, if every value has that type; only such requests are scored together with others of the
same form, because then each column has the same type alone and together.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockgate.errors import WrongUsage
from lockgate.problem.columns import Category, Date, Decimal, Flag, Months
from lockgate.problem.confidence import DEFAULT, checked
from lockgate.problem.description import Problem
from lockgate.serving.refusals import Refused

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
USE = f"send an object with one of {', '.join(FORMS)}, and params if you like"
SCALARS = frozenset({str, int, float, bool, type(None)})
NUMBERS = frozenset({int, float, bool, type(None)})
TEXTS = frozenset({str, type(None)})
BAD_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
CELL = "a value is a text, a number, true, false or null"


@dataclass(frozen=True)
class Asked:
    """The rows of a request by column, and the confidence of the bounds.

    `ignored` are columns that no forecast needs. `form` has the names and types of the columns: requests of one form
    may be scored together. A request without a form is scored alone. `explain`: it asks for explanations.
    """

    columns: Mapping[str, NDArray[Any]]
    rows: int
    confidence: float
    ignored: tuple[str, ...]
    form: tuple[str, ...] | None
    explain: bool = False


@dataclass(frozen=True)
class Reader:
    """Reads the requests for one problem."""

    problem: Problem

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns that a request may have."""
        return (*(column.name for column in self.problem.request), *self.problem.checks)

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The columns that a request must have."""
        return tuple(column.name for column in self.problem.required)

    @cached_property
    def longest(self) -> Mapping[str, float]:
        """The columns of texts, and the most characters of a text that is scored together with others.

        Longer numbers with a unit are scored alone: pandas may read a column of them otherwise than each of them.
        """
        kinds = {column.name: column.kind for column in self.problem.request}
        texts = {name: inf for name, kind in kinds.items() if isinstance(kind, Category | Date | Months)}
        return texts | {name: 15 for name, kind in kinds.items() if isinstance(kind, Decimal) and kind.units}

    @cached_property
    def flags(self) -> frozenset[str]:
        """The columns in which true and false are 1 and 0."""
        return frozenset(column.name for column in self.problem.request if isinstance(column.kind, Flag))

    def read(self, body: bytes, content_type: str) -> Asked:
        """The rows of a body. Raises Refused."""
        kind = _media_type(content_type)
        text = _text(body)
        if kind == "text/csv":
            return self._asked(_csv(text), DEFAULT)
        asked = _json(text)
        params = _params(asked.pop("params", None))
        if len(asked) != 1 or (form := next(iter(asked))) not in FORMS:
            raise Refused(400, "the body is in none of the forms of the scoring protocol", USE)
        found = self._asked(self._columns(form, asked[form]), _confidence(params))
        return replace(found, explain=True) if _explain(params) else found

    def _columns(self, form: str, given: Any) -> dict[str, Sequence[Any]]:
        if form == "dataframe_split":
            return _split(given)
        if form == "inputs" and isinstance(given, dict):
            return _by_column(given)
        return self._records(form, given)

    def _records(self, form: str, given: Any) -> dict[str, Sequence[Any]]:
        if not isinstance(given, list) or set(map(type, given)) - {dict}:
            raise Refused(400, f"{form} is a list of objects, one for each row")
        if len(given) == 1:
            return {name: [value] for name, value in given[0].items()}
        found = set().union(*given)
        return {name: [row.get(name) for row in given] for name in found}

    def _asked(self, columns: Mapping[str, Sequence[Any]], confidence: float) -> Asked:
        rows = len(next(iter(columns.values()))) if columns else 0
        if not rows:
            raise Refused(400, "the request has no rows")
        for name in self.required:
            if name not in columns:
                raise Refused(400, f"missing column {name}", f"needed: {', '.join(self.required)}")
        found = {name: self._typed(name, columns[name]) for name in self.names if name in columns}
        ignored = () if len(found) == len(columns) else tuple(sorted(set(columns) - set(self.names)))
        form = tuple(f"{name}:{kind}" for name, (_, kind) in found.items())
        plain = all(kind for _, kind in found.values())
        return Asked(
            {name: each for name, (each, _) in found.items()}, rows, confidence, ignored, form if plain else None
        )

    def _typed(self, name: str, values: Sequence[Any]) -> tuple[NDArray[Any], str]:
        """The values of a column, and their common type: "f", "O", or "" without one."""
        types = set(map(type, values))
        if not types <= SCALARS:
            row = next(place for place, value in enumerate(values) if type(value) not in SCALARS)
            raise Refused(400, f"row {row} has a list or an object in column {name}", CELL)
        longest = self.longest.get(name, 0)
        if types <= NUMBERS and longest != inf and (bool not in types or name in self.flags):
            try:
                return np.array(values, dtype=np.float64), "f"
            except OverflowError:  # JSON's integers have any length
                return _objects(values), ""
        plain = types <= TEXTS and (longest == inf or max(map(len, filter(None, values)), default=0) <= longest)
        return _objects(values), "O" if plain else ""


def _media_type(content_type: str) -> str:
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if kind not in ("application/json", "text/csv"):
        raise Refused(415, "the body has another type", "send application/json or text/csv")
    if any(parameter not in ("charset=utf-8", 'charset="utf-8"', "") for parameter in parameters):
        raise Refused(415, "the type of the body has other parameters than charset=utf-8")
    return kind


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(400, "the body is no UTF-8") from None


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_number)
    except RecursionError:
        raise Refused(400, "the JSON is nested too deeply", USE) from None
    except ValueError:
        raise Refused(400, "the body is no JSON", USE) from None
    if not isinstance(found, dict):
        raise Refused(400, "the body is no JSON object", USE)
    if "\\u" in text and BAD_ESCAPE.search(text):
        _refuse_bad_characters(found)
    return found


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Refused(400, "an object of the JSON has a key twice")
    return found


def _no_number(_: str) -> None:
    raise Refused(400, "NaN and Infinity are no numbers of JSON", "write null for a missing value")


def _refuse_bad_characters(value: Any) -> None:
    """Refuse NUL and half of a surrogate pair, which no database keeps as text."""
    try:
        text = json.dumps(value, ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError:
        raise Refused(400, "a text has half of a surrogate pair") from None
    if "\\u0000" in text.replace("\\\\", ""):
        raise Refused(400, "a text has the character NUL")


def _params(given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict) or set(given) - {"confidence", "explain"}:
        raise Refused(400, "params is an object with confidence, explain or both, and nothing else")
    return given


def _explain(params: dict[str, Any]) -> bool:
    found = params.get("explain", False)
    if type(found) is not bool:
        raise Refused(400, "explain is true or false")
    return found


def _confidence(params: dict[str, Any]) -> float:
    given = params.get("confidence", DEFAULT)
    try:
        if type(given) is float:
            return checked(given)
    except WrongUsage:
        pass
    raise Refused(400, "the confidence is out of range", "a share above 0 and at most 0.999, such as 0.95")


def _split(given: Any) -> dict[str, Sequence[Any]]:
    use = "dataframe_split is an object with columns (a list of names) and data (a list of rows)"
    if not isinstance(given, dict) or not {"columns", "data"} <= set(given) <= {"columns", "data", "index"}:
        raise Refused(400, use)
    columns, data = given["columns"], given["data"]
    if not isinstance(columns, list) or not isinstance(data, list) or set(map(type, columns)) - {str}:
        raise Refused(400, use)
    if len(set(columns)) < len(columns):
        raise Refused(400, "a column appears twice", "name each column once")
    if set(map(type, data)) - {list} or set(map(len, data)) - {len(columns)}:
        raise Refused(400, "a row of dataframe_split.data has not as many values as there are columns")
    return dict(zip(columns, zip(*data, strict=True), strict=True)) if data else {}


def _by_column(given: dict[str, Any]) -> dict[str, Sequence[Any]]:
    if not set(map(type, given.values())) - SCALARS:
        return {name: [value] for name, value in given.items()}
    if set(map(type, given.values())) - {list} or len(set(map(len, given.values()))) > 1:
        raise Refused(400, "inputs is an object of columns, each a list with one value for each row")
    return given


def _csv(text: str) -> dict[str, Sequence[Any]]:
    if "\0" in text:
        raise Refused(400, "a text has the character NUL")
    try:
        head, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    except (csv.Error, ValueError):
        raise Refused(400, "the body is no CSV with a header") from None
    if len(set(head)) < len(head):
        raise Refused(400, "a column appears twice", "name each column once")
    rows = [line for line in lines if line]
    if set(map(len, rows)) - {len(head)}:
        raise Refused(400, "a line of the CSV has not as many cells as its header")
    return dict(zip(head, zip(*rows, strict=True), strict=True)) if rows else {}


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found
