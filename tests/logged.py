"""Logged requests for tests of the prediction log."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any
from uuid import uuid4

import numpy as np

from lockgate.prediction_log.record import Column, LoggedRequest, LoggedRow, LoggedRows, Role, Scorer

MODEL = "shops-ensemble"
START = datetime(2026, 3, 31, 23, 59, 59, 123457, tzinfo=UTC)
SERVED = Scorer(MODEL, 3, "ab" * 32, "Production", Role.SERVED)


def row(shop: int = 1, period: int | None = 20_000, **changes: object) -> LoggedRow:
    """A row of a shop; `changes` are other fields."""
    segment: Mapping[str, int] = {"shop": shop}
    plain = LoggedRow(
        {"shop": shop, "day": "2024-10-04", "promo": 1}, segment, period, 3, 100.5, 90.25, 110.125, None, None
    )
    return plain._replace(**changes)


def request(
    *rows: LoggedRow, scorer: Scorer = SERVED, minutes: float = 0, caller_id: str | None = "c1"
) -> LoggedRequest:
    """A request, this many minutes after START; one row by default."""
    at = START + timedelta(minutes=minutes)
    return LoggedRequest(str(uuid4()), caller_id, at, scorer, 0.9, 1.5, of_rows(rows or (row(),)))


def head(record: bytes) -> dict[str, Any]:
    """The head of a record of the spool."""
    found: dict[str, Any] = json.loads(record.partition(b"\n")[0])
    return found


def of_rows(rows: Sequence[LoggedRow]) -> LoggedRows:
    """Rows of one form by column, as the log takes them."""
    columns = dict(zip(LoggedRow._fields, zip(*rows, strict=True), strict=True))
    groups = {name: _by_name(columns.pop(name)) for name in ("features", "segment", "probabilities")}
    plain = {name: None if set(values) == {None} else list(values) for name, values in columns.items()}
    return LoggedRows(
        len(rows), groups["features"] or {}, groups["segment"] or {}, **plain, probabilities=groups["probabilities"]
    )


def _by_name(objects: Sequence[Mapping[str, Any] | None]) -> dict[str, Column] | None:
    if objects[0] is None:
        return None
    return {name: [each[name] for each in objects if each is not None] for name in objects[0]}


def rows_of(logged: LoggedRows) -> list[LoggedRow]:
    """The rows one by one, as they will be read from Postgres: an unknown number is None."""

    def values(column: Column | None) -> Sequence[Any]:
        given = (
            [None] * logged.count if column is None else column.tolist() if isinstance(column, np.ndarray) else column
        )
        return [None if isinstance(value, float) and not isfinite(value) else value for value in given]

    def objects(columns: Mapping[str, Column]) -> list[dict[str, Any]]:
        rows = zip(*map(values, columns.values()), strict=True) if columns else [()] * logged.count
        return [dict(zip(columns, row, strict=True)) for row in rows]

    return list(
        map(
            LoggedRow,
            objects(logged.features),
            objects(logged.segment),
            *map(values, (logged.period, logged.horizon, logged.prediction, logged.lower, logged.upper)),
            values(logged.chosen_class),
            objects(logged.probabilities) if logged.probabilities else [None] * logged.count,
        )
    )
