"""Predictions on record in Postgres: each row once, in a partition of its month, as it was logged."""

from dataclasses import replace
from pathlib import Path

import logged
from sqlalchemy import text

from lockgate.database import predictions
from lockgate.database.connection import Database
from lockgate.operations import drain_log
from lockgate.prediction_log.record import LoggedRow, Role
from lockgate.prediction_log.spool import Spool

ALL = """
    SELECT at, request_id::text, "row", role, model, version, digest, stage, degraded, caller_id, confidence,
           latency_ms, features, segment, period, horizon, prediction, lower, upper, class, probabilities
    FROM lockgate.predictions ORDER BY at, request_id, "row"
"""
MONTHS = """
    SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid
    WHERE inhparent = 'lockgate.predictions'::regclass ORDER BY 1
"""


def stored(database: Database) -> list[tuple[object, ...]]:
    with database.transaction() as connection:
        return [tuple(found) for found in connection.execute(text(ALL))]


def test_a_request_is_stored_as_it_was_logged(database: Database) -> None:
    classes = LoggedRow(
        {"text": 'a "b"\\n\\ ü 🙂', "none": None, "n": 0.1},
        {},
        None,
        None,
        None,
        None,
        None,
        "b",
        {"a": 0.25, "b": 0.75},
    )
    request = logged.request(logged.row(prediction=0.1 + 0.2), classes)
    assert predictions.insert(database, [request]) == 2
    scorer, first, second = request.scorer, *request.rows
    head = (request.at, request.request_id)
    middle = (
        "served", scorer.model, 3, scorer.digest, "Production", False, "c1", 0.9, 1.5
    )  # fmt: skip
    assert stored(database) == [
        (
            *head,
            0,
            *middle,
            dict(first.features),
            {"shop": 1},
            20_000,
            3,
            0.30000000000000004,
            90.25,
            110.125,
            None,
            None,
        ),
        (*head, 1, *middle, dict(second.features), {}, None, None, None, None, None, "b", {"a": 0.25, "b": 0.75}),
    ]


def test_a_request_that_is_sent_again_is_stored_once(database: Database) -> None:
    first, second = logged.request(), logged.request(minutes=1)
    assert predictions.insert(database, [first]) == 1
    assert predictions.insert(database, [first, second, second]) == 1
    assert len(stored(database)) == 2


def test_the_same_request_may_be_scored_by_a_shadow(database: Database) -> None:
    served = logged.request()
    shadow = replace(served, scorer=replace(served.scorer, role=Role.SHADOW, version=4, stage="Staging"))
    assert predictions.insert(database, [served, shadow]) == 2


def test_a_partition_is_made_for_each_month_also_of_a_late_request(database: Database) -> None:
    predictions.insert(database, [logged.request(), logged.request(minutes=1), logged.request(minutes=-60 * 24 * 500)])
    with database.transaction() as connection:
        months = connection.scalars(text(MONTHS)).all()
    assert months[:3] == [f"predictions_{month}" for month in ("2024_11", "2026_03", "2026_04")]
    assert len(months) == 4  # and the month after now


def test_a_request_with_many_rows_is_stored_whole(database: Database, tmp_path: Path) -> None:
    rows = tuple(logged.row(shop) for shop in range(12_001))
    with_spool = Spool(tmp_path / "spool")
    with_spool.append([logged.request(*rows)])
    assert drain_log.drain(with_spool, database) == drain_log.Drained(3, 12_001)
    found = stored(database)
    assert [each[2] for each in found] == list(range(12_001))
    assert [each[13] for each in found] == [{"shop": shop} for shop in range(12_001)]
    assert with_spool.oldest() is None
