"""Drift of computed features: none of rows like the training rows, and some of a changed history, in every problem."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import engine_fleet
import logged_frames
import numpy as np
import pandas as pd
import panel_tables
import plain_tables
import pytest
import small_chain
from logged_frames import NOW

from lockgate.bundle import feature_snapshot, snapshot, store
from lockgate.bundle.snapshot import snapshot_of
from lockgate.data import split
from lockgate.evaluation import sandboxed
from lockgate.evaluation.sandboxed import Request
from lockgate.features.recipe import RIDGE, Table
from lockgate.features.recipes import recipe_of
from lockgate.forecaster import feature_rows
from lockgate.forecaster.ensemble import Forecaster
from lockgate.models.conformal import Calibration
from lockgate.monitoring import live_features
from lockgate.monitoring.drift import feature_drift
from lockgate.monitoring.live import live_of
from lockgate.monitoring.live_features import LiveFeatures
from lockgate.monitoring.replayed import batches
from lockgate.problem.params import DriftRule, GeneratorParams
from lockgate.synthetic import generator
from lockgate.training.train import train

TASKS = ("regression", "binary", "multiclass")
STORES, DAYS = 24, 850
MIN_ROWS = 30


def of_ridge(problem, rows, static):
    """A forecaster of a panel whose only member is the ridge: its features are those of any other."""
    table = Table.of(problem, rows, static)
    recipe = recipe_of(problem)
    state = recipe.fit(table, [table.last], problem.horizon)[table.last]
    keys = len(table.series)
    return Forecaster(problem, recipe, state, {}, {RIDGE: 1.0}, Calibration(np.ones(keys), np.linspace(-1, 1, 101)))


@cache
def chain(seed: int, factor: float = 1.0):
    """A forecaster of a chain, the features of its snapshot, and its holdout; the last weeks sold more by a factor."""
    problem = small_chain.params().problem
    made = generator.generate(GeneratorParams(seed=seed, stores=STORES, days=DAYS, noise=0.1))
    parts = split.split(problem, made.rows)
    late = parts.rows["Date"] > parts.rows["Date"].max() - pd.Timedelta(days=35)
    sales = parts.rows["Sales"].where(~late, (parts.rows["Sales"] * factor).round()).astype(parts.rows["Sales"].dtype)
    rows = parts.rows.assign(Sales=sales)
    forecaster = of_ridge(problem, rows, made.stores)
    return forecaster, feature_snapshot.features_of(forecaster, rows)[0], parts.holdout.reset_index(drop=True)


@cache
def table(task: str):
    rows = plain_tables.rows(task, 1500)
    forecaster = train(rows, pd.DataFrame(), plain_tables.params(task, members=["linear"]), lambda *_: None)[0]
    return forecaster, feature_snapshot.features_of(forecaster, rows)[0]


@cache
def fleet():
    """A forecaster of the first engines of a fleet, its features, and the rows of the others."""
    every = engine_fleet.fleet(60)
    rows = every[every["unit"] <= 30].reset_index(drop=True)
    problem = engine_fleet.fleet_problem({"rolling": [10]}, "last", "change", members=("linear",))
    params = plain_tables.params("regression").model_copy(update={"problem": problem})
    forecaster = train(rows, pd.DataFrame(), params, lambda *_: None)[0]
    return forecaster, feature_snapshot.features_of(forecaster, rows)[0], every[every["unit"] > 30]


def logged(forecaster, rows):
    """The log of requests of these rows."""
    problem, count = forecaster.problem, len(rows)
    chances = [{"low": 0.5, "middle": 0.3, "high": 0.2}] * count
    frame = logged_frames.logged(problem, rows, chances if problem.task == "multiclass" else np.zeros(count))
    return live_of(problem, frame)


def asked(forecaster, rows) -> LiveFeatures:
    found = feature_rows.feature_rows(forecaster, rows)
    values = found.values.astype(np.float64)
    return LiveFeatures(logged(forecaster, rows), values, feature_rows.names(forecaster)).where(found.learned)


def drifted(forecaster, features, rows):
    return feature_drift(features, asked(forecaster, rows.reset_index(drop=True)), DriftRule(), MIN_ROWS)


def windows(holdout: pd.DataFrame, rng: np.random.Generator):
    """What may be asked of a chain: all, weeks, a day, some stores, some rows."""
    day = (holdout["Date"] - holdout["Date"].min()).dt.days
    yield holdout
    yield from (holdout[day // 7 == week] for week in range(6))
    yield holdout[day == 10]
    yield holdout[holdout["Store"].isin(rng.choice(STORES, STORES // 2, replace=False) + 1)]
    yield holdout[holdout["Store"].isin(rng.choice(STORES, 4, replace=False) + 1)]
    yield holdout[rng.random(len(holdout)) < 0.2]


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long), pytest.param(3, marks=pytest.mark.long)])
def test_no_window_of_a_chain_drifts_whatever_stores_and_days_are_asked(seed):
    forecaster, features, holdout = chain(seed)
    for rows in windows(holdout, np.random.default_rng(seed)):
        assert drifted(forecaster, features, rows).names == ()


def test_a_changed_level_of_the_last_weeks_of_history_is_drift_of_the_features_made_of_history():
    """No training window has features as of these weeks."""
    forecaster, features, holdout = chain(1, 1.8)
    found = drifted(forecaster, features, holdout)
    assert found.broken
    assert {column.origin for column in found.columns if column.drifted} <= {"usual values", "linear forecast"}
    assert any(name.endswith("(usual values)") for name in found.names)


@pytest.mark.parametrize("task", TASKS)
def test_rows_of_a_plain_table_like_those_of_the_training_do_not_drift_in_ten_draws(task):
    forecaster, features = table(task)
    for seed in range(2, 7):
        for count in (40, 300):
            assert drifted(forecaster, features, plain_tables.rows(task, count, seed=seed)).names == ()


@pytest.mark.parametrize("task", TASKS)
def test_a_shifted_column_of_a_plain_table_is_drift_of_its_features_by_name(task):
    forecaster, features = table(task)
    rows = plain_tables.rows(task, 300, seed=2)
    found = drifted(forecaster, features, rows.assign(size=rows["size"] + 3 * rows["size"].std()))
    assert {column.origin for column in found.columns if column.drifted} == {"size"}
    assert "size" in found.names


def test_engines_of_the_same_fleet_do_not_drift_and_those_with_shifted_sensors_do():
    forecaster, features, others = fleet()
    rng, units = np.random.default_rng(5), others["unit"].unique()
    for count in (2, 5, 10, 30):
        for _ in range(3):
            some = others[others["unit"].isin(rng.choice(units, count, replace=False))]
            assert drifted(forecaster, features, some).names == ()
    some = others[others["unit"].isin(units[:10])]
    shifted = drifted(forecaster, features, some.assign(sensor_1=some["sensor_1"] + 20.0))
    names = [column.name for column in shifted.columns if column.drifted]
    assert "sensor_1.mean_10" in names
    assert not [name for name in names if name.startswith("sensor_2")]


@pytest.mark.parametrize("name", ["hour", "week", "month", "integer"])
def test_the_next_periods_of_a_described_panel_do_not_drift(name):
    problem, (rows, static) = panel_tables.problem(name), panel_tables.rows(name)
    number = problem.period.number(rows["time"].to_numpy())
    known = number <= number.max() - problem.horizon
    forecaster = of_ridge(problem, rows[known].reset_index(drop=True), static)
    features, why = feature_snapshot.features_of(forecaster, rows[known])
    assert why == ""
    assert {"ahead", "age"} <= set(features.left_out)
    assert drifted(forecaster, features, rows[~known]).names == ()


def test_one_store_alone_is_unknown_because_any_store_differs_from_all_of_them():
    forecaster, features, holdout = chain(1)
    found = drifted(forecaster, features, holdout[holdout["Store"] == 5])
    assert (found.broken, {column.drifted for column in found.columns}) == (None, {None})


def test_too_short_a_history_has_no_features_to_compare_and_says_so():
    found = snapshot_of(of_ridge(small_chain.params().problem, small_chain.parts().rows, small_chain.chain().stores),
                        small_chain.parts().rows)  # fmt: skip
    assert (found.features, found.no_features) == (None, feature_snapshot.SHORT)


def test_the_rows_of_a_sample_of_the_keys_are_enough():
    """As a training on partitions has them."""
    problem, (rows, static) = panel_tables.problem("month"), panel_tables.rows("month")
    forecaster = of_ridge(problem, rows, static)
    features, why = feature_snapshot.features_of(forecaster, rows[rows["segment"] == "small"])
    assert (why, {sum(each.counts) for each in features.compared}.pop() > 0) == ("", True)


def test_features_of_the_calendar_dates_and_keys_are_left_out():
    forecaster, features, _ = chain(1)
    assert {"weekday", "day_of_year", "to_holiday", "competition_days"} <= set(features.left_out)
    assert {each.name for each in features.compared} | set(features.left_out) == set(forecaster.recipe.names)
    assert {name for name in table("regression")[1].left_out if name.startswith("day.")}
    assert fleet()[1].left_out == ()


def test_a_snapshot_with_features_is_restored_from_its_json_and_an_earlier_one_says_that_it_has_none():
    rows = plain_tables.rows("binary", 1500)
    found = snapshot_of(table("binary")[0], rows)
    assert snapshot.restored(found.as_json()) == found
    earlier = {name: each for name, each in json.loads(found.as_json()).items() if "features" not in name}
    old = snapshot.restored(json.dumps(earlier).encode())
    assert (old.columns, old.features, old.no_features) == (found.columns, None, snapshot.EARLIER)
    whole = replace(found, features=chain(1)[1])
    assert snapshot.restored(whole.as_json()) == whole


@pytest.mark.parametrize("kind", [pytest.param("table", marks=pytest.mark.long), "state"])
def test_a_child_process_computes_the_same_features_and_leaves_out_rows_that_are_refused(kind, tmp_path: Path):
    forecaster = table("regression")[0] if kind == "table" else fleet()[0]
    rows = plain_tables.rows("regression", 50, seed=9) if kind == "table" else fleet()[2].tail(400)
    rows = rows.drop(columns=forecaster.problem.target).reset_index(drop=True)
    expected = feature_rows.feature_rows(forecaster, rows).values.astype(np.float64)
    bad = rows.assign(**({"flag": 7} if kind == "table" else {"cycle": -1}))
    given = pd.concat([rows, bad, rows], ignore_index=True)
    digest = store.save(forecaster, tmp_path / "bundle")
    batch = np.repeat([0, 1, 2], len(rows))
    found = sandboxed.features(Request(str(tmp_path / "bundle"), digest), given, batch.tolist())
    assert found.names == feature_rows.names(forecaster)
    assert found.covered.tolist() == (batch != 1).tolist()
    np.testing.assert_array_equal(found.values[found.covered], np.tile(expected, (2, 1)))


def test_at_most_five_thousand_rows_of_a_window_are_computed_and_whole_requests_of_a_state(monkeypatch):
    monkeypatch.setattr(live_features, "MOST_ROWS", 300)
    forecaster, _, others = fleet()
    live = logged(forecaster, others.reset_index(drop=True))
    chosen = live_features.chosen(live, np.zeros(len(live), dtype=np.int64), 1)
    units = live.rows["unit"]
    assert 0 < chosen.sum() <= 600
    assert not set(units[chosen]) & set(units[~chosen])
    assert len(batches(live.where(chosen))) == chosen.sum()
    panel, _, holdout = chain(1)
    twice = logged_frames.joined(*[logged_frames.logged(panel.problem, holdout, np.zeros(len(holdout)), at=at)
                                   for at in (NOW, NOW - pd.Timedelta(days=1))])  # fmt: skip
    both = live_of(panel.problem, twice)
    some = live_features.chosen(both, np.repeat([0, 1], len(holdout)), 2)
    assert some[: len(holdout)].sum() == some[len(holdout) :].sum() == 300
