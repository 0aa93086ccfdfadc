"""`lockgate predict` on a file with a registered version: rows, refusals, side file, log, interruption."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import signals
import yaml
from rossmann import PROBLEM

from lockgate.data import readers, text_file
from lockgate.database import ledger, predictions
from lockgate.errors import BadData, StorageFull, WrongUsage
from lockgate.lifecycle.stages import Stage
from lockgate.operations import batch_log, load_version, predict, promote
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.predict import Order
from lockgate.operations.workspace import Workspace
from lockgate.prediction_log import spool
from lockgate.system.service_urls import Addresses

YES = MoveRequest("reviewed", dry_run=False, confirm=lambda move: None)
ANSWERS = ["prediction", "lower", "upper"]


@pytest.fixture
def here(backend: Workspace, passed) -> Workspace:
    """Version 1 in Production."""
    promote.promote(backend, YES, 1, passed(1).digests.policy_digest, None)
    return backend


@pytest.fixture
def asked(build, tmp_path: Path) -> pd.DataFrame:
    """The rows of the holdout as a file of Kaggle has them, with a number and a column of the user."""
    rows = pd.read_parquet(build(1).prepared / "holdout.parquet").drop(columns="Sales")
    rows.insert(0, "Id", np.arange(len(rows)) + 1)
    return rows.assign(Date=rows["Date"].dt.strftime("%Y-%m-%d"), note='a, "b"')


@pytest.fixture
def source(asked: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    asked.to_csv(path, index=False)
    return path


@pytest.fixture
def many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small chunks, so that a small file has many."""
    monkeypatch.setattr(text_file, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(text_file, "BLOCK_BYTES", 4000)
    monkeypatch.setattr(readers, "CHUNK_ROWS", 77)


def order(source: Path, target: Path, **more: object) -> Order:
    return Order(PROBLEM, source, target, False, 0.9, **more)  # type: ignore[arg-type]


def forecast(here: Workspace, source: Path, target: Path, **more: object) -> predict.Done:
    return predict.predict(here, order(source, target, **more), Stage.PRODUCTION)


def test_every_format_has_the_same_rows_and_answers_as_the_forecaster(
    here: Workspace, asked: pd.DataFrame, source: Path, tmp_path: Path, many_chunks: None
) -> None:
    with load_version.opened(here, load_version.recorded(here, 1)) as opened:
        expected = pd.DataFrame(vars(opened.forecaster.interval(asked, 0.9)))
    asked.to_parquet(tmp_path / "rows.parquet", index=False)
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(source.read_bytes()))
    (tmp_path / "parts").mkdir()
    for number, start in enumerate(range(0, len(asked), 200)):
        asked.iloc[start : start + 200].to_parquet(tmp_path / "parts" / f"{number}.parquet", index=False)
    texts = {}
    for number, name in enumerate(["rows.csv", "rows.csv.gz", "rows.parquet", "parts"]):
        for suffix in ("csv", "csv.gz", "parquet"):
            target = tmp_path / f"out{number}.{suffix}"
            assert forecast(here, tmp_path / name, target).rows == len(asked)
            found = pd.read_parquet(target) if suffix == "parquet" else pd.read_csv(target, dtype={"StateHoliday": str})
            assert list(found) == [*asked, *ANSWERS, "model_version"]
            np.testing.assert_array_equal(found[ANSWERS].to_numpy(), expected[ANSWERS].to_numpy())
            for column in ("Id", "Store", "Promo", "StateHoliday", "note"):
                assert found[column].tolist() == asked[column].tolist(), (name, suffix, column)
            texts[name, suffix] = target.read_bytes()
    assert texts["rows.csv", "csv"] == texts["rows.csv.gz", "csv"] == texts["rows.parquet", "csv"]
    assert gzip.decompress(texts["parts", "csv.gz"]) == texts["parts", "csv"] == texts["rows.csv", "csv"]
    assert pd.read_parquet(tmp_path / "out0.parquet")["Store"].dtype == np.dtype("int32")  # typed, from CSV


def test_a_bad_row_in_a_late_chunk_is_refused_with_its_line_and_nothing_is_written_or_logged(
    here: Workspace, source: Path, tmp_path: Path, many_chunks: None
) -> None:
    lines = source.read_text().splitlines(keepends=True)
    for wrong, says in (("999", "Store is 999"), ("x", "Store is 'x'")):
        changed = [*lines[:400], lines[400].replace(lines[400].split(",")[1], wrong, 1), *lines[401:]]
        cells = lines[400].split(",")
        changed[400] = ",".join([cells[0], wrong, *cells[2:]])
        source.write_text("".join(changed))
        with pytest.raises(BadData, match=says) as refusal:
            forecast(here, source, tmp_path / "out.csv", spool=tmp_path / "spool")
        assert f"{source}, line 401" in str(refusal.value)
    assert not list(tmp_path.glob("*out*"))
    assert spool.Spool(tmp_path / "spool").oldest() is None
    assert predictions.last(here.database, here.model, {}, PROBLEM.keys, 5) == []


def test_bad_rows_are_set_aside_and_the_others_forecast(
    here: Workspace, asked: pd.DataFrame, source: Path, tmp_path: Path, many_chunks: None
) -> None:
    lines = source.read_text().splitlines(keepends=True)
    for number, column, wrong in ((5, 1, "999"), (300, 2, "1999-01-01"), (301, 4, "7")):
        cells = lines[number].split(",")
        cells[column] = wrong
        lines[number] = ",".join(cells)
    lines[350] = "1,2,3\n"
    source.write_text("".join(lines))
    done = forecast(here, source, tmp_path / "out.csv", bad=tmp_path / "bad.csv")
    assert (done.rows, done.set_aside) == (len(asked) - 4, 4)
    bad = pd.read_csv(tmp_path / "bad.csv")
    assert bad["line"].tolist() == [6, 301, 302, 351]
    assert bad["column"].tolist()[:3] == ["Store", "Date", lines[0].split(",")[4]]
    assert bad["value"].tolist() == ["999", "1999-01-01", "7", "1,2,3"]
    assert bad["file"].unique().tolist() == ["rows.csv"]
    assert bad["reason"].notna().all()
    kept = asked.drop(index=[4, 299, 300, 349])
    assert pd.read_csv(tmp_path / "out.csv")["Id"].tolist() == kept["Id"].tolist()
    lines[1:] = [line for line in lines[1:] if line.split(",")[1] == "999"]
    source.write_text("".join(lines))
    with pytest.raises(BadData, match="no row can be forecast; the first: Store is '999'"):
        forecast(here, source, tmp_path / "none.csv", bad=tmp_path / "none.bad.csv")
    assert not list(tmp_path.glob("none*"))


def test_it_is_known_since_when_the_version_that_answers_is_in_production(
    here: Workspace, passed, source: Path, tmp_path: Path
) -> None:
    done = forecast(here, source, tmp_path / "out.csv")
    assert done.production_since == ledger.read(here.database, here.model)[-1].at
    passed(2)
    staged = predict.predict(here, order(source, tmp_path / "staged.csv"), Stage.STAGING)
    assert staged.production_since is None


def test_each_row_is_logged_once_as_batch(
    here: Workspace, asked: pd.DataFrame, source: Path, tmp_path: Path, many_chunks: None
) -> None:
    done = forecast(here, source, tmp_path / "out.csv", spool=tmp_path / "spool")
    assert done.logged == batch_log.Logged(len(asked), "")
    rows = predictions.last(here.database, here.model, {}, PROBLEM.keys, 10 * len(asked))
    assert len(rows) == len(asked)
    assert {(str(row.scorer.role), row.scorer.version) for row in rows} == {("batch", 1)}
    written = pd.read_csv(tmp_path / "out.csv")["prediction"]
    assert sorted(row.logged.prediction for row in rows) == pytest.approx(sorted(written), rel=1e-6)
    assert spool.Spool(tmp_path / "spool").oldest() is None


def test_without_postgres_the_log_waits_in_the_spool_and_says_so(
    here: Workspace, asked: pd.DataFrame, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = "postgresql+psycopg2://nobody@127.0.0.1:9/lockgate"
    into = batch_log.BatchLog.into
    elsewhere = Workspace(here.model, Addresses("http://127.0.0.1:9", nobody), type(here.database)(nobody), "anna", 2.0)
    monkeypatch.setattr(
        batch_log.BatchLog, "into", lambda folder, _, version, confidence: into(folder, elsewhere, version, confidence)
    )
    done = forecast(here, source, tmp_path / "out.csv", spool=tmp_path / "spool")
    assert done.logged == batch_log.Logged(len(asked), "no database listens there")
    assert spool.Spool(tmp_path / "spool").oldest() is not None


def test_a_full_spool_refuses_and_leaves_no_output(
    here: Workspace, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = spool.Spool(tmp_path / "spool", limit_bytes=1)
    monkeypatch.setattr(batch_log, "Spool", lambda _: full)
    with pytest.raises(StorageFull):
        forecast(here, source, tmp_path / "out.csv", spool=tmp_path / "spool")
    assert not list(tmp_path.glob("*out*"))


def test_an_output_that_exists_or_is_the_input_or_a_folder_is_refused_before_any_work(
    here: Workspace, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "out.csv").write_text("kept")
    (tmp_path / "folder.csv").mkdir()
    for target in (source, tmp_path / "out.csv", tmp_path / "folder.csv", tmp_path / "out.txt"):
        with pytest.raises(WrongUsage):
            forecast(here, source, target)
    assert (tmp_path / "out.csv").read_text() == "kept"
    (tmp_path / "parts").mkdir()
    with pytest.raises(WrongUsage, match="in the folder of the input"):
        forecast(here, tmp_path / "parts", tmp_path / "parts" / "out.parquet")
    with pytest.raises(WrongUsage, match="the file of bad rows is the output"):
        forecast(here, source, tmp_path / "new.csv", bad=tmp_path / "new.csv")


@pytest.fixture
def shell(here: Workspace, build, stack: Addresses) -> Callable[..., "subprocess.Popen[str]"]:
    """Starts a command in the project of the version."""
    folder = build(1).build.parent
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["problem"]["name"] = here.model.removesuffix("-ensemble")
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    services = {"MLFLOW_TRACKING_URI": stack.tracking_uri, "LOCKGATE_DATABASE_URL": stack.database_url}

    def start(*words: str, **options: object) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "lockgate", *words], cwd=folder, env=os.environ | services, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=signals.heeded, **options,
        )  # type: ignore[call-overload, no-any-return]  # fmt: skip

    return start


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_leaves_no_output_and_no_part_of_it(
    shell, source: Path, tmp_path: Path, number: int, code: int
) -> None:
    body = source.read_text().partition("\n")[2]
    with source.open("a") as file:
        for _ in range(1000):
            file.write(body)
    running = shell("predict", "--input", str(source), "--output", str(tmp_path / "out.csv"), "--no-log")
    while not list(tmp_path.glob(".out.csv.*.part")):
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)
    running.send_signal(number)
    said = running.communicate(timeout=120)[1]
    assert (running.returncode, "Traceback" in said) == (code, False)
    assert not list(tmp_path.glob("*out*"))


def test_what_a_killed_process_left_is_deleted_by_the_next_one(here: Workspace, source: Path, tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    left = tmp_path / f".out.csv.{ended.stdout.strip()}.part"
    left.write_text("half")
    forecast(here, source, tmp_path / "out.csv")
    assert not left.exists()


def test_a_reader_that_goes_away_is_no_error(shell, source: Path) -> None:
    words = ["predict", "--input", str(source), "--output", "-", "--no-log"]
    running = shell(*words)
    assert running.stdout.readline().startswith("Id,Store")
    running.stdout.close()
    said = running.stderr.read()
    running.stderr.close()
    assert (running.wait(120), "Traceback" in said) == (0, False)


def test_the_next_periods_are_those_of_a_file_of_the_same_rows(
    shell, here: Workspace, asked: pd.DataFrame, source: Path, tmp_path: Path
) -> None:
    said = shell("forecast", "--all", "--known", str(source), "--output", str(tmp_path / "ahead.csv"), "--no-log")
    assert (said.communicate(timeout=300)[1], said.returncode) == ("", 0)
    forecast(here, source, tmp_path / "out.csv")
    ahead = pd.read_csv(tmp_path / "ahead.csv").set_index(["Store", "Date"]).sort_index()
    expected = pd.read_csv(tmp_path / "out.csv").set_index(["Store", "Date"]).sort_index()
    assert list(ahead) == ["Open", "Promo", "StateHoliday", "SchoolHoliday", *ANSWERS, "model_version"]
    np.testing.assert_array_equal(ahead["prediction"], expected["prediction"])
    printed = shell("forecast", "--key", "Store=3", "--periods", "2", "--known", str(source), "--json")
    found = json.loads(printed.communicate(timeout=300)[0])
    assert (found["version"], found["degraded"], len(found["forecasts"])) == (1, None, 2)
    assert found["forecasts"][0]["prediction"] == ahead.loc[3]["prediction"].iloc[0]
