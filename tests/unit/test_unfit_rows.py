"""Rows whose value is missing or out of range are left out and counted, where the description says so."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from lockgate.data import ingest
from lockgate.errors import BadData
from lockgate.problem.description import Problem

PRICE: dict[str, Any] = {"type": "integer", "range": [100, 90000], "drop_rows": True}


def problem(price: dict[str, Any] = PRICE, **columns: dict[str, Any]) -> Problem:
    return Problem.model_validate(
        {
            "name": "cars",
            "sources": [{"file": "rows.csv", "missing": ["on request"]}],
            "target": "price",
            "known_covariates": ["power", "seen"],
            "columns": {"power": {"type": "number"}, "seen": {"type": "date"}, "price": price} | columns,
            "metric": "mae",
        }
    )


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    lines = ["power,seen,price"]
    lines += [
        f"{power},2016-03-0{1 + power % 9},{price}" for power, price in enumerate((500, 0, "", 1e9, 700, "on request"))
    ]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines).replace("1000000000.0", "1000000000") + "\n")
    return path


def test_missing_and_absurd_values_are_left_out_and_counted(rows: Path) -> None:
    read = ingest.read(problem(), [rows])
    assert list(read.rows["price"]) == [500, 700]
    assert read.rows["price"].dtype.kind == "i"
    assert read.notes == ("left out 4 of 6 rows: price is missing or out of range (drop_rows)",)


def test_without_it_they_are_refused_with_the_line(rows: Path) -> None:
    with pytest.raises(BadData, match=r"price is '0': outside 100 .. 90000"):
        ingest.read(problem(PRICE | {"drop_rows": False}), [rows])


def test_dates_and_a_missing_value_with_a_meaning(rows: Path) -> None:
    seen = {"type": "date", "range": [date(2016, 3, 1), date(2016, 3, 3)], "drop_rows": True}
    price = {"type": "integer", "missing": "unknown", "range": [0, 1000], "drop_rows": True}
    read = ingest.read(problem(price, seen=seen), [rows])
    assert list(read.rows["price"].fillna(-1)) == [500, 0, -1]


def test_a_bad_text_is_still_refused(rows: Path) -> None:
    rows.write_text(rows.read_text().replace("500", "5oo"))
    with pytest.raises(BadData, match="price is '5oo': not a whole number"):
        ingest.read(problem(), [rows])


def test_a_range_without_rows_is_refused(rows: Path) -> None:
    with pytest.raises(BadData, match="no row remains"):
        ingest.read(problem(PRICE | {"range": [1, 2]}), [rows])
