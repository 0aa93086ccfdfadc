"""Tables of other problems are read, refused and split by their description alone."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lockgate import digests
from lockgate.data import data_card, ingest, split
from lockgate.errors import BadData
from lockgate.problem.description import Problem

TODAY = datetime.date(2024, 6, 1)
CARS = """name,price,mileage,max_power,fuel
Swift,450000,23.4 kmpl,74 bhp,Diesel
Alto,200000,17.3 km/kg, bhp,LPG
Swift,450000,23.4 kmpl,74 bhp,Diesel
Rapid,370000,,103.52 bhp,Diesel
"""
ENGINES = "1 1 -0.0007  100.0  \n1 2 0.0019 100.0 \n1 3 0.0 99.5 \n2 1 0.1 98 \n2 2 0.1 97 \n"


def number(**more: Any) -> dict[str, Any]:
    return {"type": "number"} | more


def cars(**more: Any) -> Problem:
    columns = {
        "name": {"type": "category"},
        "price": number(range=[1.0, 1e8]),
        "mileage": number(unit=["kmpl", "km/kg"], missing="unknown"),
        "max_power": number(unit=["bhp"], missing="unknown"),
        "fuel": {"type": "category", "categories": ["Diesel", "LPG"]},
    }
    given = {
        "name": "cars", "sources": [{"file": "cars.csv", "duplicates": "drop"}], "target": "price", "metric": "mape",
        "known_covariates": ["name", "mileage", "max_power", "fuel"], "columns": columns,
    }  # fmt: skip
    return Problem.model_validate(given | more)


def engines(**more: Any) -> Problem:
    given = {
        "name": "engines", "target": "rul", "keys": "unit", "horizon": 0, "metric": "rmse",
        "sources": [{"file": "train.txt", "delimiter": "spaces", "names": ["unit", "cycle", "setting", "heat"]}],
        "time": {"column": "cycle", "period": "integer"}, "derived": {"of": "periods_left", "cap": 1},
        "past_covariates": ["setting", "heat"],
        "columns": {
            "unit": {"type": "integer"}, "cycle": {"type": "integer"}, "rul": number(), "setting": number(),
            "heat": number(),
        },
    }  # fmt: skip
    return Problem.model_validate(given | more)


def churn(**more: Any) -> Problem:
    columns = {"charges": number(missing="new"), "churn": {"type": "category", "categories": ["No", "Yes"]}}
    given = {
        "name": "churn", "task": "binary", "positive": "Yes", "target": "churn", "metric": "pr_auc",
        "sources": [{"file": "churn.csv", "missing": [" "]}], "known_covariates": "charges", "drop": "id",
        "columns": columns,
    }  # fmt: skip
    return Problem.model_validate(given | more)


def visits(period: str, **more: Any) -> Problem:
    columns = {"time": {"type": "date"} | more.pop("time", {}), "visits": number()}
    given = {
        "name": "visits", "sources": [{"file": "visits.csv"}], "target": "visits", "horizon": 1, "metric": "mae",
        "time": {"column": "time", "period": period}, "columns": columns,
    }  # fmt: skip
    return Problem.model_validate(given | more)


def read(problem: Problem, folder: Path, text: str | bytes) -> ingest.Tables:
    content = text if isinstance(text, bytes) else text.encode()
    (folder / problem.sources[0].file).write_bytes(content)
    return ingest.read(problem, [folder / problem.sources[0].file], TODAY)


def refusal(problem: Problem, folder: Path, text: str | bytes) -> str:
    with pytest.raises(BadData) as caught:
        read(problem, folder, text)
    assert caught.value.exit_code == 3
    assert caught.value.hint
    return str(caught.value)


def test_units_are_read_a_bare_unit_is_missing_and_exact_duplicates_are_dropped_with_a_note(tmp_path: Path) -> None:
    tables = read(cars(), tmp_path, CARS)
    assert tables.rows["mileage"].tolist()[:2] == [23.4, 17.3]
    assert np.isnan(tables.rows["max_power"][1]) and np.isnan(tables.rows["mileage"][2])
    assert tables.rows["name"].tolist() == ["Swift", "Alto", "Rapid"]
    assert tables.notes == ("dropped 1 of 4 rows that repeat an earlier row (cars.csv)",)
    assert tables.static.empty


def test_spaces_separate_and_names_stand_for_a_header(tmp_path: Path) -> None:
    rows = read(engines(), tmp_path, ENGINES).rows
    assert rows["heat"].tolist() == [100.0, 100.0, 99.5, 98.0, 97.0]
    assert rows["cycle"].tolist() == [1, 2, 3, 1, 2]


def test_periods_left_count_to_the_last_row_of_the_key_up_to_the_cap(tmp_path: Path) -> None:
    assert read(engines(), tmp_path, ENGINES).rows["rul"].tolist() == [1.0, 1.0, 0.0, 1.0, 0.0]


def test_texts_for_missing_values_and_dropped_columns_leave_no_note(tmp_path: Path) -> None:
    tables = read(churn(), tmp_path, "id,charges,churn\n7590,29.85,No\n5575, ,Yes\n")
    assert np.isnan(tables.rows["charges"][1])
    assert list(tables.rows) == ["churn", "charges"]
    assert tables.notes == ()


def test_decimal_commas_delimiters_and_encodings_are_read(tmp_path: Path) -> None:
    problem = cars(sources=[{"file": "cars.csv", "delimiter": ";", "decimal": ",", "encoding": "latin-1"}])
    rows = read(
        problem, tmp_path, "name;price;mileage;max_power;fuel\nCitroën;99,5;1,5 kmpl;;LPG\n".encode("latin-1")
    ).rows
    assert rows.loc[0, ["name", "price", "mileage"]].tolist() == ["Citroën", 99.5, 1.5]


@pytest.mark.parametrize(
    ("period", "time", "texts"),
    [
        ("hour", {}, ["2024-01-01 00:00", "2024-01-01 01:00:00"]),
        ("week", {}, ["2024-01-01", "2024-01-08"]),
        ("month", {}, ["2024-01", "2024-02-01"]),
        ("day", {"form": "%d.%m.%Y"}, ["31.01.2024", "01.02.2024"]),
    ],
)
def test_consecutive_periods_have_consecutive_numbers(
    tmp_path: Path, period: str, time: dict[str, str], texts: list[str]
) -> None:
    problem = visits(period, time=time)
    rows = read(problem, tmp_path, f"time,visits\n{texts[1]},2\n{texts[0]},-1\n").rows
    assert rows["visits"].tolist() == [-1.0, 2.0]
    assert np.diff(problem.period.number(rows["time"].to_numpy())).tolist() == [1]


def test_parquet_is_read_like_a_csv(tmp_path: Path) -> None:
    problem = visits("day", sources=[{"file": "visits.parquet", "format": "parquet"}])
    times = pd.to_datetime(["2024-01-02", "2024-01-01"])
    pd.DataFrame({"time": times, "visits": [1.5, 2.0]}).to_parquet(tmp_path / "visits.parquet")
    assert ingest.read(problem, [tmp_path / "visits.parquet"], TODAY).rows["visits"].tolist() == [2.0, 1.5]


REFUSED = {
    "two rows in a week": (visits("week"), "time,visits\n2024-01-01,2\n2024-01-03,1\n", "time must be unique"),
    "a time after today": (visits("day"), "time,visits\n2024-06-02,2\n", "in the future (today is 2024-06-01)"),
    "a time before 1990": (visits("day"), "time,visits\n1960-01-01,2\n", "outside 1990-01-01 .. 2024-06-01"),
    "another unit": (cars(), CARS.replace("74 bhp", "74 kW"), "max_power is '74 kW': not a finite number"),
    "a price of 0": (cars(), CARS.replace("200000", "0"), "price is '0': outside 1 .. 100000000"),
    "an unknown fuel": (cars(), CARS.replace("LPG", "CNG"), "fuel is 'CNG': not one of Diesel, LPG"),
    "an empty name": (cars(), CARS.replace("Alto", ""), "name is '': the cell is empty"),
    "a cell too few": (engines(), ENGINES.replace(" 99.5", ""), "3 cells where the header has 4"),
    "git-lfs": (engines(), "version https://git-lfs.github.com/spec/v1\n", "a git-lfs pointer"),
    "a web page": (churn(), "<html>", "a web page"),
    "semicolons": (cars(), CARS.replace(",", ";"), "looks semicolon-separated"),
    "a column too few": (churn(), "id,churn\n1,No\n", "missing column charges; found 'id', 'churn'"),
    "an unclear end": (engines(), ENGINES.rstrip(), "the last line has no line end"),
}


@pytest.mark.parametrize(("problem", "text", "gist"), REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_table_is_refused_with_what_and_where(tmp_path: Path, problem: Problem, text: str, gist: str) -> None:
    found = refusal(problem, tmp_path, text)
    assert gist in found
    assert problem.sources[0].file in found


def test_lines_of_a_file_without_header_are_counted_from_1(tmp_path: Path) -> None:
    assert "line 2)" in refusal(engines(), tmp_path, ENGINES.replace("0.0019", "x"))


def fleet(count: int) -> pd.DataFrame:
    return pd.DataFrame({"unit": np.repeat(np.arange(count), 5), "cycle": np.tile(np.arange(5), count)})


def test_a_group_is_whole_on_one_side_and_stays_there_with_more_or_fewer_data() -> None:
    every = split.split(engines(), fleet(600))
    assert not set(every.rows["unit"]) & set(every.holdout["unit"])
    assert 90 < every.holdout["unit"].nunique() < 150
    for count in (30, 31, 60, 90, 333):
        part = split.split(engines(), fleet(count))
        assert set(part.holdout["unit"]) == {unit for unit in every.holdout["unit"] if unit < count}
    longer = pd.concat([fleet(60), fleet(60).assign(cycle=lambda rows: rows["cycle"] + 5)])
    assert set(split.split(engines(), longer).holdout["unit"]) == set(split.split(engines(), fleet(60)).holdout["unit"])


def test_each_side_of_a_split_by_group_has_a_group_however_few_there_are() -> None:
    for first in range(40):
        rows = pd.concat([fleet(first + 5), fleet(first + 5).assign(cycle=lambda part: part["cycle"] + 5)])
        share = 0.3 if first % 2 else 0.9
        parts = split.split(engines(split={"by": "group", "share": share}), rows[rows["unit"] >= first])
        assert parts.rows["unit"].nunique() + parts.holdout["unit"].nunique() == 5
        assert parts.holdout["unit"].nunique() > 0 < parts.rows["unit"].nunique()


def test_each_class_has_its_share_of_the_holdout_whatever_the_order_of_rows() -> None:
    rows = pd.DataFrame({"charges": np.arange(1000.0), "churn": np.where(np.arange(1000) % 10, "No", "Yes")})
    parts = split.split(churn(), rows)
    assert parts.holdout["churn"].value_counts().to_dict() == {"No": 180, "Yes": 20}
    again = split.split(churn(), rows.iloc[::-1]).holdout
    assert set(again["charges"]) == set(parts.holdout["charges"])


@pytest.mark.parametrize("by", ["random", "stratified", "group"])
def test_the_holdout_of_a_shuffled_file_has_the_same_digest(by: str) -> None:
    """So the gate counts the versions that the same rows have judged."""
    rows = pd.DataFrame({"charges": np.arange(1000.0), "churn": np.where(np.arange(1000) % 10, "No", "Yes")})
    problem = churn(split={"by": by} | ({"column": "charges"} if by == "group" else {}))
    shuffled = rows.sample(frac=1, random_state=1)
    assert digests.of_frame(split.split(problem, rows).holdout) == digests.of_frame(
        split.split(problem, shuffled).holdout
    )


def test_equal_rows_are_on_the_same_side() -> None:
    rows = pd.DataFrame({"name": list("ab") * 100, "price": np.tile(np.arange(100.0), 2)})
    parts = split.split(cars(), rows)
    assert not set(parts.rows["price"]) & set(parts.holdout["price"])


@pytest.mark.parametrize(
    ("problem", "rows", "gist"),
    [
        (cars(), pd.DataFrame({"price": np.arange(9.0)}), "at least 10 are needed"),
        (engines(), fleet(2), "2 different values of unit are too few"),
        (churn(), pd.DataFrame({"charges": np.arange(99.0), "churn": ["No"] * 99}), "churn has one class only"),
    ],
    ids=["rows", "groups", "classes"],
)
def test_a_split_that_leaves_too_little_is_refused(problem: Problem, rows: pd.DataFrame, gist: str) -> None:
    with pytest.raises(BadData, match=gist):
        split.split(problem, rows)


def test_the_card_of_classes_has_the_positive_share() -> None:
    rows = pd.DataFrame({"charges": np.arange(1000.0), "churn": np.where(np.arange(1000) % 10, "No", "Yes")})
    card = data_card.card_of(
        churn(), ingest.FileSource(()), ingest.Tables(rows, pd.DataFrame()), split.split(churn(), rows)
    )
    assert card["holdout"]["positive_share"] == 0.1


def test_rows_to_forecast_have_the_times_of_their_period(tmp_path: Path) -> None:
    (tmp_path / "request.csv").write_text("time\n2024-01-01 13:00\n2024-01-02\n")
    rows = ingest.read_forecast_rows(visits("hour"), tmp_path / "request.csv")
    assert rows["time"].tolist() == [pd.Timestamp("2024-01-01 13:00"), pd.Timestamp("2024-01-02")]


def districts() -> Problem:
    """Visits by city, whose district is a static feature that the file of rows holds."""
    columns = {"day": {"type": "date"}, "visits": number()}
    columns |= {name: {"type": "category"} for name in ("city", "district")}
    given = {
        "name": "visits", "sources": [{"file": "visits.csv"}], "target": "visits", "horizon": 1, "metric": "mae",
        "time": {"column": "day", "period": "day"}, "keys": "city", "static_features": "district", "columns": columns,
    }  # fmt: skip
    return Problem.model_validate(given)


def test_static_features_may_be_in_the_file_of_rows(tmp_path: Path) -> None:
    text = "day,city,district,visits\n2024-05-02,Ulm,south,1\n2024-05-01,Ulm,south,2\n2024-05-01,Bonn,west,3\n"
    tables = read(districts(), tmp_path, text)
    assert tables.static.to_dict("list") == {"city": ["Bonn", "Ulm"], "district": ["west", "south"]}
    assert list(tables.rows) == ["city", "day", "visits"]


def test_a_static_feature_that_varies_is_refused(tmp_path: Path) -> None:
    text = "day,city,district,visits\n2024-05-02,Ulm,south,1\n2024-05-01,Ulm,west,2\n"
    assert "district is west but south in an earlier row of city Ulm" in refusal(districts(), tmp_path, text)


def test_rows_that_differ_in_a_column_that_is_not_read_are_no_duplicates(tmp_path: Path) -> None:
    problem = churn(sources=[{"file": "churn.csv", "duplicates": "drop"}])
    tables = read(problem, tmp_path, "id,charges,churn\n1,5.5,No\n2,5.5,No\n2,5.5,No\n")
    assert (len(tables.rows), tables.notes) == (2, ("dropped 1 of 3 rows that repeat an earlier row (churn.csv)",))


def test_a_key_above_2_to_the_53rd_is_refused_because_a_request_cannot_hold_it_exactly(tmp_path: Path) -> None:
    """JSON's numbers are floats: 9007199254740993 would be read as the key before it."""
    (tmp_path / "train.txt").write_text(ENGINES.replace("2 ", "9007199254740993 "))
    with pytest.raises(BadData, match=r"unit is '9007199254740993': outside") as refused:
        ingest.read(engines(), [tmp_path / "train.txt"])
    assert refused.value.hint == "use type: category, because a request cannot hold this number exactly"
    columns = engines().model_dump()["columns"] | {"unit": {"type": "integer", "range": [0, 2**60]}}
    with pytest.raises(ValueError, match=r"key unit has numbers above 9007199254740992"):
        engines(columns=columns)
