"""Predictions on record in Postgres: each row once, in a partition of its month, as it was logged."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import logged
import numpy as np
import pytest
from sqlalchemy import text

from lockgate.database import predictions, truth
from lockgate.database.connection import Database
from lockgate.operations import drain_log
from lockgate.prediction_log.record import LoggedRow, LoggedRows, Role
from lockgate.prediction_log.spool import Spool
from lockgate.prediction_log.truth_rows import TruthRow

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "prediction-log.md"

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
    number, chosen = logged.row(prediction=0.1 + 0.2), classes
    requests = [logged.request(number), logged.request(chosen, minutes=1)]
    assert predictions.insert(database, requests) == 2
    scorer = logged.SERVED
    middle = (
        "served", scorer.model, 3, scorer.digest, "Production", False, "c1", 0.9, 1.5
    )  # fmt: skip
    assert stored(database) == [
        (
            requests[0].at,
            requests[0].request_id,
            0,
            *middle,
            dict(number.features),
            {"shop": 1},
            20_000,
            3,
            0.30000000000000004,
            90.25,
            110.125,
            None,
            None,
        ),
        (
            requests[1].at,
            requests[1].request_id,
            0,
            *middle,
            dict(chosen.features),
            {},
            *[None] * 5,
            "b",
            {"a": 0.25, "b": 0.75},
        ),
    ]


def test_a_request_that_is_sent_again_is_stored_once(database: Database) -> None:
    first, second = logged.request(), logged.request(minutes=1)
    assert predictions.insert(database, [first]) == 1
    assert predictions.insert(database, [first, second, second]) == 1
    assert len(stored(database)) == 2


EARLIER = (  # as the spool of Lockgate before 2026-12 keeps it
    b'{"request_id":"00000000-0000-4000-8000-00000000000a","caller_id":null,"at":"2026-03-31T23:59:59.123457+00:00",'
    b'"model":"shops-ensemble","version":3,"digest":"ab","stage":null,"role":"batch","degraded":true,"confidence":0.9,'
    b'"latency_ms":1.5,"first":5000,"rows":[[{"shop":1,"name":"a\\\\b\\t\xc3\xbc"},{"shop":1},20000,3,0.1,null,1e-7,'
    b'"tab\\there",{"x":0.25}],[{"shop":2.5,"name":null},{},null,null,null,null,null,null,null]]}'
)


def test_records_of_an_earlier_lockgate_are_stored(database: Database) -> None:
    assert predictions.insert_records(database, [EARLIER]) == 2
    first, second = stored(database)
    assert first[2:] == (
        5000, "batch", "shops-ensemble", 3, "ab", None, True, None, 0.9, 1.5, {"shop": 1, "name": "a\\b\tü"},
        {"shop": 1}, 20_000, 3, 0.1, None, 1e-7, "tab\there", {"x": 0.25},
    )  # fmt: skip
    assert second[2] == 5001
    assert second[12:] == ({"shop": 2.5, "name": None}, {}, *[None] * 7)


def test_many_rows_are_stored_as_few(database: Database) -> None:
    """Numbers of many rows are packed: they must come out as those of few rows, which are written as JSON."""
    rows = LoggedRows(
        2,
        {
            "float": np.array([0.1, np.nan]),
            "whole": np.array([1.0, -0.0]),
            "int": np.array([2, -(2**60)], dtype=np.int64),
            "small": np.array([3, 255], dtype=np.uint8),
            "large": np.array([2**63, 2**64 - 1], dtype=np.uint64),
            "flag": np.array([True, False]),
            "half": np.array([0.1, np.inf], dtype=np.float32),
            "text": ['a "b"\n\t\\ ü 🙂', None],
            'name\\ "of" %s {column}': [1, "1"],
        },
        {"shop": np.array([1, 2]), "kind": ["a\\", "b"]},
        np.array([20_000, 20_001]),
        None,
        np.array([1e300, 5e-324]),
        np.array([np.nan, -np.inf]),
        None,
        ["tab\t", "line\nend\\."],
        {"a\\": np.array([0.25, 1.0])},
    )
    many = replace(logged.request(), rows=_repeated(rows, 50))
    few = replace(logged.request(minutes=1), rows=rows)
    assert predictions.insert(database, [many, few]) == 102
    found = [row[12:] for row in stored(database)]
    assert found[:100] == found[100:] * 50
    assert found[100][0]["text"] == 'a "b"\n\t\\ ü 🙂'
    assert found[101][0]["large"] == 2**64 - 1
    assert found[101][1:] == ({"shop": 2, "kind": "b"}, 20_001, None, 5e-324, None, None, "line\nend\\.", {"a\\": 1.0})


def _repeated(rows: LoggedRows, times: int) -> LoggedRows:
    def of(column: Any) -> Any:
        return np.tile(column, times) if isinstance(column, np.ndarray) else column and column * times

    def all_of(columns: Any) -> Any:
        return {name: of(column) for name, column in columns.items()}

    changed = {name: all_of(each) if isinstance(each, dict) else of(each) for name, each in vars(rows).items()}
    return LoggedRows(**changed)


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


# --- the queries of docs/how-to/prediction-log.md --------------------------------------------------------------------

NOW = datetime(2026, 3, 30, 12, tzinfo=UTC)  # in place of now(): a plan depends on how much of a month is over
QUERIES = {
    name: query.replace("now()", f"timestamptz '{NOW}'")
    for name, query in re.findall(
        r"([^\n]+)\n\n```sql\n((?:SELECT|WITH).*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
}
EXPECTED = {
    "The last 100 predictions of a segment:": ("predictions_of_segment", 100),
    "Count and mean by version in the last day:": ("predictions_of_version", 1),
    "One request, by the `request_id` of its answer:": ("predictions_of_request", 20),
    "The mean absolute error by version, where the truth of predictions of the last day is known:": (
        "predictions_of_version", 1,
    ),
    "The error of one segment, over all its predictions:": ("predictions_of_period", 5),
}  # fmt: skip
INDEXES = """
    SELECT child.relname, parent.relname
    FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid JOIN pg_class AS parent ON parent.oid = inhparent
    WHERE parent.relkind = 'I'
"""
DAY = 20_000


@pytest.fixture
def a_month(database: Database) -> Database:
    """20,000 predictions of the page's model in the last 30 days. The truth is known for every other period: 10."""
    scorer = replace(logged.SERVED, model="rossmann-ensemble")
    rows = [
        logged.row(
            segment={"Store": number % 100 + 1}, period=DAY + number // 100 % 10, horizon=number // 100 % 10 + 1,
            prediction=float(number),
        )
        for number in range(20_000)
    ]  # fmt: skip
    requests = [
        replace(logged.request(*rows[first : first + 20], scorer=scorer), at=NOW - timedelta(minutes=43.2 * count))
        for count, first in enumerate(range(0, 20_000, 20))
    ]
    known = replace(requests[500], request_id="00000000-0000-4000-8000-000000000007")
    predictions.insert(database, [*requests[:500], known, *requests[501:]])
    found = [
        TruthRow(dict(row.segment), row.period, None, None, 10.0, None) for row in rows[: 100 * 10] if row.period % 2
    ]
    truth.load(database, "rossmann-ensemble", found, "f", "anna")
    with database.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(
            text("VACUUM (ANALYZE) lockgate.predictions, lockgate.truth")
        )
    return database


def test_the_page_has_the_queries_that_are_tested() -> None:
    assert list(QUERIES) == list(EXPECTED)


def test_each_query_of_the_page_runs_and_uses_its_index(a_month: Database) -> None:
    with a_month.transaction() as connection:
        parents = dict(tuple(row) for row in connection.execute(text(INDEXES)))
        for name, query in QUERIES.items():
            index, count = EXPECTED[name]
            plan = "\n".join(connection.scalars(text(f"EXPLAIN {query}")))
            used = {parents.get(each) for each in re.findall(r"(?:using|on) (predictions_\w+_idx)", plan)}
            assert (name, used) == (name, {index})
            assert (name, len(connection.execute(text(query)).all())) == (name, count)


def test_the_error_is_that_of_predictions_whose_truth_is_known(a_month: Database) -> None:
    with a_month.transaction() as connection:
        query = next(each for name, each in QUERIES.items() if name.startswith("The mean absolute error"))
        [(version, count, error)] = connection.execute(text(query)).all()
    asked = [number for number in range(680) if (DAY + number // 100 % 10) % 2]
    assert (version, count) == (3, len(asked))
    assert error == pytest.approx(sum(abs(number - 10) for number in asked) / len(asked))
