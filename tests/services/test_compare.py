"""Two real versions side by side: what is on record of them, what both forecast, and what is said to be missing."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from raw_model import RawModel

from lockgate.comparison import compare
from lockgate.database import verdicts
from lockgate.database.connection import Database
from lockgate.errors import IntegrityBroken, StateConflict, Unavailable
from lockgate.evaluation import slices
from lockgate.operations import register, validate
from lockgate.operations.score_candidate import Tables
from lockgate.operations.stage_files import Build
from lockgate.operations.workspace import Workspace
from lockgate.problem.metrics import rmspe
from lockgate.problem.params import load_params
from lockgate.reports.record_diff import DifferentValue

GONE = "0" * 32

PROBLEM = load_params(Path(__file__).parents[2] / "params.yaml").problem


@pytest.fixture(scope="module")
def pair(stack, trained_project):
    """Versions 1 and 2, of different seeds and otherwise alike; only to be looked at."""
    backend = Workspace("compared-ensemble", stack, Database(stack.database_url), "anna", 10.0)
    for receipt, build, params in registered(backend, trained_project):
        validate.validate(
            backend, receipt, build, params.policy.model_copy(update={"over_serving": 1.0}), params.problem
        )
    return backend


@pytest.fixture
def pair_to_break(backend, trained_project):
    """The same two, without verdicts, for this test alone."""
    assert len(list(registered(backend, trained_project))) == 2
    return backend


def registered(backend, trained_project):
    for seed in (1, 2):
        folder = trained_project(seed)
        build, params = Build(folder / "data" / "prepared", folder / "build"), load_params(folder / "params.yaml")
        yield register.register(backend, build, params), build, params


@pytest.fixture
def holdout(build):
    """The holdout that both were judged on."""
    return compare.read_rows(PROBLEM, None, build(1).prepared)


@pytest.fixture
def late_rows(holdout):
    """Of the holdout's rows, one of a store that nobody knows and one that is years too late."""
    rows = holdout.rows.copy()
    rows.loc[0, "Store"] = 99_999
    rows.loc[1, "Date"] = pd.Timestamp("2035-01-01")
    return replace(holdout, rows=rows, source="late.csv")


def test_two_versions_are_compared_by_what_is_on_record(pair, holdout):
    found = compare.compare(pair, 1, 2, holdout, PROBLEM)
    compared = found.comparison
    assert (compared.model, compared.first.version, compared.second.version) == (pair.model, 1, 2)
    assert compared.params.differ == (DifferentValue("seed", "1", "2"),)
    assert compared.params.equal > 30
    assert [each.name for each in compared.lineage.differ] == ["seed"]
    assert compared.lineage.equal > 8
    scores = {(each.group, each.name): (each.first, each.second) for each in compared.metrics}
    judgements = [verdicts.latest_verdict(pair.database, pair.model, version) for version in (1, 2)]
    assert scores["verdict", "rmspe"] == tuple(verdict.metrics["rmspe"] for verdict in judgements)
    members = ("lightgbm", "xgboost", "catboost", "ridge", "blend")
    assert all(None not in scores["inner folds", f"{member} rmspe"] for member in members)
    assert {each.member for each in compared.importances} == {"lightgbm", "xgboost", "catboost"}
    assert sum(each.first for each in compared.importances) == pytest.approx(3.0)
    assert compared.notes == ()


def test_on_the_holdout_both_score_as_the_gate_found(pair, holdout):
    found = compare.compare(pair, 1, 2, holdout, PROBLEM)
    trial = found.comparison.trial
    assert (trial.asked, trial.agreement.rows) == (len(holdout.rows), len(holdout.rows))
    assert [left.rows for left in trial.left_out] == [0, 0]
    for version, score in ((1, trial.agreement.scored.first), (2, trial.agreement.scored.second)):
        metrics = verdicts.latest_verdict(pair.database, pair.model, version).metrics
        assert score.scores == pytest.approx({name: metrics[name] for name in ("rmspe", "mae", "bias")})
    assert trial.agreement.outside == int((holdout.rows["Open"] == 0).sum())
    weeks = {part.value: mask for part, mask in found.pairs.parts if part.by == "week"}
    ahead = days_ahead(holdout.rows)
    assert {week: mask.tolist() for week, mask in weeks.items()} == {
        str(week): ((ahead - 1) // 7 + 1 == week).tolist() for week in range(1, 7)
    }


def test_every_slice_that_the_gate_tests_is_shown_with_the_same_rows(pair, build, holdout):
    shown = compare.compare(pair, 1, 2, holdout, PROBLEM).comparison.trial.agreement.slices
    tables = Tables.read(build(1).prepared)
    sold = tables.holdout[tables.holdout["Sales"] > 0]
    cutoff = int(PROBLEM.period.number(sold["Date"].to_numpy()).min()) - 1
    tested = slices.parts(PROBLEM, sold, slices.Background(tables.static, tables.rows, cutoff))
    scored = [(each.value, each.scored.first.rows) for each in shown if each.by != "weekday"]
    assert sorted(scored) == sorted((part.value, part.rows) for part, _ in tested)


def test_without_past_rows_the_keys_have_no_size_and_that_is_said(pair, build):
    (build(1).prepared / "rows.parquet").unlink()
    found = compare.compare(pair, 1, 2, compare.read_rows(PROBLEM, None, build(1).prepared), PROBLEM).comparison
    ways = {each.by for each in found.trial.agreement.slices}
    assert ways == {"StoreType", "Assortment", "Promo", "week", "weekday"}
    assert found.notes == ("no slices by size: unknown for these rows, or more than 20 values",)


def test_rows_that_one_cannot_forecast_are_left_out_and_counted(pair, late_rows):
    found = compare.compare(pair, 1, 2, late_rows, PROBLEM).comparison
    assert found.trial.left_out == (
        compare.LeftOut(1, 2, {"Store": 1, "Date": 1}),
        compare.LeftOut(2, 2, {"Store": 1, "Date": 1}),
    )
    assert found.trial.agreement.rows == len(late_rows.rows) - 2
    assert f"version 1 cannot forecast 2 of {len(late_rows.rows)} rows: Store in 1, Date in 1" in found.notes


def test_what_both_forecast_is_what_each_forecasts_alone(pair, holdout):
    forward = compare.compare(pair, 1, 2, holdout, PROBLEM).pairs
    backward = compare.compare(pair, 2, 1, holdout, PROBLEM).pairs
    assert forward.first.tolist() == backward.second.tolist()
    assert rmspe(forward.target, forward.first) != rmspe(forward.target, forward.second)


def test_without_rows_the_rest_is_compared_and_that_is_said(pair):
    found = compare.compare(pair, 1, 2, None, PROBLEM)
    assert (found.pairs, found.comparison.trial) == (None, None)
    assert found.comparison.notes == ("no rows are at hand: the forecasts are not compared; name a file with --input",)
    assert found.comparison.params.differ != ()


def test_without_sales_the_forecasts_are_compared_and_nobody_is_called_better(pair, holdout):
    rows = replace(holdout, rows=holdout.rows.assign(Sales=float("nan")))
    found = compare.compare(pair, 1, 2, rows, PROBLEM).comparison
    assert found.trial.agreement.scored is None
    assert found.trial.agreement.spread.rows > 0
    assert found.notes == ("the rows hold no Sales: whose forecasts are better is not known",)


def test_a_version_that_came_in_past_lockgate_is_compared_as_far_as_it_is_known(backend, validated, holdout):
    validated(1)
    client = backend.registry()._client
    source = client.get_model_version(backend.model, "1").source
    client.create_model_version(backend.model, source, model_id=source.removeprefix("models:/"))
    found = compare.compare(backend, 1, 2, holdout, PROBLEM).comparison
    assert (found.second.bundle_digest, found.lineage, found.trial) == (None, None, None)
    assert "version 2 was registered outside Lockgate: its lineage and inner scores are not on record" in found.notes
    assert "version 2 has no digest on record and is not opened: the forecasts are not compared" in found.notes


def test_a_version_whose_run_is_gone_is_compared_without_params_and_importances(pair_to_break, holdout):
    with pair_to_break.database.transaction() as connection:
        connection.exec_driver_sql(
            "UPDATE public.model_versions SET run_id = %(run)s WHERE name = %(model)s AND version = 2",
            {"run": GONE, "model": pair_to_break.model},
        )
    found = compare.compare(pair_to_break, 1, 2, holdout, PROBLEM).comparison
    assert (found.params, found.importances) == (None, None)
    assert found.notes == ("version 2 has no run in MLflow: its params and importances are not known",)
    assert found.trial.agreement.rows == len(holdout.rows)


def test_bytes_that_are_not_those_registered_are_refused(pair_to_break, holdout, home):
    source = pair_to_break.registry()._client.get_model_version(pair_to_break.model, "2").source
    [path] = home.glob(f"artifacts/*/models/{source.removeprefix('models:/')}/**/catboost.cbm")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(IntegrityBroken, match=r"catboost\.cbm sha256 mismatch"):
        compare.compare(pair_to_break, 1, 2, holdout, PROBLEM)


def test_there_must_be_two_such_versions_and_a_server_to_ask(pair, holdout, unreachable):
    with pytest.raises(StateConflict, match="has no version 9"):
        compare.compare(pair, 1, 9, holdout, PROBLEM)
    with pytest.raises(Unavailable, match="does not answer"):
        compare.compare(unreachable(pair), 1, 2, holdout, PROBLEM)


def test_verdicts_on_other_holdouts_and_policies_are_told_apart(stack):
    model = RawModel(stack, Database(stack.database_url))
    first, second = model.register(), model.register()
    model.judge(first)
    verdict = model.judge(second)
    other = replace(verdict.digests, holdout_digest="e" * 64, policy_digest="f" * 64)
    verdicts.record_verdict(model.database, replace(verdict.unstored(), digests=other))
    backend = Workspace(model.name, stack, model.database, "anna", 10.0)
    notes = compare.compare(backend, first, second, None, PROBLEM).comparison.notes
    assert "the two verdicts looked at different holdouts: their metrics are of different days or rows" in notes
    assert "the two verdicts were given under different policies" in notes
    assert f"the run of version {first} holds no tables/importances.csv that can be read" in notes


@pytest.fixture
def folder(pair, build):
    """A folder whose params name the model of the pair, with the holdout in data/prepared."""
    folder = build(1).build.parent
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["problem"]["name"] = pair.model.removesuffix("-ensemble")
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    return folder


def test_the_command_prints_tables_of_80_columns_and_writes_a_page(folder, pair):
    done = run(folder, pair, "compare", "1", "2", "--html", "page.html")
    assert (done.returncode, done.stderr) == (0, "the page is in page.html\n")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert re.search(r"\b1 of \d+ params differ", done.stdout)
    assert "where they differ" in done.stdout
    assert "…" not in done.stdout
    assert (folder / "page.html").read_text().count("<svg ") == 4
    again = run(folder, pair, "compare", "1", "2", "--html", "page.html")
    assert (again.returncode, again.stdout) == (2, "")
    assert "replace it with --force" in again.stderr


def test_the_command_prints_one_json_object(folder, pair):
    (folder / "data" / "prepared" / "holdout.parquet").unlink()
    done = run(folder, pair, "compare", "2", "1", "--json")
    found = json.loads(done.stdout, parse_constant=pytest.fail)
    assert (done.returncode, found["first"]["version"], found["second"]["version"]) == (0, 2, 1)
    assert found["trial"] is None
    assert done.stderr == "".join(f"{note}\n" for note in found["notes"])
    assert "no rows are at hand" in done.stderr


def run(folder, backend, *words):
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("MLFLOW_", "LOCKGATE_"))}
    services = {
        "MLFLOW_TRACKING_URI": backend.addresses.tracking_uri,
        "LOCKGATE_DATABASE_URL": backend.addresses.database_url,
        "COLUMNS": "80",
    }
    return subprocess.run(
        [sys.executable, "-m", "lockgate", *words],
        cwd=folder,
        env=kept | services,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def days_ahead(rows):
    return (rows["Date"] - rows["Date"].min()).dt.days + 1
