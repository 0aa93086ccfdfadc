"""Kaggle's own files, where LOCKGATE_REAL_DATA names a folder that holds them: they are read as they come."""

import os
from pathlib import Path

import pytest
from rossmann import PROBLEM

from lockgate.data import data_card, ingest, split

FOLDER = Path(os.environ.get("LOCKGATE_REAL_DATA", "")) / "rossmann"
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not os.environ.get("LOCKGATE_REAL_DATA") or not FOLDER.is_dir(),
        reason="LOCKGATE_REAL_DATA names no folder with rossmann/train.csv.gz",
    ),
]


@pytest.fixture(scope="module")
def chain() -> ingest.Tables:
    return ingest.read(PROBLEM, (FOLDER / "train.csv.gz", FOLDER / "store.csv"))


def test_all_rows_are_read_and_none_is_odd(chain: ingest.Tables) -> None:
    assert (len(chain.rows), len(chain.static), chain.notes) == (970_379, 1_115, ())
    assert chain.rows["StateHoliday"].value_counts().index.sort_values().tolist() == ["0", "a", "b", "c"]
    assert ((chain.rows["Open"] == 1) & (chain.rows["Sales"] == 0)).sum() == 54


def test_the_nulls_of_the_store_table_are_kept(chain: ingest.Tables) -> None:
    nulls = chain.static.isna().sum()
    assert nulls["CompetitionDistance"] == 3
    assert nulls["CompetitionOpenSinceMonth"] == nulls["CompetitionOpenSinceYear"] == 354
    assert nulls["Promo2SinceWeek"] == nulls["Promo2SinceYear"] == (chain.static["PromoInterval"] == "").sum() == 544


def test_the_known_gaps_are_on_the_card(chain: ingest.Tables) -> None:
    card = data_card.card_of(PROBLEM, ingest.source_of(FOLDER / "store.csv"), chain, split.split(PROBLEM, chain.rows))
    assert card["gaps"] == {
        "missing_rows": 180 * 184 + 1,
        "keys": 181,
        "longest_periods": 184,
        "listed": [
            {"first": "2014-07-01", "last": "2014-12-31", "keys": 180},
            {"first": "2013-01-01", "last": "2013-01-01", "keys": 1},
        ],
    }
    assert (card["cutoff"], card["holdout"]["count"]) == ("2015-05-08", 42 * 1_115)


def test_the_rows_to_forecast_are_read_in_their_order() -> None:
    frame = ingest.read_forecast_rows(PROBLEM, FOLDER / "future.csv")
    assert len(frame) == 46_830
    assert frame["Id"].tolist() == list(range(1, 46_831))
    assert (frame["Date"].min().date().isoformat(), frame["Date"].max().date().isoformat()) == (
        "2015-06-20",
        "2015-07-31",
    )
