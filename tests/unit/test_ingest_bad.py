"""Each kind of bad train.csv or store.csv is refused with what, where and what to do; exit code 3."""

import datetime
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from rossmann import PROBLEM

from lockgate.data import ingest, text_file
from lockgate.errors import BadData

HEADER = "Store,DayOfWeek,Date,Sales,Customers,Open,Promo,StateHoliday,SchoolHoliday"
ROWS = (
    "1,5,2015-07-31,5263,555,1,1,0,1",
    "2,5,2015-07-31,6064,625,1,1,0,1",
    "1,4,2015-07-30,5020,546,1,1,0,1",
    "2,4,2015-07-30,0,0,0,0,a,0",
)
TRAIN = "\n".join([HEADER, *ROWS]) + "\n"
STORE_HEADER = (
    "Store,StoreType,Assortment,CompetitionDistance,CompetitionOpenSinceMonth,CompetitionOpenSinceYear,"
    "Promo2,Promo2SinceWeek,Promo2SinceYear,PromoInterval"
)
STORE = f'{STORE_HEADER}\n1,c,a,1270,9,2008,0,,,""\n2,a,a,570,11,1900,1,13,2010,"Mar,Jun,Sept,Dec"\n'
TODAY = datetime.date(2015, 8, 1)


def swap(old: str, new: str) -> str:
    assert old in TRAIN
    return TRAIN.replace(old, new, 1)


def swap_store(old: str, new: str) -> str:
    assert old in STORE
    return STORE.replace(old, new, 1)


def written(folder: Path, train: bytes | str, store: bytes | str = STORE, name: str = "train.csv") -> tuple[Path, Path]:
    train_path, store_path = folder / name, folder / "store.csv"
    train_path.write_bytes(train.encode() if isinstance(train, str) else train)
    store_path.write_bytes(store.encode() if isinstance(store, str) else store)
    return train_path, store_path


def refusal(folder: Path, train: bytes | str, store: bytes | str = STORE, name: str = "train.csv") -> str:
    with pytest.raises(BadData) as caught:
        ingest.read(PROBLEM, written(folder, train, store, name), today=TODAY)
    assert caught.value.exit_code == 3
    assert caught.value.hint
    return str(caught.value)


CELLS = {
    "sales with a separator": (",5263,", ',"5,263",', "Sales is '5,263': not a whole number", 2),
    "letters among sales": (",6064,", ",abc,", "Sales is 'abc': not a whole number", 3),
    "sales with a fraction": (",6064,", ",6064.5,", "Sales is '6064.5': not a whole number", 3),
    "sales in hexadecimal": (",6064,", ",0x10,", "Sales is '0x10'", 3),
    "sales with blanks": (",6064,", ", 6064,", "Sales is ' 6064'", 3),
    "sales in Arabic digits": (",6064,", ",٦٠٦٤,", "Sales is '٦٠٦٤'", 3),
    "sales with an exponent": (",6064,", ",6e3,", "Sales is '6e3'", 3),
    "no sales": (",6064,", ",,", "Sales is '': the cell is empty", 3),
    "infinite sales": (",6064,", ",inf,", "Sales is 'inf'", 3),
    "NaN sales": (",6064,", ",NaN,", "Sales is 'NaN'", 3),
    "negative sales": (",6064,", ",-1,", "Sales is '-1': negative", 3),
    "sales beyond belief": (",6064,", ",99999999999,", "Sales is '99999999999': outside 0 .. 10000000", 3),
    "negative customers": (",625,", ",-625,", "Customers is '-625': negative", 3),
    "store 0": ("\n2,5,", "\n0,5,", "Store is '0': outside 1 .. 1000000", 3),
    "Promo 7": ("625,1,1", "625,1,7", "Promo is '7': outside 0 .. 1", 3),
    "Open 2": ("625,1,1", "625,2,1", "Open is '2'", 3),
    "Open empty": ("625,1,1", "625,,1", "Open is '': the cell is empty", 3),
    "SchoolHoliday true": (",0,1\n1,4", ",0,true\n1,4", "SchoolHoliday is 'true'", 3),
    "DayOfWeek 42": ("\n2,5,", "\n2,42,", "DayOfWeek is '42': outside 1 .. 7", 3),
    "holiday of another letter": (",a,0", ",d,0", "StateHoliday is 'd': not one of 0, a, b, c", 5),
    "holiday in upper case": (",a,0", ",A,0", "StateHoliday is 'A'", 5),
    "no holiday letter": (",a,0", ",,0", "StateHoliday is '': the cell is empty", 5),
    "German date": (
        "\n2,5,2015-07-31",
        "\n2,5,31.07.2015",
        "Date is '31.07.2015': not a date of the form YYYY-MM-DD",
        3,
    ),
    "date without dashes": ("\n2,5,2015-07-31", "\n2,5,20150731", "Date is '20150731'", 3),
    "date with time zone": ("\n2,5,2015-07-31", "\n2,5,2015-07-31T00:00:00+02:00", "Date is '2015-07-31T00", 3),
    "ISO week date": ("\n2,5,2015-07-31", "\n2,5,2015-W31-5", "Date is '2015-W31-5'", 3),
    "month 13": ("\n2,5,2015-07-31", "\n2,5,2015-13-01", "no day of the calendar", 3),
    "29 February": ("\n2,5,2015-07-31", "\n2,5,2015-02-29", "no day of the calendar", 3),
    "year 1": ("\n2,5,2015-07-31", "\n2,5,0001-01-01", "Date is '0001-01-01': outside 1990-01-01", 3),
    "a day in the future": ("\n2,5,2015-07-31", "\n2,7,2015-08-02", "in the future (today is 2015-08-01)", 3),
    "closed but sold": (",0,0,0,0,a", ",7,0,0,0,a", "Open is 0 but Sales is 7", 5),
    "closed but visited": (",0,0,0,0,a", ",0,7,0,0,a", "Open is 0 but Customers is 7", 5),
    "weekday of another day": ("\n2,5,", "\n2,4,", "DayOfWeek is 4 but 2015-07-31 is a Friday (5)", 3),
    "unknown store": ("\n2,5,", "\n3,5,", "Store 3 has no row in store.csv", 3),
    "a cell too few": (",0,1\n1,4", ",0\n1,4", "8 cells where the header has 9", 3),
    "a cell too many": (",0,1\n1,4", ",0,1,\n1,4", "10 cells where the header has 9", 3),
    "a blank line": ("\n1,4", "\n\n1,4", "a blank line", 4),
    "a quote never closed": (",0,1\n1,4", ',0,"1\n1,4', "a quote is not closed", 3),
    "a quote over two lines": (",0,1\n1,4", ',"0\n",1\n1,4', "a quote is not closed", 3),
    "letters after a quote": (",6064,", ',"60"64,', "a quote is not closed or stands inside a cell", 3),
    "a quote inside a cell": (",6064,", ',60"64",', "Sales is '60\"64\"'", 3),
    "escape characters": (",6064,", ",\x1b[31m,", r"Sales is '\x1b[31m'", 3),
}


@pytest.mark.parametrize(("old", "new", "gist", "line"), CELLS.values(), ids=CELLS.keys())
def test_a_bad_cell_is_refused_with_its_line(tmp_path: Path, old: str, new: str, gist: str, line: int) -> None:
    text = refusal(tmp_path, swap(old, new))
    assert gist in text
    assert text.endswith(f"(train.csv, line {line})".replace("train.csv", str(tmp_path / "train.csv")))


STORES = {
    "store twice": (STORE + "1,c,a,1,1,2000,0,,,\n", "Store must be unique: Store 1: line 2 and 4"),
    "strange type": (swap_store("1,c,a", "1,x,a"), "StoreType is 'x': not one of a, b, c, d"),
    "strange assortment": (swap_store("1,c,a", "1,c,z"), "Assortment is 'z'"),
    "infinite distance": (swap_store("1270", "inf"), "CompetitionDistance is 'inf': not a finite number"),
    "negative distance": (swap_store("1270", "-5"), "CompetitionDistance is '-5': negative"),
    "month 13": (swap_store(",9,2008", ",13,2008"), "CompetitionOpenSinceMonth is '13': outside 1 .. 12"),
    "strange month name": (swap_store("Sept", "Herbst"), "PromoInterval is 'Mar,Jun,Herbst,Dec': 'Herbst' is no month"),
    "Promo2 without months": (swap_store('"Mar,Jun,Sept,Dec"', ""), "Promo2 is 1 but PromoInterval is empty"),
    "a year cut": (STORE[: STORE.index("13,2010")] + "13,20", "cells where the header has 10"),
    "no type column": (STORE.replace("StoreType", "Type", 1), "missing column StoreType; found 'Store', 'Type'"),
    "header only": (STORE_HEADER + "\n", "no data rows"),
}


@pytest.mark.parametrize(("store", "gist"), STORES.values(), ids=STORES.keys())
def test_a_bad_store_table_is_refused(tmp_path: Path, store: str, gist: str) -> None:
    text = refusal(tmp_path, TRAIN, store)
    assert gist in text
    assert "store.csv" in text


def zipped(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)


FILES: dict[str, tuple[bytes | str, str]] = {
    "column missing": (TRAIN.replace(",Open,", ",Offen,"), "missing column Open; found 'Store', 'DayOfWeek', 'Date'"),
    "header missing": ("\n".join(ROWS) + "\n", "the first line holds data"),
    "column twice": (TRAIN.replace("Customers", "Sales", 1), "column Sales appears twice (4, 5)"),
    "empty": ("", "no data rows: the file is empty"),
    "blank": ("\n\n", "no data rows: the file is empty"),
    "header only": (HEADER + "\n", "no data rows"),
    "header cut": (HEADER[:30], "no data rows"),
    "cut in a row": (TRAIN[:-12], "cells where the header has 9"),
    "cut in a quoted cell": (TRAIN[:-2] + '"0', "a quote is not closed"),
    "cut before the last cell": (TRAIN[:-2], "SchoolHoliday is '': the cell is empty"),
    "semicolons": (TRAIN.replace(",", ";"), "looks semicolon-separated"),
    "tabs": (TRAIN.replace(",", "\t"), "looks tab-separated"),
    "bars": (TRAIN.replace(",", "|"), "looks bar-separated"),
    "UTF-16": (TRAIN.encode("utf-16"), "UTF-16, from byte 0"),
    "UTF-16 without mark": (TRAIN.encode("utf-16-le"), "NUL at byte 1: the file looks UTF-16"),
    "Latin-1": (swap("Promo,", "Pröm,").encode("latin-1"), "byte 44 (0xf6) is not UTF-8"),
    "NUL": (swap(",6064,", ",60\x0064,"), "NUL at byte 124"),
    "git-lfs pointer": ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a git-lfs pointer"),
    "web page": ("<!DOCTYPE html>\n<html><body>Sign in</body></html>\n", "a web page"),
    "zip archive": (b"PK\x03\x04\x14\x00rest", "a zip archive"),
    "parquet": (b"PAR1rest", "a parquet file"),
    "JSON": ('{"error": "401"}', "JSON"),
    "gzip cut": (zipped(TRAIN)[:-20], "the gzip file is broken"),
    "gzip header only": (zipped(TRAIN)[:5], "the gzip file is broken"),
    "gzip with a wrong checksum": (zipped(TRAIN)[:-8] + b"\0" * 8, "the gzip file is broken: CRC check failed"),
    "gzip with garbage behind": (zipped(TRAIN) + b"garbage", "the gzip file is broken"),
    "gzip in gzip": (gzip.compress(zipped(TRAIN)), "compressed twice"),
    "garbage": (bytes(range(128, 256)), "byte 0 (0x80) is not UTF-8"),
}


@pytest.mark.parametrize(("content", "gist"), FILES.values(), ids=FILES.keys())
@pytest.mark.parametrize("name", ["train.csv", "train.csv.gz"])
def test_what_is_no_whole_csv_is_refused(tmp_path: Path, content: bytes | str, gist: str, name: str) -> None:
    text = refusal(tmp_path, content, name=name)
    assert gist in text
    assert name in text


def test_the_first_five_pairs_of_duplicates_are_named_with_their_lines(tmp_path: Path) -> None:
    """Equal twins and conflicting ones alike; the rest is counted."""
    twins = [row.replace("5263", "1") for row in ROWS] + list(ROWS[:2])
    text = refusal(tmp_path, TRAIN + "\n".join(twins) + "\n")
    assert "Store and Date must be unique: Store 1, 2015-07-31: line 2 and 6; Store 2, 2015-07-31: line 3 and 7" in text
    assert text.count("Store 1, 2015-07-31") == 2
    assert "; 1 more" in text


def test_the_first_bad_line_of_the_file_is_named_and_the_others_counted(tmp_path: Path) -> None:
    """Columns are judged one after the other, but a person repairs line by line."""
    text = refusal(tmp_path, TRAIN.replace(",0,1\n", ",x,1\n").replace("\n1,5,2015-07-31,5263", "\n1,5,2015-07-31,-1"))
    assert "Sales is '-1'" in text
    assert "StateHoliday is 'x'" in refusal(tmp_path, TRAIN.replace(",0,1\n", ",x,1\n"))
    assert "(and 2 more such cells)" in refusal(tmp_path, TRAIN.replace(",0,1\n", ",x,1\n"))


def test_a_cut_number_at_the_very_end_is_not_believed(tmp_path: Path) -> None:
    """Without a line end nobody knows whether 55 was 555, so a whole-looking number is refused there."""
    reordered = "\n".join(",".join(line.split(",")[::-1]) for line in TRAIN.splitlines())
    assert "the last line has no line end, so its Store may be truncated" in refusal(tmp_path, reordered)


def test_a_gzip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_file, "MAX_BYTES", 1 << 20)
    assert "exceeds max_bytes 1,048,576" in refusal(tmp_path, gzip.compress(bytes(8 << 20), 1), name="train.csv.gz")


def test_a_plain_file_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_file, "MAX_BYTES", 100)
    assert "exceeds max_bytes 100" in refusal(tmp_path, TRAIN)


@pytest.mark.parametrize(
    ("make", "gist"),
    [(lambda path: path.mkdir(), "the folder has no parts"), (lambda path: None, "there is no such file")],
    ids=["folder", "absent"],
)
def test_what_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], None], gist: str) -> None:
    make(tmp_path / "train.csv")
    (tmp_path / "store.csv").write_text(STORE)
    with pytest.raises(BadData, match=gist):
        ingest.read(PROBLEM, (tmp_path / "train.csv", tmp_path / "store.csv"))


@pytest.mark.parametrize("quoted", [False, True])
def test_cut_anywhere_a_file_is_refused_or_read_as_the_whole_rows_before_the_cut(tmp_path: Path, quoted: bool) -> None:
    """No cell is ever read short; only a cut exactly after a row can't be seen here (DVC's digest sees it)."""
    lines = [HEADER, ROWS[0], '1,4,2015-07-30,5020,546,1,1,"0","1"' if quoted else ROWS[2]]
    text = "\n".join(lines) + "\n"
    whole = ingest.read(PROBLEM, written(tmp_path, text), today=TODAY).rows
    for end in range(len(HEADER) + 1, len(text)):
        try:
            read = ingest.read(PROBLEM, written(tmp_path, text[:end]), today=TODAY).rows
        except BadData:
            continue
        assert end in (len(text) - 1, len("\n".join(lines[:2])), len("\n".join(lines[:2])) + 1)
        assert read.to_dict("records") == whole.tail(len(read)).to_dict("records")
