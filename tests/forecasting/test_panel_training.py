"""A training on any described panel: on every period, with the members that it names, in the scale of its target."""

from dataclasses import replace
from functools import cache

import explained
import numpy as np
import pandas as pd
import panel_tables
import pytest

from lockgate.bundle import store
from lockgate.errors import BadConfiguration
from lockgate.features.recipe import RIDGE, Table
from lockgate.problem.params import Params
from lockgate.training.panel import train
from lockgate.training.schedule import schedule_of

TRAINING = {"max_rounds": 15, "patience": 5}
every_period = pytest.mark.parametrize("name", list(panel_tables.TABLES))


def params(name, **changes):
    gate = {"limit": 0.5, "over_serving": 0.1, "over_slice": 0.1}
    problem = panel_tables.problem(name, **changes).model_dump()
    return Params.model_validate({"problem": problem, "training": TRAINING, "gate": gate, "threads": 1})


@cache
def trained(name, **changes):
    return train(*panel_tables.rows(name), params(name, **changes), lambda *_: None)


@every_period
def test_a_panel_of_each_period_is_learned_and_every_member_scored(name):
    forecaster, report = trained(name)
    assert forecaster.members == ("lightgbm", "xgboost", "catboost", RIDGE)
    assert sum(forecaster.weights.values()) == pytest.approx(1)
    assert {score.member for score in report.scores} == {*forecaster.members, "blend"}
    assert all(np.isfinite(score.scores["mae"]) for score in report.scores)
    assert forecaster.calibration.spread.min() > 0


@every_period
def test_a_bundle_of_a_panel_forecasts_the_same_however_its_columns_are_sorted(name, tmp_path):
    forecaster, _ = trained(name)
    loaded = store.load(tmp_path / "bundle", store.save(forecaster, tmp_path / "bundle"))
    rows = pd.DataFrame(store.probe_rows(tmp_path / "bundle"))
    assert list(loaded.problem.columns) != list(forecaster.problem.columns)
    assert loaded.predict(rows).tolist() == forecaster.predict(rows).tolist()


@every_period
def test_an_explanation_adds_up_for_each_member_alone_and_for_the_blend(name, tmp_path):
    forecaster, _ = trained(name)
    store.save(forecaster, tmp_path / "bundle")
    rows = pd.DataFrame(store.probe_rows(tmp_path / "bundle"))
    batch = np.arange(len(rows))
    for weights in (
        forecaster.weights,
        *({each: float(each == one) for each in forecaster.members} for one in forecaster.members),
    ):
        weighted = replace(forecaster, weights=weights)
        found = explained.explained(weighted, rows, batch)
        explained.assert_same(
            explained.explained(weighted, rows.iloc[[3]], np.arange(1)), explained.take(found, np.array([3]))
        )
        explained.assert_same(explained.explained(weighted, rows.iloc[::-1], batch[::-1]), found)


def test_negative_targets_are_learned_in_units_of_their_level_and_targets_of_many_sizes_as_logs():
    assert trained("week")[0].state.scale.level is not None
    assert trained("day")[0].state.scale.level is None


def test_the_linear_model_alone_is_a_forecaster():
    forecaster, report = trained("month", members=("linear",))
    assert forecaster.weights == {RIDGE: 1.0}
    assert report.rounds == {}


@every_period
@pytest.mark.parametrize("preferred", ["mae", "rmse"])
def test_the_blend_or_a_single_member_is_chosen_by_the_preferred_metric(name, preferred):
    _, report = trained(name, prefer=(preferred, "wape"))
    sizes = {}
    for score in report.scores:
        sizes.setdefault(score.member, []).append(score.scores[preferred])
    means = {member: np.mean(each) for member, each in sizes.items()}
    assert means["blend"] <= min(means.values()) * (1 + 1e-9)


def test_a_member_that_is_not_named_has_no_weight():
    forecaster, _ = trained("month", members=("lightgbm",))
    assert forecaster.weights == {"lightgbm": 1.0, RIDGE: 0.0}


def test_a_member_that_a_panel_does_not_have_is_refused():
    with pytest.raises(BadConfiguration, match=r"problem\.members names prophet"):
        trained("month", members=("prophet",))


@pytest.mark.parametrize(("periods", "rows"), [(40, 40), (60, 600), (900, 900_000), (17_520, 17_520)])
@pytest.mark.parametrize("name", list(panel_tables.TABLES))
def test_settings_that_are_left_open_leave_two_windows_of_training_before_the_newest_fold(name, periods, rows):
    chosen = params(name)
    times = schedule_of(periods, rows, chosen)
    horizon = chosen.horizon
    assert times.fold_ends_ago[0] == times.cutoff_shifts[0] == 0
    assert max(times.cutoff_shifts) < horizon
    if periods > 4 * horizon:
        assert times.min_history + 3 * horizon <= periods


@pytest.mark.parametrize("horizon", [24, 168])
def test_the_folds_of_hours_lie_in_several_seasons_and_on_several_weekdays(horizon):
    """Two years of one series: the oldest fold is months before the newest one."""
    ends = schedule_of(17_520, 17_520, params("hour", horizon=horizon)).fold_ends_ago
    assert ends[-1] > 100 * 24
    assert len({end % 168 for end in ends}) > 1 or horizon == 168


def test_a_short_history_of_hours_has_folds_next_to_each_other():
    assert schedule_of(400, 400, params("hour", horizon=24)).fold_ends_ago == (0, 24, 48, 72, 96, 120)


@pytest.mark.parametrize("target", [0.0, 5.0, -3.0])
def test_a_target_that_never_changes_is_forecast_as_it_is(target):
    rows, static = panel_tables.rows("day")
    forecaster, _ = train(rows.assign(y=target), static, params("day"), lambda *_: None)
    table = Table.of(forecaster.problem, rows, static)
    matrix = forecaster.state.transform(table.known_inputs(table.last - 5, table.last))
    for member in forecaster.boosters.values():
        assert member.forecast(matrix, 1) == pytest.approx(np.full(len(matrix.values), target), abs=0.01)
    assert matrix.scale.target(matrix.offsets[RIDGE]) == pytest.approx(np.full(len(matrix.values), target), abs=0.01)


def test_fifty_rows_of_one_key_are_enough():
    rows, static = panel_tables.rows("day")
    few = rows[rows["shop"] == "a"].tail(50)
    forecaster, report = train(few, static, params("day", horizon=5), lambda *_: None)
    assert sum(forecaster.weights.values()) == pytest.approx(1)
    assert report.training_rows > 50
