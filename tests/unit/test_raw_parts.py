"""A raw file may be a folder of parts, as Spark and Dask write one: the same tables and refusals as of one file."""

import datetime
import gzip
from pathlib import Path

import pandas as pd
import pytest

from lockgate.data import ingest, readers
from lockgate.errors import BadData
from lockgate.problem.description import Problem

TODAY = datetime.date(2024, 12, 31)
HEADER = "shop,day,visits,size\n"
FIRST = "b,2024-01-02,4,big\na,2024-01-01,1,small\n"
SECOND = "a,2024-01-02,2,small\nb,2024-01-01,3,big\n"


def problem(**main: object) -> Problem:
    return Problem.model_validate(
        {
            "name": "shops",
            "sources": [{"file": "visits.csv", **main}],
            "keys": ["shop"],
            "time": {"column": "day", "period": "day"},
            "target": "visits",
            "horizon": 1,
            "static_features": ["size"],
            "columns": {
                "shop": {"type": "category"},
                "day": {"type": "date"},
                "visits": {"type": "number", "range": [0, 100]},
                "size": {"type": "category"},
            },
            "metric": "mae",
        }
    )


def folder_of(path: Path, **parts: str) -> Path:
    path.mkdir()
    for name, text in parts.items():
        (path / f"part-{name}.csv").write_text(text)
    return path


def read(path: Path, **main: object) -> ingest.Tables:
    return ingest.read(problem(**main), [path], TODAY)


def refused(path: Path, **main: object) -> BadData:
    with pytest.raises(BadData) as found:
        read(path, **main)
    return found.value


def test_parts_give_the_tables_of_one_file(tmp_path: Path) -> None:
    (tmp_path / "visits.csv").write_text(HEADER + FIRST + SECOND)
    whole = read(tmp_path / "visits.csv")
    spark = folder_of(tmp_path / "spark", one=HEADER + FIRST, three=HEADER)
    (spark / "part-two.csv.gz").write_bytes(
        gzip.compress(b"size,visits,day,shop\nsmall,2,2024-01-02,a\nbig,3,2024-01-01,b\n")
    )
    (spark / "_SUCCESS").touch()
    (spark / ".part-one.csv.crc").write_bytes(b"\0\1")
    found = read(spark)
    pd.testing.assert_frame_equal(found.rows, whole.rows)
    pd.testing.assert_frame_equal(found.static, whole.static)


def test_parquet_parts_are_read_with_their_types(tmp_path: Path) -> None:
    folder = tmp_path / "visits.parquet"
    folder.mkdir()
    rows = pd.DataFrame({"shop": ["a", "b"], "day": ["2024-01-01"] * 2, "visits": [1.0, 2.0], "size": ["s", "s"]})
    rows.head(1).to_parquet(folder / "part.0.parquet")
    rows.tail(1).to_parquet(folder / "part.1.parquet")
    assert read(folder, format="parquet").rows["visits"].tolist() == [1.0, 2.0]
    rows.tail(1).assign(visits=["2"]).to_parquet(folder / "part.1.parquet")
    fault = refused(folder, format="parquet")
    assert fault.message == "column visits is of type large_string, but double in part.0.parquet"
    assert fault.where == str(folder / "part.1.parquet")


@pytest.mark.parametrize("name", ["visits.csv", "visits", "visits.csv.gz"])
def test_the_folder_has_the_name_of_the_file_or_its_stem(tmp_path: Path, name: str) -> None:
    folder_of(tmp_path / name, one=HEADER + FIRST)
    assert ingest.raw_files(problem(), tmp_path, "files") == (tmp_path / name,)


def test_a_file_beside_a_folder_of_parts_is_refused(tmp_path: Path) -> None:
    folder_of(tmp_path / "visits", one=HEADER + FIRST)
    (tmp_path / "visits.csv").write_text(HEADER + FIRST)
    with pytest.raises(BadData, match=r"visits.csv exists in two forms: visits.csv and visits/"):
        ingest.raw_files(problem(), tmp_path, "files")


def test_the_source_names_each_part(tmp_path: Path) -> None:
    found = ingest.source_of(folder_of(tmp_path / "visits.csv", one=FIRST, two=SECOND))
    assert [file.name for file in found.files] == ["visits.csv/part-one.csv", "visits.csv/part-two.csv"]


REFUSED = {
    "a bad value": (
        (HEADER + FIRST, HEADER + SECOND.replace("b,2024-01-01,3", "b,2024-01-01,333")),
        "visits is '333': outside 0 .. 100", "two.csv, line 3",
    ),
    "a repeated time": (
        (HEADER + FIRST, HEADER + "b,2024-01-02,9,big\n"),
        "shop and day must be unique: shop b, 2024-01-02: part-one.csv, line 2 and part-two.csv, line 2",
        "two.csv, line 2",
    ),
    "a static feature that varies": (
        (HEADER + FIRST, HEADER + SECOND.replace("big", "huge")),
        "size is huge but big in an earlier row of shop b; a static feature has one value for each key",
        "two.csv, line 3",
    ),
    "a future day": (
        (HEADER + FIRST, HEADER + SECOND.replace("a,2024-01-02", "a,2044-01-02")),
        "day is '2044-01-02': in the future (today is 2024-12-31)", "two.csv, line 2",
    ),
    "a cut part before the last": (
        ("shop,day,size,visits\nb,2024-01-02,big,4\na,2024-01-01,small,1", HEADER + SECOND),
        "the last line has no line end, so its visits may be truncated", "one.csv, line 3",
    ),
    "a part with fewer cells": (
        (HEADER + FIRST, HEADER + SECOND + "a,2024-01-03,2\n"), "3 cells where the header has 4", "two.csv, line 4",
    ),
    "a part without a column": (
        (HEADER + FIRST, "shop,day,visits\nb,2024-01-01,3\n"),
        "has no column size, unlike part-one.csv", "two.csv, header",
    ),
    "a part with another column": (
        (HEADER + FIRST, HEADER.replace("size", "size,zone") + "b,2024-01-01,3,big,1\n"),
        "has the column zone, unlike part-one.csv", "two.csv, header",
    ),
    "an empty part": ((HEADER + FIRST, ""), "no data rows: the file is empty", "two.csv"),
    "headers only": ((HEADER, HEADER), "no data rows in any part", "visits.csv"),
}  # fmt: skip


@pytest.mark.parametrize(("parts", "message", "where"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_names_the_part_and_its_line(
    tmp_path: Path, parts: tuple[str, str], message: str, where: str
) -> None:
    fault = refused(folder_of(tmp_path / "visits.csv", one=parts[0], two=parts[1]))
    assert (fault.message, fault.where.endswith(where)) == (message, True), fault.where


def test_rows_that_repeat_a_row_of_an_earlier_part_are_dropped(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "visits.csv", one=HEADER + FIRST, two=HEADER + FIRST + SECOND)
    found = read(folder, duplicates="drop")
    assert found.notes == ("dropped 2 of 6 rows that repeat an earlier row (visits.csv)",)
    assert len(found.rows) == 4


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ((), "the folder has no parts"),
        (("a.csv", "b.parquet"), "parts of several kinds: a.csv, b.parquet"),
        (("shop=a/one.csv",), "a folder of parts with the folder shop=a inside"),
    ],
)
def test_a_folder_of_other_things_is_refused(tmp_path: Path, names: tuple[str, ...], fault: str) -> None:
    folder = folder_of(tmp_path / "visits.csv")
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(HEADER + FIRST)
    assert refused(folder).message == fault


def test_parts_that_one_process_cannot_hold_are_referred_to_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "MAX_ROWS", 3)
    fault = refused(folder_of(tmp_path / "visits.csv", one=HEADER + FIRST, two=HEADER + SECOND))
    assert (fault.message, "engine: {kind: dask}" in fault.hint) == ("the parts exceed 3 rows", True)
