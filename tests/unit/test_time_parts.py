"""A time in several columns is put together when files are read, those of the history and those of a request."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lockgate.data import ingest
from lockgate.data.time_parts import text_of
from lockgate.errors import BadData
from lockgate.problem.description import Problem

COLUMNS = {"time": {"type": "date"}, "y": {"type": "integer"}, "wet": {"type": "flag"}}


def problem(**changes: Any) -> Problem:
    given: dict[str, Any] = {
        "name": "rentals",
        "sources": [{"file": "rows.csv"}],
        "target": "y",
        "time": {"column": "time", "period": "hour", "of": ["day", "hr"]},
        "horizon": 3,
        "known_covariates": ["wet"],
        "columns": COLUMNS,
        "metric": "mae",
    }
    return Problem.model_validate(given | changes)


@pytest.mark.parametrize(
    ("kinds", "parts", "text"),
    [
        (("date", "hour"), ("2011-01-01", "5"), "2011-01-01 05:00"),
        (("date", "hour"), ("2011-01-01 00:00:00", "23"), "2011-01-01 23:00"),
        (("date", "hour"), ("1.1.2011", "13:00"), "1.1.2011 13:00"),
        (("year", "month"), ("2011", "3.0"), "2011-03"),
        (("year", "month"), ("2011", "March"), "2011-03"),
        (("year", "week"), ("2011", "1"), "2011-01-03"),
        (("year", "month", "day", "hour"), ("2011", "12", "31", "0"), "2011-12-31 00:00"),
        (("year", "week"), ("2011", "60"), "2011 60"),
        (("date", "hour"), ("2011-01-01", "noon"), "2011-01-01 noon"),
    ],
)
def test_the_text_of_a_time(kinds: tuple[str, ...], parts: tuple[str, ...], text: str) -> None:
    assert text_of(kinds, parts) == text


def test_history_and_requests_have_the_time(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("day,hr,wet,y\n2011-01-01,1,0,5\n2011-01-01,0,1,4\n2011-01-02,0,0,6\n")
    read = ingest.read(problem(), [rows])
    assert list(read.rows.columns) == ["time", "y", "wet"]
    assert list(read.rows["y"]) == [4, 5, 6]
    assert read.rows["time"].iloc[1] == np.datetime64("2011-01-01T01:00")
    assert read.notes == ()
    asked = tmp_path / "asked.csv"
    asked.write_text("day,hr,wet\n2011-01-03,7,1\n")
    assert ingest.read_forecast_rows(problem(), asked)["time"].iloc[0] == np.datetime64("2011-01-03T07:00")
    asked.write_text("time,wet\n2011-01-03 07:00,1\n")
    assert ingest.read_forecast_rows(problem(), asked)["time"].iloc[0] == np.datetime64("2011-01-03T07:00")


def test_a_part_that_is_no_time_is_refused_with_its_line(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("day,hr,wet,y\n2011-01-01,1,0,5\n2011-01-01,25,1,4\n")
    with pytest.raises(BadData, match=r"time is '2011-01-01 25:00': no time of the calendar") as refused:
        ingest.read(problem(), [rows])
    assert str(rows) in str(refused.value)


@pytest.mark.parametrize(
    ("time", "contradiction"),
    [
        ({"column": "time", "period": "day", "of": ["day", "hr"]}, "time.of has 2 columns; period: day"),
        ({"column": "day", "period": "hour", "of": ["day", "hr"]}, "give the time a name of its own"),
    ],
)
def test_parts_that_do_not_fit_the_period_are_refused(time: dict[str, Any], contradiction: str) -> None:
    columns = COLUMNS | {str(time["column"]): {"type": "date"}}
    if time["column"] != "time":
        del columns["time"]
    with pytest.raises(ValueError, match=contradiction):
        problem(time=time, columns=columns)
