"""What is only spelled differently reads the same; what is odd but true is kept."""

import datetime
import gzip
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rossmann import PROBLEM

from lockgate import digests
from lockgate.data import ingest
from lockgate.data.column_types import CellFault, promo_months
from lockgate.errors import BadData

TRAIN = """Store,DayOfWeek,Date,Sales,Customers,Open,Promo,StateHoliday,SchoolHoliday
1,5,2015-07-31,5263,555,1,1,0,1
2,5,2015-07-31,0,0,1,1,0,1
1,4,2015-07-30,5020,546,1,1,0,1
2,4,2015-07-30,0,0,0,0,a,0
"""
STORE = """Store,StoreType,Assortment,CompetitionDistance,CompetitionOpenSinceMonth,CompetitionOpenSinceYear,\
Promo2,Promo2SinceWeek,Promo2SinceYear,PromoInterval
2,a,a,,11,1900,1,13,2010,"Mar,Jun,Sept,Dec"
1,c,a,1270,,,0,,,
"""
EXPECTED = pd.DataFrame(
    {
        "Store": np.array([1, 1, 2, 2], dtype="int32"),
        "Date": np.array(["2015-07-30", "2015-07-31"] * 2, dtype="datetime64[s]"),
        "Sales": np.array([5020, 5263, 0, 0], dtype="int32"),
        "Open": np.array([1, 1, 0, 1], dtype="int8"),
        "Promo": np.array([1, 1, 0, 1], dtype="int8"),
        "StateHoliday": pd.array(["0", "0", "a", "0"], dtype="str"),
        "SchoolHoliday": np.array([1, 1, 0, 1], dtype="int8"),
    }
)
LINES = TRAIN.splitlines()


def reordered(text: str) -> str:
    return "".join(",".join(line.split(",")[::-1]) + "\n" for line in text.splitlines())


def quoted(text: str) -> str:
    return "".join(",".join(f'"{cell}"' for cell in line.split(",")) + "\n" for line in text.splitlines())


def with_extra(text: str) -> str:
    return "".join(f"{line},{'Wetter' if number == 0 else 'schön'}\n" for number, line in enumerate(text.splitlines()))


def read(folder: Path, train: bytes, name: str = "train.csv", store: bytes = STORE.encode()) -> ingest.Tables:
    (folder / name).write_bytes(train)
    (folder / "store.csv").write_bytes(store)
    return ingest.read(PROBLEM, (folder / name, folder / "store.csv"))


SPELLINGS = {
    "as it comes": TRAIN.encode(),
    "byte order mark": b"\xef\xbb\xbf" + TRAIN.encode(),
    "CRLF": TRAIN.replace("\n", "\r\n").encode(),
    "CR": TRAIN.replace("\n", "\r").encode(),
    "rows shuffled": "\n".join([LINES[0], *LINES[:0:-1]]).encode() + b"\n",
    "columns reordered": reordered(TRAIN).encode(),
    "everything quoted": quoted(TRAIN).encode(),
    "no last line end": TRAIN.rstrip("\n").encode(),
    "blank lines at the end": TRAIN.encode() + b"\n\n",
    "gzip": gzip.compress(TRAIN.encode()),
    "gzip of two parts": gzip.compress(TRAIN[:100].encode()) + gzip.compress(TRAIN[100:].encode()),
    "whole numbers as pandas writes them": TRAIN.replace(",1,1,0,1", ",1.0,1.0,0,1.0").encode(),
    "a column too many": with_extra(TRAIN).encode(),
}


@pytest.mark.parametrize("content", SPELLINGS.values(), ids=SPELLINGS.keys())
@pytest.mark.parametrize("name", ["train.csv", "train.csv.gz"])
def test_every_spelling_of_the_same_rows_reads_the_same(tmp_path: Path, content: bytes, name: str) -> None:
    """The true form counts, not the name: a .csv may be gzip, a .csv.gz plain."""
    rows = read(tmp_path, content, name).rows
    pd.testing.assert_frame_equal(rows, EXPECTED)
    assert digests.of_frame(rows) == digests.of_frame(EXPECTED)


def test_a_column_too_many_is_ignored_and_named(tmp_path: Path) -> None:
    assert read(tmp_path, with_extra(TRAIN).encode()).notes == ("ignored column Wetter (train.csv)",)


def test_an_unnamed_index_column_is_ignored_and_named(tmp_path: Path) -> None:
    """What pandas' to_csv writes when nobody says index=False."""
    text = "".join(("" if n == 0 else str(n)) + "," + line + "\n" for n, line in enumerate(LINES))
    assert read(tmp_path, text.encode()).notes == ("ignored column Unnamed: 0 (train.csv)",)


def test_the_store_table_keeps_its_nulls_and_its_year_1900(tmp_path: Path) -> None:
    stores = read(tmp_path, TRAIN.encode()).static
    assert stores["Store"].tolist() == [1, 2]
    assert stores["CompetitionOpenSinceYear"].tolist()[1] == 1900.0
    assert stores.isna().sum()[lambda count: count > 0].to_dict() == {
        "CompetitionDistance": 1,
        "CompetitionOpenSinceMonth": 1,
        "CompetitionOpenSinceYear": 1,
        "Promo2SinceWeek": 1,
        "Promo2SinceYear": 1,
    }
    assert stores["PromoInterval"].tolist() == ["", "Mar,Jun,Sept,Dec"]


def test_a_day_that_is_today_is_not_in_the_future(tmp_path: Path) -> None:
    read(tmp_path, TRAIN.encode())
    train, store = tmp_path / "train.csv", tmp_path / "store.csv"
    ingest.read(PROBLEM, (train, store), today=datetime.date(2015, 7, 31))
    with pytest.raises(BadData, match="in the future"):
        ingest.read(PROBLEM, (train, store), today=datetime.date(2015, 7, 30))


def test_the_source_names_each_file_without_its_folder(tmp_path: Path) -> None:
    read(tmp_path, TRAIN.encode())
    (train,) = ingest.source_of(tmp_path / "train.csv").files
    assert (train.name, train.bytes, train.sha256) == ("train.csv", len(TRAIN), digests.of_bytes(TRAIN.encode()))


@pytest.mark.parametrize(
    ("interval", "months"),
    [("", ()), ("Mar,Jun,Sept,Dec", (3, 6, 9, 12)), ("Sep", (9,)), ("Jan,Apr,Jul,Oct", (1, 4, 7, 10))],
)
def test_sept_is_the_ninth_month(interval: str, months: tuple[int, ...]) -> None:
    assert promo_months(interval) == months


@pytest.mark.parametrize("interval", ["Mär", "Jan,,Apr", "Jan, Apr", ","])
def test_strange_months_are_refused(interval: str) -> None:
    with pytest.raises(CellFault):
        promo_months(interval)


def test_the_generator_is_an_explicit_choice(tmp_path: Path) -> None:
    """In a temporary workspace of DVC, files that git ignores are absent; generated rows must not replace them."""
    (tmp_path / "README.md").touch()
    (tmp_path / "test.csv").touch()
    for folder in (tmp_path, tmp_path / "absent"):
        assert ingest.raw_files(PROBLEM, folder, "generated") is None
        with pytest.raises(BadData, match=r"no train\.csv and no store\.csv") as refused:
            ingest.raw_files(PROBLEM, folder, "files")
        assert "source: generated" in refused.value.hint


@pytest.mark.parametrize("name", ["train.csv", "store.csv.gz", "train.csv.zip", "Train.csv"])
def test_files_beside_the_generator_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(BadData, match=f"{name} would not be used: params.yaml says source: generated"):
        ingest.raw_files(PROBLEM, tmp_path, "generated")


@pytest.mark.parametrize(("there", "missing"), [("train.csv", "store.csv"), ("store.csv", "train.csv")])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_one_file_alone_is_refused(tmp_path: Path, there: str, missing: str, ending: str) -> None:
    (tmp_path / (there + ending)).touch()
    with pytest.raises(BadData, match=f"^{missing} is missing beside {there}"):
        ingest.raw_files(PROBLEM, tmp_path, "files")


@pytest.mark.parametrize("name", ["train.csv.zip", "rossmann-store-sales.zip", "Train.csv", "store.xlsx"])
def test_what_must_be_meant_for_them_is_not_passed_over(tmp_path: Path, name: str) -> None:
    """A model of generated rows is a bad surprise for somebody who has put Kaggle's zip into data/raw."""
    (tmp_path / name).touch()
    with pytest.raises(BadData, match=f"{name} is not read"):
        ingest.raw_files(PROBLEM, tmp_path, "files")


def test_a_dangling_link_is_not_taken_for_no_file(tmp_path: Path) -> None:
    for name in ("train.csv", "store.csv"):
        (tmp_path / name).symlink_to(tmp_path / "gone")
    files = ingest.raw_files(PROBLEM, tmp_path, "files")
    assert files
    with pytest.raises(BadData, match="there is no such file"):
        ingest.read(PROBLEM, files)


def test_a_file_in_two_forms_is_refused(tmp_path: Path) -> None:
    for name in ("train.csv", "train.csv.gz", "store.csv"):
        (tmp_path / name).touch()
    with pytest.raises(BadData, match=r"train.csv exists in two forms: train.csv and train.csv.gz"):
        ingest.raw_files(PROBLEM, tmp_path, "files")


def test_both_files_are_found_plain_or_gzip(tmp_path: Path) -> None:
    for name in ("train.csv.gz", "store.csv"):
        (tmp_path / name).touch()
    assert ingest.raw_files(PROBLEM, tmp_path, "files") == (tmp_path / "train.csv.gz", tmp_path / "store.csv")


FUTURE = """Id,Store,DayOfWeek,Date,Open,Promo,StateHoliday,SchoolHoliday,Note
3,2,6,2015-08-01,,0,0,1,"a, b"
1,1,7,2015-08-02,0,0,0,0,
2,1,6,2015-08-01,1,0,a,0,schön
"""


def forecast_rows(folder: Path, content: bytes, name: str = "test.csv") -> pd.DataFrame:
    (folder / name).write_bytes(content)
    return ingest.read_forecast_rows(PROBLEM, folder / name)


def test_rows_to_forecast_keep_their_order_and_all_their_columns(tmp_path: Path) -> None:
    """An empty Open stays empty (NaN); what stands beside the known columns is passed through as text."""
    frame = forecast_rows(tmp_path, FUTURE.encode())
    expected = pd.DataFrame(
        {
            "Id": np.array([3, 1, 2], dtype="int64"),
            "Store": np.array([2, 1, 1], dtype="int32"),
            "DayOfWeek": np.array([6, 7, 6], dtype="int8"),
            "Date": np.array(["2015-08-01", "2015-08-02", "2015-08-01"], dtype="datetime64[s]"),
            "Open": [np.nan, 0.0, 1.0],
            "Promo": np.zeros(3, dtype="int8"),
            "StateHoliday": pd.array(["0", "0", "a"], dtype="str"),
            "SchoolHoliday": np.array([1, 0, 0], dtype="int8"),
            "Note": pd.array(["a, b", "", "schön"], dtype="str"),
        }
    )
    pd.testing.assert_frame_equal(frame, expected)


def test_id_and_weekday_need_not_be_there(tmp_path: Path) -> None:
    frame = forecast_rows(tmp_path, b"Promo,Store,Date,Open,StateHoliday,SchoolHoliday\n1,1,2015-08-01,1,0,0\n")
    assert list(frame) == ["Promo", "Store", "Date", "Open", "StateHoliday", "SchoolHoliday"]


@pytest.mark.parametrize("dates", ["text", "date", "timestamp"])
def test_parquet_reads_like_csv_whatever_its_types(tmp_path: Path, dates: str) -> None:
    """Kaggle's frame as pandas reads it, with floats for Open, and other types that mean the same."""
    csv = forecast_rows(tmp_path, FUTURE.encode())
    frame = pd.read_csv(tmp_path / "test.csv").assign(Note=["a, b", "", "schön"])
    if dates != "text":
        frame["Date"] = pd.to_datetime(frame["Date"])
        frame["Date"] = frame["Date"].dt.date if dates == "date" else frame["Date"]
    frame["Promo"] = frame["Promo"].astype(bool)
    frame["StateHoliday"] = frame["StateHoliday"].astype("category")
    frame.index = pd.Index([5, 6, 7])
    frame.to_parquet(tmp_path / "test.parquet")
    pd.testing.assert_frame_equal(ingest.read_forecast_rows(PROBLEM, tmp_path / "test.parquet"), csv)


FORECAST_FAULTS = {
    "Open 2": ("2015-08-02,0", "2015-08-02,2", "Open is '2': outside 0 .. 1"),
    "Promo empty": ("08-01,1,0,a", "08-01,1,,a", "Promo is '': the cell is empty"),
    "holiday letter": (",a,0", ",x,0", "StateHoliday is 'x'"),
    "date": ("2015-08-02", "2.8.2015", "Date is '2.8.2015'"),
    "weekday": ("1,1,7", "1,1,6", "DayOfWeek is 6 but 2015-08-02 is a Sunday (7)"),
    "year 9999": ("2015-08-02", "9999-08-02", "outside 1990-01-01 .. 2100-12-31"),
    "column": ("Promo", "promo", "missing column Promo"),
    "ragged": (',"a, b"', ",a, b", "10 cells where the header has 9"),
}


@pytest.mark.parametrize(("old", "new", "gist"), FORECAST_FAULTS.values(), ids=FORECAST_FAULTS.keys())
def test_bad_rows_to_forecast_are_refused(tmp_path: Path, old: str, new: str, gist: str) -> None:
    assert old in FUTURE
    with pytest.raises(BadData) as caught:
        forecast_rows(tmp_path, FUTURE.replace(old, new, 1).encode())
    assert gist in str(caught.value)


def test_a_bad_parquet_value_is_refused_with_its_row(tmp_path: Path) -> None:
    frame = forecast_rows(tmp_path, FUTURE.encode()).assign(Date=pd.Timestamp("2015-08-01T12:00"))
    frame.to_parquet(tmp_path / "test.parquet")
    with pytest.raises(BadData, match=r"Date is '2015-08-01 12:00:00': not a date .*test.parquet, row 1\)"):
        ingest.read_forecast_rows(PROBLEM, tmp_path / "test.parquet")


def test_dates_in_parquet_with_a_time_zone_are_refused(tmp_path: Path) -> None:
    frame = forecast_rows(tmp_path, FUTURE.encode()).assign(Date=pd.Timestamp("2015-08-01", tz="Europe/Berlin"))
    frame.to_parquet(tmp_path / "test.parquet")
    with pytest.raises(BadData, match="not a date of the form"):
        ingest.read_forecast_rows(PROBLEM, tmp_path / "test.parquet")


def test_lists_in_a_parquet_column_are_refused(tmp_path: Path) -> None:
    frame = forecast_rows(tmp_path, FUTURE.encode()).assign(Promo=[[1], [0], [0]])
    frame.to_parquet(tmp_path / "test.parquet")
    with pytest.raises(BadData, match="column Promo is of type list"):
        ingest.read_forecast_rows(PROBLEM, tmp_path / "test.parquet")


def test_a_broken_or_empty_parquet_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.parquet").write_bytes(b"PAR1\x15\x04")
    with pytest.raises(BadData, match="not a readable parquet file"):
        ingest.read_forecast_rows(PROBLEM, tmp_path / "cut.parquet")
    forecast_rows(tmp_path, FUTURE.encode()).head(0).to_parquet(tmp_path / "empty.parquet")
    with pytest.raises(BadData, match="no data rows"):
        ingest.read_forecast_rows(PROBLEM, tmp_path / "empty.parquet")


def test_reading_leaves_no_warning(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(tmp_path, TRAIN.encode())
        forecast_rows(tmp_path, FUTURE.encode())
