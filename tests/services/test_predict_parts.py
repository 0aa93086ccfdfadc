"""`lockgate predict` into a folder: one file for each part of the input, and a manifest."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rossmann import PROBLEM

from lockgate import digests
from lockgate.data import readers
from lockgate.database import predictions
from lockgate.engine.engine import InProcess
from lockgate.errors import BadData, StorageFull, WrongUsage
from lockgate.lifecycle.stages import Stage
from lockgate.operations import batch_log, predict, predict_parts, promote
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.predict import Order
from lockgate.operations.workspace import Workspace
from lockgate.prediction_log import spool

YES = MoveRequest("reviewed", dry_run=False, confirm=lambda move: None)
PART_ROWS = 200


@pytest.fixture
def here(backend: Workspace, passed) -> Workspace:
    """Version 1 in Production."""
    promote.promote(backend, YES, 1, passed(1).digests.policy_digest, None)
    return backend


@pytest.fixture
def asked(build) -> pd.DataFrame:
    rows = pd.read_parquet(build(1).prepared / "holdout.parquet").drop(columns="Sales")
    return rows.assign(Id=np.arange(len(rows)), note='a, "b"')


@pytest.fixture
def source(asked: pd.DataFrame, tmp_path: Path) -> Path:
    """A folder as Spark leaves it: parts, one of them without rows, and files that are no parts."""
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "_SUCCESS").touch()
    (folder / ".part-0.parquet.crc").write_bytes(b"crc")
    asked.iloc[:0].to_parquet(folder / "part-9.parquet", index=False)
    for number, start in enumerate(range(0, len(asked), PART_ROWS)):
        asked.iloc[start : start + PART_ROWS].to_parquet(folder / f"part-{number}.parquet", index=False)
    return folder


def order(source: Path, target: Path, force: bool = False, **more: object) -> Order:
    return Order(PROBLEM, source, target, force, 0.9, **more)  # type: ignore[arg-type]


def forecast(here: Workspace, source: Path, target: Path, force: bool = False, **more: object) -> predict.Done:
    return predict_parts.predict(here, order(source, target, force, **more), Stage.PRODUCTION, InProcess())


def test_each_part_has_the_rows_and_forecasts_that_one_file_has(
    here: Workspace, asked: pd.DataFrame, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "CHUNK_ROWS", 77)
    done = forecast(here, source, tmp_path / "out")
    predict.predict(here, order(source, tmp_path / "out.parquet"), Stage.PRODUCTION)
    whole = pd.read_parquet(tmp_path / "out.parquet")
    assert done.rows == len(whole) == len(asked)
    names = sorted(part.name for part in source.glob("*.parquet"))
    assert sorted(part.name for part in (tmp_path / "out").iterdir()) == ["_manifest.json", *names]
    parts = [pd.read_parquet(tmp_path / "out" / name) for name in names]
    assert len(parts[-1]) == 0
    assert list(parts[-1]) == list(whole)
    pd.testing.assert_frame_equal(pd.concat(parts[:-1], ignore_index=True), whole)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out").sort_values("Id", ignore_index=True), whole)
    (tmp_path / "texts").mkdir()
    for name, part in zip(names[:-1], parts, strict=False):
        given = part.drop(columns=["prediction", "lower", "upper", "model_version"])
        given.to_csv(tmp_path / "texts" / name.replace("parquet", "csv.gz"), index=False)
    forecast(here, tmp_path / "texts", tmp_path / "of texts")
    found = pd.read_parquet(tmp_path / "of texts")
    np.testing.assert_array_equal(found["prediction"], whole["prediction"])


def test_the_manifest_names_the_version_and_each_file_with_its_rows_and_digest(
    here: Workspace, source: Path, tmp_path: Path
) -> None:
    done = forecast(here, source, tmp_path / "out")
    found = json.loads((tmp_path / "out" / "_manifest.json").read_text())
    assert (found["model"], found["version"], found["stage"]) == (here.model, 1, "Production")
    assert (found["confidence"], found["rows"], found["refused_rows"]) == (0.9, done.rows, 0)
    assert len(found["bundle_digest"]) == 64
    for part in found["parts"]:
        path = tmp_path / "out" / part["name"]
        assert part["sha256"] == digests.of_file(path)
        assert part["rows"] == len(pd.read_parquet(path))
    assert [part["name"] for part in found["parts"]] == sorted(part.name for part in source.glob("*.parquet"))


def test_a_bad_row_in_a_late_part_is_refused_with_part_and_row_and_nothing_is_written_or_logged(
    here: Workspace, asked: pd.DataFrame, source: Path, tmp_path: Path
) -> None:
    asked.iloc[:9].assign(Store=[1, 2, 3, 999, 1, 2, 3, 1, 2]).to_parquet(source / "part-8.parquet", index=False)
    with pytest.raises(BadData, match="row 4: Store is 999") as refusal:
        forecast(here, source, tmp_path / "out", spool=tmp_path / "spool")
    assert f"{source / 'part-8.parquet'}, row 4" in str(refusal.value)
    assert not list(tmp_path.glob("*out*"))
    assert spool.Spool(tmp_path / "spool").oldest() is None
    done = forecast(here, source, tmp_path / "out", bad=tmp_path / "bad.csv")
    assert (done.rows, done.set_aside) == (len(asked) + 8, 1)
    bad = pd.read_csv(tmp_path / "bad.csv")
    assert bad[["file", "line", "column", "value"]].to_numpy().tolist() == [["part-8.parquet", 4, "Store", 999]]
    found = json.loads((tmp_path / "out" / "_manifest.json").read_text())["parts"]
    assert [part["refused_rows"] for part in found if part["name"] == "part-8.parquet"] == [1]
    assert len(pd.read_parquet(tmp_path / "out" / "part-8.parquet")) == 8


def test_each_row_is_logged_before_the_folder_appears(
    here: Workspace, asked: pd.DataFrame, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_log, "Spool", lambda folder: spool.Spool(folder, limit_bytes=1))
    with pytest.raises(StorageFull):
        forecast(here, source, tmp_path / "out", spool=tmp_path / "full")
    assert not list(tmp_path.glob("*out*"))
    monkeypatch.undo()
    done = forecast(here, source, tmp_path / "out", spool=tmp_path / "spool")
    assert done.logged == batch_log.Logged(len(asked), "")
    rows = predictions.last(here.database, here.model, {}, PROBLEM.keys, 10 * len(asked))
    assert {(str(row.scorer.role), row.scorer.version) for row in rows} == {("batch", 1)}
    written = pd.read_parquet(tmp_path / "out")["prediction"]
    assert sorted(row.logged.prediction for row in rows) == pytest.approx(sorted(written), rel=1e-6)


def test_a_folder_of_forecasts_is_replaced_with_force_and_any_other_folder_never(
    here: Workspace, source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    target.mkdir()  # an empty folder is as good as none
    forecast(here, source, target)
    with pytest.raises(WrongUsage, match="exists already"):
        forecast(here, source, target)
    (source / "part-0.parquet").rename(source / "part-7.parquet")
    forecast(here, source, target, force=True)
    assert not (target / "part-0.parquet").exists()
    (target / "notes.txt").write_text("kept")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "part-0.parquet").write_text("kept")
    (tmp_path / "file").write_text("kept")
    for other in (
        target,
        tmp_path / "mine",
        tmp_path / "file",
        source,
        source / "below",
        tmp_path,
        tmp_path / "a" / "b",
    ):
        with pytest.raises(WrongUsage):
            forecast(here, source, other, force=True)
    assert (target / "notes.txt").read_text() == "kept"


def test_parts_that_differ_in_their_columns_or_formats_are_refused(
    here: Workspace, asked: pd.DataFrame, source: Path, tmp_path: Path
) -> None:
    asked.iloc[:5].drop(columns="note").to_parquet(source / "part-8.parquet", index=False)
    with pytest.raises(BadData, match="columns differ from those of other parts: note"):
        forecast(here, source, tmp_path / "out")
    asked.to_csv(source / "rows.csv")
    with pytest.raises(BadData, match="several formats"):
        forecast(here, source, tmp_path / "out")
    assert not list(tmp_path.glob("*out*"))
