"""A file of ground truth is read by the description of its problem, and refused with the line."""

import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import panel_tables
import pytest
from test_described_tables import cars, churn, engines

from lockgate.data import truth_file
from lockgate.data.truth_file import TruthFile
from lockgate.errors import BadData
from lockgate.prediction_log.truth_rows import TruthRow, truth_rows
from lockgate.problem.description import Problem

TODAY = datetime.date(2024, 6, 1)
ID = str(UUID(int=7))
SHOPS = panel_tables.problem("day")


def read(problem: Problem, folder: Path, text: str) -> TruthFile:
    path = folder / "truth.csv"
    path.write_text(text)
    return truth_file.read(problem, path, TODAY)


def test_columns_may_have_any_order_and_others_are_named(tmp_path: Path) -> None:
    found = read(SHOPS, tmp_path, "note,y,time,shop\nx,1.5,2024-05-31,a\ny,2,2024-05-30,b\n")
    assert truth_rows(SHOPS, found.rows) == [
        TruthRow({"shop": "a"}, 19_874, None, None, 1.5, None),
        TruthRow({"shop": "b"}, 19_873, None, None, 2.0, None),
    ]
    assert (found.left_out, found.ignored) == (0, ("note",))


def test_parquet_is_read_like_csv(tmp_path: Path) -> None:
    rows = pd.DataFrame({"shop": ["a"], "time": pd.to_datetime(["2024-05-31"]), "y": [1.5]})
    rows.to_parquet(tmp_path / "truth.parquet")
    found = truth_file.read(SHOPS, tmp_path / "truth.parquet", TODAY)
    assert truth_rows(SHOPS, found.rows) == [TruthRow({"shop": "a"}, 19_874, None, None, 1.5, None)]


def test_the_same_row_twice_counts_once(tmp_path: Path) -> None:
    found = read(SHOPS, tmp_path, "shop,time,y\na,2024-05-31,1\nb,2024-05-31,1\na,2024-05-31,1.0\nc,2024-05-31,2\n")
    assert found.rows["shop"].tolist() == ["a", "b", "c"]
    assert found.place(2) == f"{tmp_path}/truth.csv, line 5"


def test_two_values_of_one_row_are_refused_with_both_lines(tmp_path: Path) -> None:
    with pytest.raises(BadData) as refused:
        read(SHOPS, tmp_path, "shop,time,y\na,2024-05-31,1\nb,2024-05-31,1\na,2024-05-31,2\n")
    path = tmp_path / "truth.csv"
    assert str(refused.value) == (
        f"shop a, time 2024-05-31 00:00:00 has two values of y: 1.0 in {path}, line 2, and 2.0 ({path}, line 4)"
    )


def test_two_days_of_one_week_are_one_row(tmp_path: Path) -> None:
    weeks = panel_tables.problem("week")
    keys = dict.fromkeys(weeks.keys, "1")
    rows = [",".join([*keys.values(), day, value]) for day, value in (("2024-05-27", "1"), ("2024-05-28", "2"))]
    with pytest.raises(BadData, match="two values of y"):
        read(weeks, tmp_path, "\n".join([",".join([*keys, "time", "y"]), *rows, ""]))


BAD: dict[str, tuple[str, str]] = {
    "missing column": ("shop,time\na,2024-05-31\n", "missing column y"),
    "no number": ("shop,time,y\na,2024-05-31,many\n", "y is 'many': not a finite number"),
    "empty": ("shop,time,y\na,2024-05-31,\n", "y is '': the cell is empty"),
    "not yet": ("shop,time,y\na,2024-06-02,1\n", "in the future"),
    "no key": ("shop,time,y\n,2024-05-31,1\n", "shop is ''"),
    "header only": ("shop,time,y\n", "no data rows"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_row_that_the_description_does_not_allow_is_refused(tmp_path: Path, name: str) -> None:
    text, message = BAD[name]
    with pytest.raises(BadData, match=message):
        read(SHOPS, tmp_path, text)


def test_rows_that_are_not_scored_are_left_out_and_counted(tmp_path: Path) -> None:
    columns = {**SHOPS.model_dump()["columns"], "event": {"type": "flag", "missing": "open"}}
    opened = panel_tables.problem("day", where={"column": "event", "equals": 1, "otherwise": 0.0}, columns=columns)
    text = "shop,time,y,event\na,2024-05-30,0,0\na,2024-05-31,5,1\nb,2024-05-31,6,\nb,2024-05-30,0,0\n"
    found = read(opened, tmp_path, text)
    assert (found.rows["y"].tolist(), found.left_out) == ([5.0, 6.0], 2)
    assert found.place(1) == f"{tmp_path}/truth.csv, line 4"


def test_without_keys_and_time_the_answers_request_names_a_row(tmp_path: Path) -> None:
    found = read(churn(), tmp_path, f"row,churn,request_id\n3,Yes,{ID}\n0,No,{ID.upper()}\n")
    assert truth_rows(churn(), found.rows) == [
        TruthRow({}, None, ID, 3, None, "Yes"),
        TruthRow({}, None, ID, 0, None, "No"),
    ]


def test_a_request_without_a_row_is_its_first_row(tmp_path: Path) -> None:
    found = read(cars(), tmp_path, f"request_id,price\n{ID},5000\n")
    assert truth_rows(cars(), found.rows) == [TruthRow({}, None, ID, 0, 5000.0, None)]


@pytest.mark.parametrize(("text", "message"), [("7,Yes", "not the id of a request"), (f"{ID},Perhaps", "not one of")])
def test_a_strange_request_and_a_strange_class_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadData, match=message):
        read(churn(), tmp_path, f"request_id,churn\n{text}\n")


def test_a_class_that_is_a_number_is_the_class_of_the_description(tmp_path: Path) -> None:
    numbered: dict[str, Any] = {
        "positive": "1",
        "columns": {**churn().model_dump()["columns"], "churn": {"type": "flag"}},
    }
    found = read(churn(**numbered), tmp_path, f"request_id,churn\n{ID},1\n")
    assert [row.true_class for row in truth_rows(churn(**numbered), found.rows)] == ["1"]


def test_periods_left_are_given_as_the_target_and_capped(tmp_path: Path) -> None:
    found = read(engines(), tmp_path, "unit,cycle,rul\n1,31,12\n2,5,180\n")
    assert truth_rows(engines(), found.rows) == [
        TruthRow({"unit": 1}, 31, None, None, 1.0, None),
        TruthRow({"unit": 2}, 5, None, None, 1.0, None),
    ]
