"""Rows of the history with the key and time of another row."""

import json
import re
from pathlib import Path

import pytest

from lockgate.data import ingest
from lockgate.errors import BadData
from lockgate.problem.description import Problem

TEXT = """time,shop,promo,guests,rentals
2024-10-27 01:00,n,0,1,10
2024-10-27 02:00,n,1,2,20
2024-10-27 02:00,n,0,4,31
2024-10-27 02:00,s,0,5,7
"""


def problem(duplicates: str) -> Problem:
    return Problem.model_validate(
        {
            "name": "hours",
            "sources": [{"file": "hours.csv", "duplicates": duplicates}],
            "target": "rentals",
            "keys": ["shop"],
            "time": {"column": "time", "period": "hour"},
            "horizon": 1,
            "known_covariates": ["promo"],
            "past_covariates": ["guests"],
            "columns": {
                "time": {"type": "date", "form": "%Y-%m-%d %H:%M"},
                "shop": {"type": "category"},
                "promo": {"type": "flag"},
                "guests": {"type": "number"},
                "rentals": {"type": "integer"},
            },
            "metric": "wape",
        }
    )


def read(folder: Path, duplicates: str) -> ingest.Tables:
    path = folder / "hours.csv"
    path.write_text(TEXT)
    return ingest.read(problem(duplicates), [path])


@pytest.mark.parametrize(("how", "rentals"), [("first", 20), ("mean", 26), ("sum", 51)])
def test_rows_of_one_key_and_time_are_joined_to_one(tmp_path: Path, how: str, rentals: int) -> None:
    """What is measured is joined, a mean of whole numbers is rounded, and what is known before has its first value."""
    found = read(tmp_path, how)
    assert found.rows["rentals"].tolist() == [10, rentals, 7]
    assert found.rows["promo"].tolist() == [0, 1, 0]
    assert found.notes[0] == f"joined 1 of 4 rows to an earlier row of their key and time (duplicates: {how})"


@pytest.mark.parametrize("how", ["refuse", "drop"])
def test_other_rows_are_refused_and_the_hint_names_the_change_of_clocks(tmp_path: Path, how: str) -> None:
    with pytest.raises(BadData, match="must be unique") as refused:
        read(tmp_path, how)
    assert re.search("duplicates: first, mean or sum .* when the clocks go back", str(refused.value.hint))


def test_a_table_without_time_has_no_rows_to_join() -> None:
    table = problem("refuse").model_dump(mode="json") | {"time": None, "horizon": None, "past_covariates": []}
    table |= {"columns": {name: each for name, each in table["columns"].items() if name not in ("time", "guests")}}
    table |= {"metric": "mae", "sources": [{"file": "hours.csv", "duplicates": "mean"}]}
    with pytest.raises(ValueError, match="duplicates: mean is for the rows of a problem with a time"):
        Problem.model_validate_json(json.dumps(table))
