"""Side tables: covariates are joined to the rows by key, time or both; static features stay apart."""

import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lockgate.data import ingest
from lockgate.errors import BadData
from lockgate.features.recipe import Table
from lockgate.problem.description import Problem, contradictions

TODAY = datetime.date(2024, 6, 1)
VISITS = "shop,day,visitors\na,2024-05-02,5\na,2024-05-01,4\nb,2024-05-01,9\n"
DAYS = "calendar_date,day_of_week,holiday_flg\n2024-05-01,Wed,1\n2024-05-02,Thu,0\n2024-05-03,Fri,1\n"
WEATHER = "shop,day,degrees\na,2024-05-01,17.5\nb,2024-05-01,12\n"
SHOPS = "shop,kind\na,bar\nb,cafe\n"
FILES = {"visits.csv": VISITS, "days.csv": DAYS, "weather.csv": WEATHER, "shops.csv": SHOPS}


def problem(**changes: Any) -> Problem:
    columns = {
        "shop": {"type": "category"},
        "day": {"type": "date"},
        "visitors": {"type": "integer"},
        "holiday_flg": {"type": "flag", "file": "days.csv"},
        "degrees": {"type": "number", "file": "weather.csv", "missing": "no station near"},
        "kind": {"type": "category", "file": "shops.csv"},
    }
    given = {
        "name": "visits", "target": "visitors", "metric": "mae", "keys": "shop", "horizon": 2,
        "sources": [
            {"file": "visits.csv"},
            {"file": "days.csv", "key": "day", "rename": {"calendar_date": "day"}},
            {"file": "weather.csv", "key": ["shop", "day"]},
            {"file": "shops.csv", "key": "shop"},
        ],
        "time": {"column": "day"}, "known_covariates": ["holiday_flg", "degrees"], "static_features": "kind",
        "columns": columns,
    }  # fmt: skip
    return Problem.model_validate(given | changes)


def read(folder: Path, **other: str) -> ingest.Tables:
    for name, text in (FILES | {f"{name}.csv": text for name, text in other.items()}).items():
        (folder / name).write_text(text)
    return ingest.read(problem(), [folder / name for name in FILES], TODAY)


def test_covariates_are_joined_by_time_and_by_key_and_time(tmp_path: Path) -> None:
    rows = read(tmp_path).rows
    assert rows["holiday_flg"].tolist() == [1, 0, 1]
    assert rows["degrees"].fillna(-1).tolist() == [17.5, -1, 12]
    assert list(rows) == ["shop", "day", "visitors", "holiday_flg", "degrees"]


def test_static_features_are_in_a_table_of_their_own(tmp_path: Path) -> None:
    assert read(tmp_path).static.to_dict("list") == {"shop": ["a", "b"], "kind": ["bar", "cafe"]}


def test_a_side_table_by_a_part_of_the_key_has_features_of_all_such_keys(tmp_path: Path) -> None:
    given = Problem.model_validate({
        "name": "sales", "target": "sold", "metric": "mae", "keys": ["shop", "dept"], "horizon": 1,
        "sources": [{"file": "sales.csv"}, {"file": "shops.csv", "key": "shop"}, {"file": "depts.csv", "key": "dept"}],
        "time": {"column": "day"}, "static_features": ["kind", "floor"],
        "columns": {"shop": {"type": "category"}, "dept": {"type": "integer"}, "day": {"type": "date"},
                    "sold": {"type": "number"}, "kind": {"type": "category", "file": "shops.csv"},
                    "floor": {"type": "integer", "file": "depts.csv"}},
    })  # fmt: skip
    texts = {"sales.csv": "shop,dept,day,sold\na,2,2024-05-01,3\na,1,2024-05-01,-4\nb,2,2024-05-01,9\n",
             "shops.csv": SHOPS, "depts.csv": "dept,floor\n1,0\n2,3\n"}  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    tables = ingest.read(given, [tmp_path / name for name in texts], TODAY)
    expected = {"shop": ["a", "a", "b"], "dept": [1, 2, 2], "kind": ["bar", "bar", "cafe"], "floor": [0, 3, 3]}
    assert tables.static.to_dict("list") == expected
    assert len(Table.of(given, tables.rows, tables.static).series) == 3


def test_columns_of_a_side_table_that_are_not_described_are_named(tmp_path: Path) -> None:
    assert read(tmp_path).notes == ("ignored column day_of_week (days.csv)",)


def test_a_row_without_a_value_that_must_be_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"2024-05-01 has no row in days\.csv \(and 1 more"):
        read(tmp_path, days="calendar_date,holiday_flg\n2024-05-02,1\n")


def test_a_key_that_stands_twice_in_a_side_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="shop and day must be unique"):
        read(tmp_path, weather=WEATHER + "a,2024-05-01,3\n")


def test_a_renamed_column_that_the_file_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"sources\.rename names 'calendar_date'; found 'date', 'holiday_flg'"):
        read(tmp_path, days="date,holiday_flg\n2024-05-02,1\n")


def test_rows_to_forecast_take_what_they_lack_from_the_side_tables(tmp_path: Path) -> None:
    read(tmp_path)
    (tmp_path / "ask.csv").write_text("shop,day,degrees\nb,2024-05-03,20\na,2024-05-02,\n")
    found = ingest.read_forecast_rows(problem(), tmp_path / "ask.csv", tmp_path)
    assert found["holiday_flg"].tolist() == [1, 0]
    assert found["degrees"].fillna(-1).tolist() == [20, -1]
    assert found["day"].tolist() == [pd.Timestamp("2024-05-03"), pd.Timestamp("2024-05-02")]


def test_rows_to_forecast_that_no_side_table_completes_are_refused(tmp_path: Path) -> None:
    read(tmp_path)
    (tmp_path / "ask.csv").write_text("shop,day\nb,2024-05-04\n")
    with pytest.raises(BadData, match=r"2024-05-04 has no row in days\.csv"):
        ingest.read_forecast_rows(problem(), tmp_path / "ask.csv", tmp_path)
    with pytest.raises(BadData, match="missing column holiday_flg"):
        ingest.read_forecast_rows(problem(), tmp_path / "ask.csv")


@pytest.mark.parametrize(
    ("changes", "contradiction"),
    [
        (
            {"static_features": ["kind", "degrees"], "known_covariates": "holiday_flg"},
            "static feature degrees is in weather.csv, whose key is not",
        ),
        ({"horizon": 0}, "static_features need a horizon above 0"),
    ],
)  # fmt: skip
def test_a_contradiction_is_one_sentence(changes: dict[str, Any], contradiction: str) -> None:
    given = problem().model_dump() | changes
    with pytest.raises(ValueError, match=contradiction):
        Problem.model_validate(given)


def test_a_target_is_in_the_table_of_rows() -> None:
    given = problem()
    columns = dict(given.columns)
    columns["visitors"] = columns["visitors"].model_copy(update={"file": "shops.csv"})
    moved = given.model_copy(update={"columns": columns})
    assert contradictions(moved) == [
        "column visitors is in shops.csv: a side table holds static features and covariates only"
    ]


def test_a_plain_table_takes_covariates_from_a_side_table(tmp_path: Path) -> None:
    flats = Problem.model_validate({
        "name": "flats", "target": "rent", "metric": "mae", "known_covariates": ["town", "people"],
        "sources": [{"file": "flats.csv"}, {"file": "towns.csv", "key": "town"}],
        "columns": {"rent": {"type": "number"}, "town": {"type": "category"},
                    "people": {"type": "integer", "file": "towns.csv"}},
    })  # fmt: skip
    (tmp_path / "flats.csv").write_text("rent,town\n9.5,Ulm\n7,Bonn\n8,Ulm\n")
    (tmp_path / "towns.csv").write_text("town,people\nBonn,330\nUlm,120\n")
    tables = ingest.read(flats, [tmp_path / "flats.csv", tmp_path / "towns.csv"], TODAY)
    assert tables.rows["people"].tolist() == [120, 330, 120]
    assert tables.static.empty
