"""A panel that is prepared in parts: rows, card and refusals are those of one process, whatever the parts."""

import datetime
import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lockgate.data import data_card, dataset, ingest, key_ranges, split
from lockgate.engine.engine import InProcess
from lockgate.errors import BadConfiguration, BadData, LockgateError
from lockgate.pipeline.prepare_in_parts import Plan, prepare
from lockgate.problem.description import Problem

COLUMNS: dict[str, Any] = {
    "city": {"type": "category"},
    "shop": {"type": "integer", "range": [0, 99]},
    "day": {"type": "date"},
    "visits": {"type": "number", "range": [0, 1000]},
    "open": {"type": "flag"},
    "size": {"type": "category"},
    "rain": {"type": "number", "missing": "unknown"},
    "staff": {"type": "integer", "range": [0, 50]},
    "busy": {"type": "category"},
}
DESCRIBED: dict[str, Any] = {
    "name": "shops",
    "sources": [
        {"file": "visits.csv"}, {"file": "weather.csv", "key": ["city", "day"]}, {"file": "staff.csv", "key": ["shop"]}
    ],
    "keys": ["city", "shop"],
    "time": {"column": "day", "period": "day"},
    "target": "visits",
    "horizon": 5,
    "known_covariates": ["open", "rain"],
    "static_features": ["size", "staff"],
    "columns": COLUMNS | {
        "rain": COLUMNS["rain"] | {"file": "weather.csv"}, "staff": COLUMNS["staff"] | {"file": "staff.csv"}
    },
    "metric": "mae",
}  # fmt: skip


def problem(**changes: Any) -> Problem:
    described = {**DESCRIBED, **changes}
    used = str(described | {"columns": 0})
    described["columns"] = {name: each for name, each in described["columns"].items() if name in used}
    return Problem.model_validate(described)


def raw_rows() -> pd.DataFrame:
    """Rows of 14 shops in 3 cities over 60 days, with gaps, in no order."""
    rng = np.random.default_rng(5)
    days = pd.date_range("2024-01-01", periods=60).strftime("%Y-%m-%d")
    shops = [(city, shop) for city, count in (("Ulm", 9), ("Bonn", 4), ("Köln", 1)) for shop in range(count)]
    rows = pd.DataFrame([(*shop, day) for shop in shops for day in days], columns=["city", "shop", "day"])
    rows = rows.assign(
        visits=rng.integers(0, 300, len(rows)), open=rng.integers(0, 2, len(rows)),
        size=rows["city"].str[0] + (rows["shop"] % 3).astype(str), busy=rng.choice(["no", "yes"], len(rows)),
    )  # fmt: skip
    late = (rows["city"] == "Köln") & (rows["day"] < "2024-02-27")
    return rows[~late].sample(frac=0.97, random_state=2)


def write(folder: Path, rows: pd.DataFrame, parts: int = 3) -> None:
    raw = folder / "raw"
    (raw / "visits.csv").mkdir(parents=True)
    for number, places in enumerate(np.array_split(np.arange(len(rows)), parts)):
        rows.iloc[places].to_csv(raw / "visits.csv" / f"part-{number}.csv", index=False)
    weather = rows[["city", "day"]].drop_duplicates()
    weather.assign(rain=np.where(weather["city"] == "Bonn", "", "0.5")).to_csv(raw / "weather.csv", index=False)
    pd.DataFrame({"shop": range(11), "staff": range(11)}).to_csv(raw / "staff.csv", index=False)


def whole(given: Problem, folder: Path) -> tuple[split.Split, pd.DataFrame, data_card.Card]:
    files = ingest.raw_files(given, folder / "raw", "files")
    assert files
    tables = ingest.read(given, files)
    parts = split.split(given, tables.rows)
    return parts, tables.static, data_card.card_of(given, ingest.source_of(*files), tables, parts)


def in_parts(given: Problem, folder: Path, rows: int = 200) -> data_card.Card:
    files = ingest.raw_files(given, folder / "raw", "files")
    return prepare(Plan(given, folder / "prepared", rows, InProcess()), files or ())


PROBLEMS: dict[str, dict[str, Any]] = {
    "the last periods": {},
    "whole keys": {"split": {"by": "group", "share": 0.3}},
    "groups of a column": {"split": {"by": "group", "share": 0.3, "column": "visits"}},
    "rows at random": {"split": {"by": "random", "share": 0.15}},
    "rows of each class": {
        "split": {"by": "stratified", "share": 0.15}, "target": "busy", "task": "binary", "positive": "yes",
        "past_covariates": ["visits"], "horizon": 0,
        "static_features": [], "known_covariates": ["open", "rain", "size", "staff"], "metric": "log_loss",
    },
    "a state with a derived target": {
        "horizon": 0, "target": "left", "derived": {"of": "periods_left", "cap": 20}, "past_covariates": ["visits"],
        "static_features": [], "known_covariates": ["open", "rain", "size", "staff"],
        "columns": DESCRIBED["columns"] | {"left": {"type": "integer", "range": [0, 20]}},
    },
}  # fmt: skip


@pytest.mark.parametrize("changes", PROBLEMS.values(), ids=PROBLEMS)
def test_parts_hold_the_rows_of_one_process_and_their_card_its_numbers(tmp_path: Path, changes: dict[str, Any]) -> None:
    write(tmp_path, raw_rows())
    given = problem(**changes)
    wanted, static, card = whole(given, tmp_path)
    found = in_parts(given, tmp_path)
    for name, rows in (("rows", wanted.rows), ("holdout", wanted.holdout), ("static", static)):
        pd.testing.assert_frame_equal(dataset.read(tmp_path / "prepared", name), rows, check_column_type=False)
    assert len(found["rows"].pop("parts")) > 3
    for table in (found["rows"], found["holdout"], card["rows"], card["holdout"]):
        table.pop("digest")
        table.pop("parts", None)
    assert found == json.loads(json.dumps(card)) | {"source": found["source"]}
    assert json.loads(json.dumps(found["source"])) == json.loads(json.dumps(card["source"]))


def test_one_part_has_the_digests_of_one_process(tmp_path: Path) -> None:
    write(tmp_path, raw_rows())
    _, _, card = whole(problem(), tmp_path)
    found = in_parts(problem(), tmp_path, rows=100_000)
    for name in ("rows", "holdout", "static"):
        assert found[name]["digest"] == card[name]["digest"]


def bytes_of(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.parquet")}


def test_the_bytes_do_not_depend_on_how_the_raw_rows_are_divided(tmp_path: Path) -> None:
    for name, parts in (("few", 2), ("many", 7)):
        write(tmp_path / name, raw_rows(), parts)
        in_parts(problem(), tmp_path / name)
    few, many = (bytes_of(tmp_path / name / "prepared") for name in ("few", "many"))
    assert few == many


def test_each_key_is_in_one_part_and_parts_are_in_order(tmp_path: Path) -> None:
    write(tmp_path, raw_rows())
    in_parts(problem(), tmp_path)
    folder = tmp_path / "prepared"
    parts = [dataset.read_part(folder, "rows", number) for number in range(len(dataset.parts(folder, "rows")))]
    keys = [sorted(set(part[["city", "shop"]].itertuples(index=False, name=None))) for part in parts]
    joined = [key for part in keys for key in part]
    assert joined == sorted(set(joined))
    assert max(map(len, parts)) < 2 * 200


def test_a_part_holds_a_key_of_any_size() -> None:
    counts = pd.DataFrame({"city": ["a", "b", "c", "d"], key_ranges.ROWS: [1, 900, 50, 50]})
    found = [(each.first, each.until) for each in key_ranges.ranges(counts, 100)]
    assert found == [(None, ("c",)), (("c",), ("d",)), (("d",), None)]


LEFT_OUT: dict[str, dict[str, Any]] = {
    "repeated rows": {"sources": [{"file": "visits.csv", "duplicates": "drop"}, *DESCRIBED["sources"][1:]]},
    "the mean of a time": {"sources": [{"file": "visits.csv", "duplicates": "mean"}, *DESCRIBED["sources"][1:]]},
    "values out of range": {
        "columns": DESCRIBED["columns"] | {"visits": {"type": "number", "range": [0, 250], "drop_rows": True}}
    },
}  # fmt: skip


@pytest.mark.parametrize("changes", LEFT_OUT.values(), ids=LEFT_OUT)
def test_rows_that_are_left_out_are_counted_over_all_parts(tmp_path: Path, changes: dict[str, Any]) -> None:
    rows = raw_rows()
    write(tmp_path, rows if "columns" in changes else pd.concat([rows, rows.head(40)]))
    given = problem(**changes)
    wanted, _, card = whole(given, tmp_path)
    assert in_parts(given, tmp_path)["notes"] == card["notes"] != []
    pd.testing.assert_frame_equal(dataset.read(tmp_path / "prepared", "rows"), wanted.rows)


def changed(row: int, **values: Any) -> pd.DataFrame:
    rows = raw_rows().astype(object)
    for name, value in values.items():
        rows.iloc[row, rows.columns.get_loc(name)] = value
    return rows


REFUSED: dict[str, pd.DataFrame] = {
    "a bad value": changed(700, visits="many"),
    "a value out of range": changed(700, visits=4000),
    "a day in the future": changed(700, day=(datetime.date.today() + datetime.timedelta(days=9)).isoformat()),
    "a static feature that varies": changed(700, size="XL"),
    "a repeated time": pd.concat([raw_rows(), raw_rows().iloc[[3]]]),
    "a key without a side row": changed(700, shop=55),
}  # fmt: skip


def refused(of: Any, *words: Any) -> tuple[str, str, str]:
    with pytest.raises(LockgateError) as caught:
        of(*words)
    return caught.value.message, caught.value.where.rpartition("/")[2], caught.value.hint


@pytest.mark.parametrize("rows", REFUSED.values(), ids=REFUSED)
def test_a_refusal_is_that_of_one_process(tmp_path: Path, rows: pd.DataFrame) -> None:
    write(tmp_path, rows)
    assert refused(in_parts, problem(), tmp_path) == refused(whole, problem(), tmp_path)


def test_a_part_with_other_columns_is_refused(tmp_path: Path) -> None:
    write(tmp_path, raw_rows())
    path = tmp_path / "raw" / "visits.csv" / "part-1.csv"
    pd.read_csv(path).drop(columns="open").to_csv(path, index=False)
    assert refused(in_parts, problem(), tmp_path) == refused(whole, problem(), tmp_path)
    assert refused(in_parts, problem(), tmp_path)[:2] == ("has no column open, unlike part-0.csv", "part-1.csv, header")


def test_the_first_part_that_is_refused_decides(tmp_path: Path) -> None:
    write(tmp_path, pd.concat([changed(700, visits="many").head(701), changed(50, visits="lots").tail(600)]))
    assert refused(in_parts, problem(), tmp_path)[0] == "visits is 'many': not a finite number"


def test_a_run_that_is_refused_leaves_the_earlier_data_and_no_scratch(tmp_path: Path) -> None:
    write(tmp_path, raw_rows())
    card = in_parts(problem(), tmp_path)
    dead = tmp_path / f".prepared.{socket.gethostname()}.999999999"
    dead.mkdir()
    with pytest.raises(BadConfiguration):
        in_parts(problem(horizon=40), tmp_path)
    with pytest.raises(BadData):
        in_parts(problem(columns=DESCRIBED["columns"] | {"visits": {"type": "number", "range": [0, 9]}}), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prepared", "raw"]
    assert dataset.read_card(tmp_path / "prepared") == json.loads(json.dumps(card))
    in_parts(problem(), tmp_path, rows=100_000)
    assert len(dataset.parts(tmp_path / "prepared", "rows")) == 1
