"""The records of the spool as lines for Postgres, one for each row: `COPY lockgate.predictions (COLUMNS) FROM STDIN`.

This works on whole columns: the numbers of a column become one text, which is cut into its values.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from pydantic_core import to_json

from lockgate.prediction_log.encoding import FEATURES, PROBABILITIES, SEGMENT
from lockgate.prediction_log.record import Column

COLUMNS = """
    at, request_id, role, model, version, digest, stage, degraded, caller_id, confidence, latency_ms,
    "row", features, segment, period, horizon, prediction, lower, upper, class, probabilities
"""
OF_REQUEST = (
    "at", "request_id", "role", "model", "version", "digest", "stage", "degraded", "caller_id", "confidence",
    "latency_ms",
)  # fmt: skip
OF_ROW = ("period", "horizon", "prediction", "lower", "upper", "chosen_class")
UNKNOWN = r"\N"
ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


@dataclass(frozen=True)
class Lines:
    """The lines of some records, and the first days of the months (UTC) in which their requests were answered."""

    lines: tuple[str, ...]
    months: frozenset[date]


def of_records(records: Iterable[bytes]) -> Lines:
    """The lines of records, in the order of their rows."""
    found: list[str] = []
    months: set[str] = set()
    for record in records:
        text, _, packed = record.partition(b"\n")
        head = json.loads(text)
        months.add(head["at"][:7])
        request = "\t".join(_field(head[name]) for name in OF_REQUEST)
        rows = _rows(head["columns"], packed, head["count"]) if "columns" in head else _rows_of_lists(head["rows"])
        found += (f"{request}\t{place}\t{row}" for place, row in enumerate(rows, start=head["first"]))
    return Lines(tuple(found), frozenset(date.fromisoformat(f"{month}-01") for month in months))


def _rows(columns: dict[str, Any], packed: bytes, count: int) -> Iterator[str]:
    found = _unpacked(columns, packed, count)
    fields = [
        _objects(_of(FEATURES, found), count),
        _objects(_of(SEGMENT, found), count),
        *(_fields(found[name]) if name in found else [UNKNOWN] * count for name in OF_ROW),
        _objects(of, count) if (of := _of(PROBABILITIES, found)) else [UNKNOWN] * count,
    ]
    return map("\t".join, zip(*fields, strict=True))


def _rows_of_lists(rows: list[list[Any]]) -> Iterator[str]:
    """The rows of a record of an earlier Lockgate: each is a list."""
    return ("\t".join(map(_field, row)) for row in rows)


def _unpacked(columns: dict[str, Any], packed: bytes, count: int) -> dict[str, Column]:
    """The columns of a record. Those that are the name of a type follow each other in `packed`."""
    found, start = dict(columns), 0
    for name, column in columns.items():
        if isinstance(column, str):
            found[name] = np.frombuffer(packed, column, count, start)
            start += found[name].nbytes
    return found


def _of(group: str, columns: Mapping[str, Column]) -> dict[str, Column]:
    return {name.removeprefix(group): column for name, column in columns.items() if name.startswith(group)}


def _objects(columns: Mapping[str, Column], count: int) -> list[str]:
    """A JSON object for each row."""
    if not columns:
        return ["{}"] * count
    pairs = [
        [f"{key}:{value}" for value in _texts_of_json(column)]
        for key, column in ((to_json(name).decode().replace("\\", r"\\"), column) for name, column in columns.items())
    ]
    return [f"{{{','.join(row)}}}" for row in zip(*pairs, strict=True)]


def _texts_of_json(column: Column) -> list[str]:
    if isinstance(column, np.ndarray):
        return _numbers(column)
    return [to_json(value).decode().replace("\\", r"\\") for value in column]


def _fields(column: Column) -> list[str]:
    if isinstance(column, np.ndarray):
        return [UNKNOWN if number == "null" else number for number in _numbers(column)]
    return [_field(value) for value in column]


def _numbers(column: "np.ndarray[Any, Any]") -> list[str]:
    """The numbers as texts, so that a reader gets the same numbers; `null` for NaN and infinity."""
    return to_json(column.tolist(), inf_nan_mode="null").decode()[1:-1].split(",")


def _field(value: Any) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, str):
        return value.translate(ESCAPES)
    return to_json(value).decode().replace("\\", r"\\")
