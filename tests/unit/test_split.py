"""The split by date, the data card, and the folder that later stages read."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from rossmann import PROBLEM, of_horizon

from lockgate import digests
from lockgate.data import data_card, dataset, split
from lockgate.data.data_card import GeneratedSource
from lockgate.data.gaps import Gaps
from lockgate.data.ingest import FileSource, InputFile, Tables
from lockgate.errors import BadConfiguration, IntegrityBroken, StorageFailed
from lockgate.problem.params import GeneratorParams
from lockgate.synthetic import generator

CHAIN, _ = generator.tables_and_source(GeneratorParams(seed=3, stores=8, days=400, noise=0.05), PROBLEM)
SOURCE = FileSource((InputFile("train.csv", 12, "ab"),))


def rows(*days: tuple[int, str]) -> pd.DataFrame:
    frame = CHAIN.rows.head(len(days)).copy()
    frame["Store"] = pd.array([store for store, _ in days], dtype="int32").to_numpy()
    frame["Date"] = pd.to_datetime([day for _, day in days]).astype("datetime64[s]")
    return frame


def written(folder: Path) -> dict[str, object]:
    parts = split.split(PROBLEM, CHAIN.rows)
    card = data_card.card_of(PROBLEM, SOURCE, CHAIN, parts)
    dataset.write(folder, {"rows": parts.rows, "holdout": parts.holdout, "static": CHAIN.static}, card)
    return card


def test_the_last_days_are_held_out_and_nothing_is_lost() -> None:
    parts = split.split(PROBLEM, CHAIN.rows)
    assert parts.cutoff == "2015-06-19"
    assert parts.rows["Date"].max() == pd.Timestamp("2015-06-19")
    assert parts.holdout["Date"].min() == pd.Timestamp("2015-06-20")
    assert parts.holdout["Date"].nunique() == 42
    together = pd.concat([parts.rows, parts.holdout]).sort_values(["Store", "Date"], ignore_index=True)
    pd.testing.assert_frame_equal(together, CHAIN.rows)


def test_a_holdout_longer_than_the_data_allow_is_a_matter_of_configuration() -> None:
    """At least twice as many days must remain to train on."""
    assert split.split(of_horizon(133), CHAIN.rows).cutoff
    with pytest.raises(BadConfiguration, match=r"problem\.horizon is 134, too long for 400 days") as caught:
        split.split(of_horizon(134), CHAIN.rows)
    assert caught.value.exit_code == 8
    assert "at most 133" in caught.value.hint


def test_gaps_are_counted_at_the_start_inside_and_at_the_end() -> None:
    found = Gaps.of(
        PROBLEM, rows((1, "2015-01-01"), (1, "2015-01-05"), (2, "2015-01-02"), (2, "2015-01-05"), (3, "2015-01-01"))
    ).card(PROBLEM)
    assert found == {
        "missing_rows": 3 + 1 + 2 + 4,
        "keys": 3,
        "longest_periods": 4,
        "listed": [
            {"first": "2015-01-02", "last": "2015-01-05", "keys": 1},
            {"first": "2015-01-02", "last": "2015-01-04", "keys": 1},
            {"first": "2015-01-03", "last": "2015-01-04", "keys": 1},
            {"first": "2015-01-01", "last": "2015-01-01", "keys": 1},
        ],
    }


def test_gaps_of_the_same_days_are_told_together() -> None:
    found = Gaps.of(PROBLEM, rows((1, "2015-01-01"), (1, "2015-01-04"), (2, "2015-01-01"), (2, "2015-01-04"))).card(
        PROBLEM
    )
    assert found["listed"] == [{"first": "2015-01-02", "last": "2015-01-03", "keys": 2}]


def test_a_chain_without_gaps_says_so() -> None:
    found = Gaps.of(PROBLEM, rows((1, "2015-01-01"), (1, "2015-01-02"))).card(PROBLEM)
    assert found == {"missing_rows": 0, "keys": 0, "longest_periods": 0, "listed": []}


def test_the_card_tells_counts_ranges_and_digests() -> None:
    parts = split.split(PROBLEM, CHAIN.rows)
    card = data_card.card_of(PROBLEM, SOURCE, CHAIN, parts)
    assert card["source"] == {"files": ({"name": "train.csv", "bytes": 12, "sha256": "ab"},), "kind": "csv"}
    assert card["cutoff"] == "2015-06-19"
    assert card["holdout_periods"] == 42
    assert card["rows"]["count"] + card["holdout"]["count"] == len(CHAIN.rows)
    assert card["holdout"]["first"] == "2015-06-20"
    assert card["holdout"]["digest"] == digests.of_frame(parts.holdout)
    assert sum(card["rows"]["columns"]["StateHoliday"]["counts"].values()) == card["rows"]["count"]
    assert card["rows"]["scored"] + card["holdout"]["scored"] == (CHAIN.rows["Open"] == 1).sum()
    assert card["static"]["without_rows"] == 0
    assert "Customers" not in card["rows"]["columns"]


def test_stores_without_rows_are_counted() -> None:
    thinned = Tables(CHAIN.rows[CHAIN.rows["Store"] > 2].reset_index(drop=True), CHAIN.static)
    card = data_card.card_of(PROBLEM, SOURCE, thinned, split.split(PROBLEM, thinned.rows))
    assert card["static"]["without_rows"] == 2


def test_a_column_of_nothing_but_nulls_has_no_range() -> None:
    empty = Tables(CHAIN.rows, CHAIN.static.assign(CompetitionDistance=float("nan")))
    card = data_card.card_of(PROBLEM, SOURCE, empty, split.split(PROBLEM, empty.rows))
    assert card["static"]["columns"]["CompetitionDistance"] == {"missing": 8}


def test_the_card_of_a_generated_chain_names_its_noise_floor() -> None:
    source = GeneratedSource(stores=8, days=400, noise=0.05, seed=3, noise_floor_rmspe=0.0512)
    card = data_card.card_of(PROBLEM, source, CHAIN, split.split(PROBLEM, CHAIN.rows))
    assert card["source"] == {
        "stores": 8, "days": 400, "noise": 0.05, "seed": 3, "noise_floor_rmspe": 0.0512, "kind": "generator"
    }  # fmt: skip


def test_the_same_data_give_the_same_bytes(tmp_path: Path) -> None:
    written(tmp_path / "one")
    written(tmp_path / "two")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["card.json", "holdout.parquet", "rows.parquet", "static.parquet"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        assert str(tmp_path).encode() not in (tmp_path / "one" / name).read_bytes()


def test_what_was_written_is_read_with_the_same_types(tmp_path: Path) -> None:
    card = written(tmp_path)
    parts = split.split(PROBLEM, CHAIN.rows)
    pd.testing.assert_frame_equal(dataset.read(tmp_path, "rows"), parts.rows)
    pd.testing.assert_frame_equal(dataset.read(tmp_path, "holdout"), parts.holdout)
    pd.testing.assert_frame_equal(dataset.read(tmp_path, "static"), CHAIN.static)
    assert dataset.read_card(tmp_path) == json.loads(json.dumps(card))


def test_a_table_that_is_not_the_cards_is_not_read(tmp_path: Path) -> None:
    """DVC hands out a corrupted cache file without a word."""
    written(tmp_path)
    frame = pd.read_parquet(tmp_path / "holdout.parquet")
    frame.loc[0, "Sales"] += 1
    frame.to_parquet(tmp_path / "holdout.parquet", index=False)
    with pytest.raises(IntegrityBroken, match="the digest of holdout differs from the data card"):
        dataset.read(tmp_path, "holdout")


def in_parts(folder: Path) -> pd.DataFrame:
    """Write the rows of the chain again as two parts, with their card, and return the rows."""
    card, rows = written(folder), split.split(PROBLEM, CHAIN.rows).rows
    halves = [rows[rows["Store"] <= 3].reset_index(drop=True), rows[rows["Store"] > 3].reset_index(drop=True)]
    (folder / "rows.parquet").unlink()
    (folder / "rows").mkdir()
    listed = []
    for number, half in enumerate(halves):
        dataset.write_file(folder / "rows" / f"part-{number:05}.parquet", half)
        listed.append({"file": f"part-{number:05}.parquet", "digest": digests.of_frame(half)})
    card["rows"] |= {"parts": listed, "digest": digests.of_parts([part["digest"] for part in listed])}
    (folder / "card.json").write_text(json.dumps(card))
    return rows


def test_a_table_in_parts_is_read_part_by_part_or_as_a_whole(tmp_path: Path) -> None:
    rows = in_parts(tmp_path)
    pd.testing.assert_frame_equal(dataset.read(tmp_path, "rows"), rows)
    assert dataset.place(tmp_path, "rows") == tmp_path / "rows"
    assert dataset.read_part(tmp_path, "rows", 1)["Store"].unique().tolist() == [4, 5, 6, 7, 8]
    names = [str(path.relative_to(tmp_path)) for path in dataset.parts(tmp_path, "rows")]
    assert names == ["rows/part-00000.parquet", "rows/part-00001.parquet"]
    assert [path.name for path in dataset.parts(tmp_path, "holdout")] == ["holdout.parquet"]
    written(tmp_path)
    assert dataset.place(tmp_path, "rows") == tmp_path / "rows.parquet"
    assert not (tmp_path / "rows").exists()


def test_parts_that_are_not_the_cards_are_not_read(tmp_path: Path) -> None:
    in_parts(tmp_path)
    first, second = dataset.parts(tmp_path, "rows")
    first.rename(second)
    with pytest.raises(IntegrityBroken, match="the digest of rows differs from the data card"):
        dataset.read_part(tmp_path, "rows", 1)
    with pytest.raises(IntegrityBroken, match="rows cannot be read"):
        dataset.read(tmp_path, "rows")


def test_a_card_whose_parts_do_not_give_its_digest_is_refused(tmp_path: Path) -> None:
    in_parts(tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    card["rows"]["parts"].reverse()
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(IntegrityBroken, match="the digest of rows is not that of its parts"):
        dataset.read(tmp_path, "rows")


@pytest.mark.parametrize("damage", [b"", b"PAR1 but no more"])
def test_a_damaged_table_is_refused(tmp_path: Path, damage: bytes) -> None:
    written(tmp_path)
    (tmp_path / "rows.parquet").write_bytes(damage)
    with pytest.raises(IntegrityBroken, match="rows cannot be read"):
        dataset.read(tmp_path, "rows")


@pytest.mark.parametrize("damage", ["", "[]", '{"rows": 7}'])
def test_a_damaged_card_is_refused(tmp_path: Path, damage: str) -> None:
    written(tmp_path)
    (tmp_path / "card.json").write_text(damage)
    with pytest.raises(IntegrityBroken, match="data card"):
        dataset.read(tmp_path, "rows")


def test_a_folder_that_takes_nothing_is_a_matter_of_storage(tmp_path: Path) -> None:
    (tmp_path / "prepared").write_text("a file where the folder should be")
    with pytest.raises(StorageFailed):
        written(tmp_path / "prepared")


def test_reading_the_card_loads_neither_pandas_nor_numpy():
    code = "import sys, lockgate.data.data_card; print(sorted({'numpy', 'pandas'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
