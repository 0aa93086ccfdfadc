"""The slices of a comparison follow the description: columns, bins, weeks of the horizon, sizes of keys, weekdays."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lockgate.comparison.parts import MOST_VALUES, Background, parts
from lockgate.problem.description import Bins, Problem
from lockgate.problem.params import load_params

VEHICLES = load_params(Path(__file__).parents[2] / "examples" / "vehicle_demand" / "params.yaml").problem
START = pd.Timestamp("2020-01-01")


def hourly(**changes):
    """Rentals by station, an hour a row."""
    return Problem.model_validate(
        {
            "name": "rentals",
            "sources": [{"file": "rentals.csv"}, {"file": "stations.csv", "key": ["city", "station"]}],
            "target": "count",
            "keys": ["city", "station"],
            "time": {"column": "at", "period": "hour"},
            "horizon": 336,
            "static_features": "docks",
            "columns": {
                "city": {"type": "category"},
                "station": {"type": "integer"},
                "at": {"type": "date"},
                "count": {"type": "integer"},
                "docks": {"type": "number", "file": "stations.csv"},
            },
            "metric": "mae",
        }
        | changes
    )


def rows_of(problem, count):
    return pd.DataFrame(
        {
            "city": "x",
            "station": np.arange(count) % 2,
            "at": START + pd.to_timedelta(np.arange(1, count + 1), unit="h"),
            "count": np.arange(count) % 7,
        }
    )


def found(problem, rows, known=Background()):  # noqa: B008 - frozen
    return [(part.by, part.value, part.rows) for part, _ in parts(problem, rows, known)]


def number(problem, time):
    return int(problem.period.number(np.array([time], dtype="datetime64[s]"))[0])


def test_a_column_of_the_rows_is_a_way_to_slice():
    rows = pd.DataFrame({"segment": ["van", "suv", "van"], "month": pd.to_datetime(["2020-01-01"] * 3)})
    assert found(VEHICLES, rows) == [("segment", "suv", 1), ("segment", "van", 2)]


def test_a_week_of_hours_has_168_and_months_are_counted_as_they_are():
    problem = hourly(slices=["week"])
    rows = rows_of(problem, 200)
    known = Background(cutoff=number(problem, START.to_datetime64()))
    assert found(problem, rows, known) == [("week", "1", 168), ("week", "2", 32)]
    monthly = VEHICLES.model_copy(update={"slices": ("week",)})
    months = pd.DataFrame({"segment": "van", "month": pd.date_range("2020-02-01", periods=3, freq="MS")})
    known = Background(cutoff=number(monthly, START.to_datetime64()))
    assert found(monthly, months, known) == [("week", "1", 1), ("week", "2", 1), ("week", "3", 1)]


def test_features_and_sizes_of_a_key_are_joined_by_all_its_columns():
    problem = hourly(slices=["docks", "size"])
    static = pd.DataFrame({"city": ["x", "y"], "station": [0, 1], "docks": [12.0, 30.0]})
    history = pd.DataFrame({"city": ["x", "x", "y"], "station": [0, 1, 1], "count": [5, 1, 3]})
    expected = [("docks", "12.0", 2), ("size", "large", 2), ("size", "small", 2)]
    assert found(problem, rows_of(problem, 4), Background(static, history)) == expected


def test_bins_have_about_equally_many_rows_and_are_named_by_their_ends():
    problem = hourly(slices=[{"column": "count", "bins": 2}])
    assert problem.slices == (Bins(column="count", bins=2),)
    assert [rows for _, _, rows in found(problem, rows_of(problem, 70))] == [30, 40]


@pytest.mark.parametrize("way", ["docks", "size", "week"])
def test_a_way_whose_values_are_not_at_hand_is_left_out(way):
    problem = hourly(slices=[way])
    assert found(problem, rows_of(problem, 4)) == []


def test_a_number_with_many_values_is_put_into_quarters_of_the_training_rows():
    problem = hourly(slices=["docks"])
    static = pd.DataFrame({"city": "a", "station": np.arange(40), "docks": np.arange(40.0)})
    rows = pd.DataFrame({"city": "a", "station": np.arange(40), "at": START, "count": 1})
    found = parts(problem, rows, Background(static, rows, None))
    bins = ("up to 9.75", "9.75 to 19.5", "19.5 to 29.25", "above 29.25")
    assert {part.name: part.rows for part, _ in found} == {f"docks {each}": 10 for each in bins}


def test_a_column_of_texts_with_too_many_values_is_left_out():
    problem = hourly(slices=["city"])
    cities = [f"city {number % (MOST_VALUES + 1)}" for number in range(50)]
    assert found(problem, rows_of(problem, 50).assign(city=cities)) == []
