"""A file of rows that is read in chunks gives the rows, and the refusals, of one that is read at once."""

import gzip
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from paired_rows import ENGINES
from rossmann import PROBLEM

from lockgate.data import ingest, readers, row_file, text_file
from lockgate.data.bad_rows import BadRow
from lockgate.data.row_file import RowFile
from lockgate.errors import BadData

HEAD = "Store,Date,Open,Promo,StateHoliday,SchoolHoliday,Note\n"
ROWS = 400


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of a few rows, so that a small file has many."""
    monkeypatch.setattr(text_file, "CHUNK_BYTES", 97)
    monkeypatch.setattr(text_file, "BLOCK_BYTES", 500)
    monkeypatch.setattr(readers, "CHUNK_ROWS", 7)


def line(number: int) -> str:
    day = np.datetime64("2015-08-01") + number % 40
    return f'{number % 30 + 1},{day},{number % 2},{number % 2},"0",0,"ä, {number}"\n'


def text() -> str:
    return HEAD + "".join(map(line, range(ROWS)))


def read_in_parts(path: Path, problem=PROBLEM) -> pd.DataFrame:
    parts = list(RowFile.open(problem, path, path.parent / "nowhere").parts())
    assert len(parts) > 5 or len(parts) == 1
    return pd.concat([part.rows for part in parts], ignore_index=True)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
def test_chunks_have_the_rows_of_the_whole_file(tmp_path: Path, end: str, suffix: str) -> None:
    path = tmp_path / f"rows.{suffix}"
    content = b"\xef\xbb\xbf" + text().replace("\n", end).encode() + end.encode() * 3
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    whole = ingest.read_forecast_rows(PROBLEM, path)
    found = read_in_parts(path)
    pd.testing.assert_frame_equal(found, whole[list(found)])
    assert len(found) == ROWS


def test_booleans_of_a_parquet_file_are_flags_and_no_numbers(tmp_path: Path) -> None:
    rows = pd.DataFrame({"Store": [True, False], "Date": "2015-08-01", "Open": True, "Promo": [False, True],
                         "StateHoliday": "0", "SchoolHoliday": 0})  # fmt: skip
    rows.assign(Store=1).to_parquet(tmp_path / "flags.parquet")
    [part] = RowFile.open(PROBLEM, tmp_path / "flags.parquet", tmp_path / "nowhere").parts()
    assert part.rows["Promo"].tolist() == [0, 1]
    rows.to_parquet(tmp_path / "numbers.parquet")
    with pytest.raises(BadData) as caught:
        list(RowFile.open(PROBLEM, tmp_path / "numbers.parquet", tmp_path / "nowhere").parts())
    assert (
        caught.value.message
        == "Store is '1': true or false, where the description says a number (and 1 more such cells)"
    )
    assert (caught.value.where, caught.value.hint) == (
        f"{tmp_path}/numbers.parquet, row 1",
        "describe it as type: flag",
    )


@pytest.mark.parametrize("folder", [False, True])
def test_parquet_parts_in_the_order_of_their_names_are_one_table(tmp_path: Path, folder: bool) -> None:
    source = tmp_path / "rows.csv"
    source.write_text(text())
    whole = ingest.read_forecast_rows(PROBLEM, source)
    if folder:
        (tmp_path / "parts").mkdir()
        for number, start in enumerate(range(0, ROWS, 150)):
            whole.iloc[start : start + 150].to_parquet(tmp_path / "parts" / f"part-{number}.parquet", index=False)
        (tmp_path / "parts" / "_SUCCESS").touch()
        found = read_in_parts(tmp_path / "parts")
    else:
        whole.to_parquet(tmp_path / "rows.parquet", index=False)
        found = read_in_parts(tmp_path / "rows.parquet")
    pd.testing.assert_frame_equal(found, whole[list(found)])


FAULTS = {
    "a ragged row": (200, "1,2015-08-01,1\n"),
    "a bad number": (250, "1,2015-08-01,1,7,0,0,x\n"),
    "no date": (390, "1,tomorrow,1,0,0,0,x\n"),
    "a blank line": (100, "\n"),
    "an open quote": (300, '1,2015-08-01,1,0,0,0,"x\n'),
    "a quote inside a cell": (300, '1,2015-08-01,1,0,0,0,"x"y\n'),
    "a cut last line": (ROWS - 1, "1,2015-08-01,1"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_chunk_is_refused_with_the_words_and_the_line_of_the_whole_file(tmp_path: Path, name: str) -> None:
    place, wrong = FAULTS[name]
    lines = [HEAD, *map(line, range(ROWS))]
    lines[place + 1] = wrong
    path = tmp_path / "rows.csv"
    path.write_text("".join(lines))
    with pytest.raises(BadData) as whole:
        ingest.read_forecast_rows(PROBLEM, path)
    with pytest.raises(BadData) as in_parts:
        read_in_parts(path)
    assert (str(in_parts.value), in_parts.value.hint) == (str(whole.value), whole.value.hint)
    assert f"line {place + 2}" in str(whole.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", HEAD.encode(), HEAD.encode() + b"\n\n", b"a;b\n1;2\n", text().encode()[:9000] + b"\xff,\n",
     text().encode()[:9000] + b"\0\n", text().encode("utf-16"), b"PK\x03\x04", gzip.compress(text().encode())[:-20],
     b"Store,Store\n1,1\n"],
)  # fmt: skip
def test_a_broken_file_is_refused_with_the_words_of_the_whole_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(BadData) as whole:
        ingest.read_forecast_rows(PROBLEM, path)
    with pytest.raises(BadData) as in_parts:
        read_in_parts(path)
    assert str(in_parts.value) == str(whole.value)


def test_a_line_without_an_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_file, "LONGEST_LINE", 5000)
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(HEAD.encode() + b"1" * 1_000_000))
    with pytest.raises(BadData, match=r"a line is longer than 5,000 bytes .*line 2"):
        read_in_parts(path)


def test_bad_rows_are_set_aside_with_line_column_value_and_reason(tmp_path: Path) -> None:
    lines = [HEAD, *map(line, range(ROWS))]
    lines[11], lines[201], lines[351] = "1,2015-08-01,1\n", "1,2015-08-01,1,7,0,0,x\n", "x,2015-13-01,1,0,0,0,x\n"
    path = tmp_path / "rows.csv"
    path.write_text("".join(lines))
    found: list[BadRow] = []
    rows = sum(len(part.rows) for part in RowFile.open(PROBLEM, path, tmp_path / "nowhere").parts(found.append))
    assert rows == ROWS - 3
    assert [(bad.path, bad.number, bad.column, bad.value) for bad in found] == [
        (path, 12, "", "1,2015-08-01,1"),
        (path, 202, "Promo", "7"),
        (path, 352, "Date", "2015-13-01"),
        (path, 352, "Store", "x"),
    ]
    assert found[1].reason == "outside 0 .. 1"


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text())
    parts = RowFile.open(PROBLEM, path, tmp_path / "nowhere").parts()
    next(parts)
    with path.open("a") as file:
        file.write(line(1))
    with pytest.raises(BadData, match="was changed while it was read"):
        list(parts)


def test_parts_with_other_columns_and_folders_without_parts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"the folder has no \.parquet files"):
        RowFile.open(PROBLEM, tmp_path)
    for name, column in (("a", "Store"), ("b", "Shop")):
        pa.parquet.write_table(pa.table({column: [1]}), tmp_path / f"{name}.parquet")
    with pytest.raises(BadData, match="its columns differ from those of other parts: Shop"):
        list(readers.parquet_chunks(tmp_path))


def states(order: list[int]) -> pa.Table:
    """Rows of units, in this order of units, ten rows each time a unit is named."""
    units = np.repeat(order, 10)
    cycles = pd.Series(units).groupby(units).cumcount() + 1
    return pa.table({"fleet": pa.array(["a"] * len(units)), "unit": pa.array(units), "cycle": pa.array(cycles)})


def tables(found: pa.Table, rows: int = 7) -> list[readers.RawTable]:
    return [
        readers.RawTable(Path("x"), found.slice(start, rows), "row", start + 1) for start in range(0, len(found), rows)
    ]


def test_chunks_of_states_have_whole_keys_and_their_lines() -> None:
    problem = ENGINES
    parts = list(row_file.with_whole_keys(problem, tables(states([3, 1, 2, 9, 4])), whole_rows=20))
    assert len(parts) > 2
    found = [part.texts("unit").text(code) for part in parts for code in part.texts("unit").codes]
    assert found == np.repeat(["3", "1", "2", "9", "4"], 10).tolist()
    ends = [set(part.texts("unit").distinct()) for part in parts]
    assert all(not (first & second) for first, second in pairwise(ends))
    assert [part.at(row)[1] for part in parts for row in range(part.table.num_rows)] == list(range(1, 51))


def test_a_small_file_of_states_may_have_any_order_and_a_large_one_is_refused_with_the_line() -> None:
    mixed = states([1, 2, 1, 3, 4, 5])
    [whole] = row_file.with_whole_keys(ENGINES, tables(mixed), whole_rows=100)
    assert whole.table.num_rows == 60
    with pytest.raises(BadData, match=r"fleet a, unit 1 has rows in several places .*x, row 21") as refusal:
        list(row_file.with_whole_keys(ENGINES, tables(mixed), whole_rows=10))
    assert "sort the file by fleet and unit" in refusal.value.hint


def test_a_bad_row_of_a_state_sets_all_rows_of_its_key_aside(tmp_path: Path) -> None:
    names = [column.name for column in ENGINES.request]
    numbers = [name for name in names if name not in ("fleet", "unit", "cycle")]
    lines = [",".join(["fleet", "unit", "cycle", *numbers])]
    lines += [f"a,{unit},{cycle}" + ",1" * len(numbers) for cycle in range(1, 9) for unit in (1, 2, 3)]
    lines[5] = lines[5].replace("a,2,2", "a,2,soon")
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines) + "\n")
    found: list[BadRow] = []
    [part] = RowFile.open(ENGINES, path, tmp_path / "nowhere").parts(found.append)
    assert sorted(set(part.rows["unit"])) == [1, 3]
    assert len(found) == 8
    assert (found[0].number, found[0].column, found[0].value) == (6, "cycle", "soon")
    assert "another row of this key" in found[1].reason
