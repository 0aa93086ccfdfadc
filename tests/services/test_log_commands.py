"""`lockgate log` and `lockgate truth` in a project: predictions on record, and what came true."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import logged
import pytest
from click.testing import CliRunner
from paired_rows import CHURN
from sqlalchemy import text

from lockgate.cli import lockgate, log
from lockgate.database import predictions, truth, versions
from lockgate.database.connection import Database
from lockgate.database.versions import Registration
from lockgate.errors import BadData, StateConflict
from lockgate.prediction_log.record import LoggedRequest, Scorer
from lockgate.prediction_log.spool import Spool
from lockgate.prediction_log.truth_rows import TruthRow
from lockgate.system.exit_codes import Session, run

EXAMPLE = Path(__file__).parents[2] / "examples" / "vehicle_demand"
SCORER = replace(logged.SERVED, model="vehicle_demand-ensemble")
MAY_2024 = 12 * 54 + 4
Shell = Callable[..., tuple[int, str]]


@pytest.fixture
def shell(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """The command line in the folder of the example; gives exit code and output."""
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(EXAMPLE / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("LOCKGATE_DATABASE_URL", database_url)

    def shell(*words: str) -> tuple[int, str]:
        runner, session = CliRunner(), Session()
        with runner.isolation() as (out, *_):
            code = run(lambda: lockgate.main(list(words), obj=session, standalone_mode=False), session)
            return code, out.getvalue().decode()

    return shell


@pytest.fixture
def known(database: Database) -> None:
    """The version of SCORER is registered."""
    versions.record_version(database, Registration(SCORER.model, SCORER.version, SCORER.digest, "run", {}))


def of_segment(name: str, minutes: float = 0, scorer: Scorer = SCORER) -> LoggedRequest:
    row = logged.row(segment={"segment": name}, period=MAY_2024, prediction=1234.5)
    return logged.request(row, scorer=scorer, minutes=minutes)


def test_what_waits_in_the_spool_is_moved_and_shown(
    shell: Shell, known: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    Spool(tmp_path / ".lockgate" / "spool").append([of_segment("suv"), of_segment("van", 1)])
    assert shell("log", "drain") == (0, "2 predictions moved to Postgres\n")
    assert shell("log", "drain") == (0, "the spool is empty\n")
    code, out = shell("log", "last", "--segment", "segment=van")
    assert (code, len(out.splitlines())) == (0, 3)
    assert out.splitlines()[2].split() == [
        "2026-04-01", "00:00:59", "van", "2024-05", "1234.5", "90.25", "110.12", "3", "served",
    ]  # fmt: skip


def test_what_another_database_has_made_is_not_moved(shell: Shell, database: Database, tmp_path: Path) -> None:
    """The version is unknown, or has another bundle: the database is of another project."""
    spool = Spool(tmp_path / ".lockgate" / "spool" / "m" / "serve-1")
    spool.append([of_segment("suv")])
    assert shell("log", "drain") == (5, "")
    versions.record_version(database, Registration(SCORER.model, SCORER.version, "f" * 64, "run", {}))
    assert shell("log", "drain") == (5, "")
    assert spool.oldest() is not None
    assert shell("log", "last") == (0, "no predictions on record\n")


def test_the_spool_has_a_folder_of_its_own_by_variable(
    shell: Shell, known: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCKGATE_SPOOL", str(tmp_path / "elsewhere"))
    Spool(tmp_path / "elsewhere").append([of_segment("suv")])
    assert json.loads(shell("log", "drain", "--json")[1]) == {"records": 1, "rows": 1}


def test_json_has_the_names_of_the_table(shell: Shell, database: Database) -> None:
    request = of_segment("suv")
    predictions.insert(database, [request])
    [found] = json.loads(shell("log", "last", "--json")[1])
    with database.transaction() as connection:
        columns = connection.execute(text("SELECT * FROM lockgate.predictions")).keys()
    assert set(found) == set(columns)
    assert (found["request_id"], found["segment"], found["class"]) == (request.request_id, {"segment": "suv"}, None)


def test_the_limit_keeps_the_newest(shell: Shell, database: Database) -> None:
    predictions.insert(database, [of_segment("suv", minutes) for minutes in range(5)])
    found = json.loads(shell("log", "last", "--limit", "2", "--json")[1])
    assert [each["at"] for each in found] == [str(logged.START + timedelta(minutes=minutes)) for minutes in (4, 3)]


def test_a_row_of_a_problem_without_keys_is_named_by_its_request_and_place(database: Database) -> None:
    """`lockgate truth load` wants these names."""
    request = logged.request(*[logged.row(segment={})] * 2)
    predictions.insert(database, [request])
    found = predictions.last(database, logged.MODEL, {}, [], 10)
    shown = [dict(zip(log._heads(CHURN), log._cells(CHURN, row), strict=True)) for row in found]
    assert [(row["request"], row["row"]) for row in shown] == [(request.request_id, "0"), (request.request_id, "1")]


def test_predictions_of_other_models_are_not_shown(shell: Shell, database: Database) -> None:
    predictions.insert(database, [logged.request()])
    assert shell("log", "last") == (0, "no predictions on record\n")


@pytest.mark.parametrize("given", ["color=red", "segment", "segment=bus"])
def test_a_segment_that_the_problem_does_not_have_is_refused(shell: Shell, given: str) -> None:
    assert shell("log", "last", "--segment", given)[0] == 2


def test_retention_drops_whole_months_and_deletes_the_rest(shell: Shell, database: Database) -> None:
    now = datetime.now(UTC)
    ages = [timedelta(days=days) for days in (0, 1, 31, 32, 100, 200)]
    predictions.insert(database, [replace(of_segment("suv"), at=now - age) for age in ages])
    assert shell("log", "retain", "--older-than", "31d", "--dry-run")[0] == 0
    assert len(predictions.last(database, SCORER.model, {}, ["segment"], 100)) == 6
    assert shell("log", "retain", "--older-than", "31d")[0] == 2  # no terminal to ask
    code, out = shell("log", "retain", "--older-than", "31d", "--yes", "--json")
    done = json.loads(out)
    assert (code, sum(month["predictions"] for month in done["months"])) == (0, 4)
    left = predictions.last(database, SCORER.model, {}, ["segment"], 100)
    assert [row.at for row in left] == [now - age for age in ages[:2]]
    assert shell("log", "retain", "--older-than", "31d", "--yes")[1].endswith(": 0\n")


def test_what_was_deleted_may_be_logged_again(shell: Shell, database: Database) -> None:
    late = replace(of_segment("suv"), at=datetime.now(UTC) - timedelta(days=400))
    predictions.insert(database, [late])
    shell("log", "retain", "--older-than", "90d", "--yes")
    assert predictions.insert(database, [late]) == 1


# --- truth -----------------------------------------------------------------------------------------------------------

IN_FORCE = """
    SELECT segment ->> 'segment', period, value FROM lockgate.truth_in_force('vehicle_demand-ensemble') ORDER BY 1, 2
"""
HISTORY = "SELECT value, corrects IS NOT NULL, source, actor FROM lockgate.truth ORDER BY id"


def truth_of(folder: Path, *lines: str, name: str = "truth.csv") -> str:
    (folder / name).write_text("\n".join(["segment,month,demand", *lines, ""]))
    return name


def rows_of(database: Database, query: str) -> list[tuple[object, ...]]:
    with database.transaction() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_truth_joins_predictions_by_key_and_period(shell: Shell, database: Database, tmp_path: Path) -> None:
    predictions.insert(database, [of_segment("suv"), of_segment("van")])
    name = truth_of(tmp_path, "suv,2024-05-01,1200", "van,2024-05-01,1300", "suv,2024-04-01,7")
    code, out = shell("truth", "load", name, "--json")
    assert (code, json.loads(out)) == (
        0,
        {
            "rows": 3, "new": 3, "unchanged": 0, "corrected": {"count": 0, "first": []},
            "unknown": {"count": 1, "first": ["truth.csv, line 4"]}, "left_out": 0, "ignored": [],
        },
    )  # fmt: skip
    assert rows_of(database, IN_FORCE) == [
        ("suv", MAY_2024 - 1, 7.0), ("suv", MAY_2024, 1200.0), ("van", MAY_2024, 1300.0)
    ]  # fmt: skip


def test_the_same_file_again_adds_nothing(shell: Shell, database: Database, tmp_path: Path) -> None:
    name = truth_of(tmp_path, "suv,2024-05-01,1200", "van,2024-05-01,1300")
    assert shell("truth", "load", name)[1].startswith("2 rows: 2 new, 0 corrected, 0 unchanged\n")
    assert shell("truth", "load", name)[1].startswith("2 rows: 0 new, 0 corrected, 2 unchanged\n")
    assert len(rows_of(database, HISTORY)) == 2


def test_a_correction_keeps_the_history(
    shell: Shell, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCKGATE_ACTOR", "anna")
    shell("truth", "load", truth_of(tmp_path, "suv,2024-05-01,1200"))
    code, out = shell("truth", "load", truth_of(tmp_path, "suv,2024-05-01,1201", name="later.csv"))
    assert (code, out.splitlines()[0]) == (0, "1 rows: 0 new, 1 corrected, 0 unchanged")
    shell("truth", "load", truth_of(tmp_path, "suv,2024-05-01,1200"))
    assert rows_of(database, HISTORY) == [
        (1200.0, False, "truth.csv", "anna"), (1201.0, True, "later.csv", "anna"), (1200.0, True, "truth.csv", "anna")
    ]  # fmt: skip
    assert rows_of(database, IN_FORCE) == [("suv", MAY_2024, 1200.0)]


def test_two_loads_at_once_add_each_row_once(database: Database) -> None:
    rows = [TruthRow({"segment": "suv"}, period, None, None, float(period), None) for period in range(2_000)]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: truth.load(database, SCORER.model, rows, "f", "anna"), range(4)))
    assert sorted(each.new for each in done) == [0, 0, 0, 2_000]
    assert len(rows_of(database, IN_FORCE)) == 2_000


def test_truth_is_never_changed_or_deleted(shell: Shell, database: Database, tmp_path: Path) -> None:
    shell("truth", "load", truth_of(tmp_path, "suv,2024-05-01,1200"))
    for statement in ("UPDATE lockgate.truth SET value = 1", "DELETE FROM lockgate.truth", "TRUNCATE lockgate.truth"):
        with pytest.raises(StateConflict, match="append-only"):
            rows_of(database, statement)


def test_classes_of_a_table_are_joined_by_request_and_row(database: Database) -> None:
    request = logged.request(logged.row(), logged.row())
    predictions.insert(database, [request])
    rows = [TruthRow({}, None, request.request_id, row, None, "Yes") for row in (1, 2)]
    assert truth.load(database, logged.MODEL, rows, "f", "anna") == truth.Loaded(2, [], [1])
    other = [rows[0]._replace(true_class="No"), rows[1]]
    assert truth.load(database, logged.MODEL, other, "f", "anna") == truth.Loaded(0, [0], [1])


def test_keys_without_time_name_a_row_alone(database: Database) -> None:
    predictions.insert(database, [logged.request(logged.row(7, None))])
    rows = [TruthRow({"shop": shop}, None, None, None, 1.0, None) for shop in (7, 8)]
    assert truth.load(database, logged.MODEL, rows, "f", "anna") == truth.Loaded(2, [], [1])
    assert truth.load(database, logged.MODEL, rows, "f", "anna") == truth.Loaded(0, [], [1])


def test_a_conflict_within_a_file_stores_nothing(shell: Shell, database: Database, tmp_path: Path) -> None:
    assert shell("truth", "load", truth_of(tmp_path, "suv,2024-05-01,1", "suv,2024-05-01,2"))[0] == 3
    assert rows_of(database, HISTORY) == []


def test_a_file_of_several_parts_is_on_record_whole_or_not_at_all(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(truth, "ROWS_AT_ONCE", 2)
    rows = [TruthRow({"shop": shop}, 1, None, None, 1.0, None) for shop in ("a", "b", "c", "d", "x" * 501)]
    with pytest.raises(BadData, match="characters, and the log takes at most"):
        truth.load(database, logged.MODEL, rows, "f", "anna")
    assert rows_of(database, HISTORY) == []
    assert truth.load(database, logged.MODEL, rows[:4], "f", "anna") == truth.Loaded(4, [], [0, 1, 2, 3])
    changed = [*rows[:3], rows[3]._replace(value=2.0)]
    assert truth.load(database, logged.MODEL, changed, "f", "anna") == truth.Loaded(0, [3], [0, 1, 2, 3])


BAD_NAMES = {"NUL": "a\0b", "characters, and the log takes at most": "x" * 501}


@pytest.mark.parametrize("message", BAD_NAMES)
def test_a_key_that_postgres_cannot_hold_is_refused(database: Database, message: str) -> None:
    row = TruthRow({"shop": BAD_NAMES[message]}, 1, None, None, 1.0, None)
    with pytest.raises(BadData, match=message):
        truth.load(database, logged.MODEL, [row], "f", "anna")
