"""The numbers of the monitor: which forecast counts, scores, coverage, drift, rules, the next command."""

import itertools
from dataclasses import replace
from datetime import timedelta

import engine_fleet
import logged_frames
import numpy as np
import pandas as pd
import panel_tables
import plain_tables
import pytest
from logged_frames import NOW, logged

from lockgate.bundle import snapshot as snapshots
from lockgate.bundle.distribution import distribution_of
from lockgate.bundle.snapshot import Snapshot
from lockgate.bundle.stability_index import stability_index
from lockgate.errors import WrongUsage
from lockgate.evaluation.slices import Background
from lockgate.monitoring import rules, scores
from lockgate.monitoring.advice import advice, reason_of
from lockgate.monitoring.counted import counted
from lockgate.monitoring.drift import drift
from lockgate.monitoring.findings import Production, Terms, findings
from lockgate.monitoring.live import ANSWERS, live_of
from lockgate.monitoring.replayed import Again, aligned, batches, replayed
from lockgate.monitoring.requests import AnswerCount
from lockgate.monitoring.rules import State, of_windows
from lockgate.monitoring.scores import Scorer
from lockgate.monitoring.windows import OUTSIDE, Windows, length_of
from lockgate.problem.description import Where
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import DriftRule, MonitorParams, WindowRule

DAY = timedelta(days=1)
LATER = NOW + DAY


def panel(name="day", count=40):
    """A panel's problem and its last rows."""
    rows, _ = panel_tables.rows(name)
    return panel_tables.problem(name), rows.tail(count).reset_index(drop=True)


def state():
    return engine_fleet.fleet_problem(), engine_fleet.fleet(3).groupby("unit").head(20).reset_index(drop=True)


def table(task, count=60, **changes):
    return plain_tables.params(task, **changes).problem, plain_tables.rows(task, count)


def good_forecast(problem, rows, error=0.0):
    """Forecasts that are right but for an error."""
    if problem.task == "regression":
        return rows[problem.target].to_numpy(dtype=float) + error
    texts = rows[problem.target].astype(str)
    if problem.task == "binary":
        return np.where(texts == problem.positive, 0.9, 0.1)
    names = sorted(texts.unique())
    return [{name: 0.8 if name == text else 0.2 / (len(names) - 1) for name in names} for text in texts]


KINDS = {
    **{f"panel by {name}": lambda name=name: panel(name) for name in panel_tables.TABLES},
    "state": state,
    "regression": lambda: table("regression"),
    "binary": lambda: table("binary"),
    "multiclass": lambda: table("multiclass"),
}


def scorer(problem):
    return Scorer(problem, Background())


@pytest.mark.parametrize("kind", KINDS)
def test_forecasts_that_came_true_have_the_score_of_their_metric(kind):
    problem, rows = KINDS[kind]()
    live = live_of(problem, logged(problem, rows, good_forecast(problem, rows), truth_at=LATER))
    found = scorer(problem).score(live)
    metric = METRICS[problem.metric]
    assert found.rows == len(rows)
    assert found.waiting == 0
    assert found.score == pytest.approx(metric.perfect if problem.task == "regression" else -np.log(
        {"binary": 0.9, "multiclass": 0.8}[problem.task]))  # fmt: skip
    assert {"regression": "bias", "binary": "brier", "multiclass": "accuracy"}[problem.task] in found.others


@pytest.mark.parametrize("kind", KINDS)
def test_forecasts_without_a_truth_wait_and_are_no_error(kind):
    problem, rows = KINDS[kind]()
    live = live_of(problem, logged(problem, rows, good_forecast(problem, rows)))
    found = scorer(problem).score(live)
    assert (found.rows, found.waiting) == (0, len(rows))
    assert np.isnan(found.score)


@pytest.mark.parametrize("kind", KINDS)
def test_a_forecast_made_after_its_truth_was_known_does_not_count(kind):
    problem, rows = KINDS[kind]()
    live = live_of(problem, logged(problem, rows, good_forecast(problem, rows), truth_at=NOW - DAY))
    assert (len(counted(live).live), counted(live).too_late) == (0, len(rows))


@pytest.mark.parametrize("kind", ["panel by day", "panel by hour", "panel by integer", "state"])
def test_of_several_forecasts_of_a_key_and_period_the_newest_counts(kind):
    problem, rows = KINDS[kind]()
    frames = [
        logged(problem, rows, good_forecast(problem, rows, error), at=NOW + timedelta(hours=hour), truth_at=LATER)
        for hour, error in ((0, 5.0), (2, 1.0), (1, 9.0))
    ]
    found = counted(live_of(problem, logged_frames.joined(*frames)))
    assert (len(found.live), found.repeated) == (len(rows), 2 * len(rows))
    assert (found.live.forecast - found.live.about["truth_value"]).to_numpy() == pytest.approx(1.0)


def test_a_forecast_made_before_the_period_counts_before_a_newer_one_made_in_it():
    problem, rows = panel()
    rows = rows.head(4).assign(time=pd.Timestamp("2026-03-05"), shop=list("abcd")).astype({"time": "datetime64[s]"})
    before, within = pd.Timestamp("2026-03-04T22:00Z"), pd.Timestamp("2026-03-05T10:00Z")
    truth_at = pd.Timestamp("2026-03-07T00:00Z")
    both = logged_frames.joined(
        logged(problem, rows, good_forecast(problem, rows, 1.0), at=before, truth_at=truth_at),
        logged(problem, rows, good_forecast(problem, rows, 2.0), at=within, truth_at=truth_at),
    )
    found = counted(live_of(problem, both))
    assert (found.live.forecast - found.live.about["truth_value"]).to_numpy() == pytest.approx(1.0)
    assert found.in_period == 0
    alone = counted(live_of(problem, both[both["at"] == within]))
    assert (len(alone.live), alone.in_period) == (len(rows), len(rows))


def test_every_row_of_a_table_without_keys_counts():
    problem, rows = table("regression")
    frames = [logged(problem, rows, good_forecast(problem, rows), truth_at=LATER) for _ in range(2)]
    assert counted(live_of(problem, logged_frames.joined(*frames))).repeated == 0


def test_shadow_forecasts_are_looked_at_only_when_they_are_asked_for():
    problem, rows = panel()
    frames = [
        logged(problem, rows, good_forecast(problem, rows), role=role)
        for role in ("served", "canary", "shadow", "batch")
    ]
    live = live_of(problem, logged_frames.joined(*frames))
    assert set(live.of_roles(ANSWERS).about["role"]) == {"served", "canary", "batch"}
    assert len(live.of_roles(("shadow",))) == len(rows)


def test_rows_that_where_leaves_out_are_not_scored():
    problem, rows = panel()
    problem = problem.model_copy(update={"where": Where(column="event", equals=0, otherwise=0)})
    rows = rows.assign(event=np.arange(len(rows)) % 2)
    live = live_of(problem, logged(problem, rows, good_forecast(problem, rows), truth_at=LATER))
    assert scorer(problem).score(live).rows == len(rows) // 2
    waiting = live_of(problem, logged(problem, rows, good_forecast(problem, rows)))
    assert scorer(problem).score(waiting).waiting == len(rows) // 2


def test_coverage_is_the_share_of_truths_within_their_bounds():
    problem, rows = table("regression", 100)
    forecast = good_forecast(problem, rows)
    width = np.where(np.arange(100) < 80, 1.0, -0.5)
    frame = logged(problem, rows, forecast, truth_at=LATER, lower=forecast - width, upper=forecast + width)
    found = scorer(problem).score(live_of(problem, frame))
    assert (found.covered, found.stated, found.bounded) == (0.8, 0.95, 100)


def test_scores_by_version_period_and_slice():
    problem, rows = panel("day", 80)
    problem = problem.model_copy(update={"slices": ("event",)})
    forecasts = [good_forecast(problem, rows, error) for error in (0.0, 3.0)]
    frames = [
        logged(problem, rows, forecast, truth_at=LATER, version=version + 1)
        for version, forecast in enumerate(forecasts)
    ]
    live = live_of(problem, logged_frames.joined(*frames))
    by_version = list(scorer(problem).by_version(live))
    assert [(each.value, each.rows) for each in by_version] == [("1", 80), ("2", 80)]
    assert by_version[0].score < by_version[1].score
    assert sum(each.rows for each in scorer(problem).by_period(live)) == 2 * min(80, 60)  # the newest periods
    assert {each.by for each in scorer(problem).by_slice(live)} == {"event"}


def test_recall_and_precision_of_each_class():
    problem, rows = table("multiclass", 90)
    forecast = [{"high": 0.2, "low": 0.7, "middle": 0.1}] * 90
    live = live_of(problem, logged(problem, rows, forecast, truth_at=LATER))
    found = {each.name: each for each in scores.by_class(live)}
    share = float((rows["price"] == "low").mean())
    assert set(found) == {"high", "low", "middle"}
    assert (found["low"].recall, found["low"].precision) == (1.0, pytest.approx(share))
    assert found["high"].recall == 0.0
    assert np.isnan(found["high"].precision)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_calibration_compares_probabilities_with_what_came_true(task):
    problem, rows = table(task, 200)
    live = live_of(problem, logged(problem, rows, good_forecast(problem, rows), truth_at=LATER))
    found = scores.calibration(live)
    assert sum(each.rows for each in found) == 200
    assert all(each.low - 1e-9 <= each.forecast <= each.high + 1e-9 for each in found)
    assert found[-1].observed == 1.0


def test_a_class_that_was_never_forecast_is_a_row_without_a_score_of_its_own():
    problem, rows = table("multiclass", 60)
    live = live_of(problem, logged(problem, rows, [{"low": 0.5, "middle": 0.5}] * 60, truth_at=LATER))
    assert {each.name: each.rows for each in scores.by_class(live)}["high"] == int((rows["price"] == "high").sum())


def test_windows_of_a_request_end_now_and_those_of_a_panel_with_the_newest_truth():
    problem, rows = panel("day", 40)
    live = live_of(problem, logged(problem, rows, good_forecast(problem, rows), truth_at=LATER))
    newest = int(live.about["period"].max())
    windows = Windows(DAY, 3, NOW.to_pydatetime(), newest)
    place = windows.of_truth(live)
    ages = newest - live.about["period"].to_numpy()
    assert [set(ages[place == number]) for number in range(3)] == [{0}, {1}, {2}]
    assert set(place[ages >= 3]) == {OUTSIDE}
    assert set(windows.of_request(live)) == {0}
    assert set(replace(windows, now=NOW + 2.5 * DAY).of_request(live)) == {2}
    assert set(replace(windows, newest=None).of_truth(live)) == {OUTSIDE}


def test_a_window_is_at_least_one_period():
    assert Windows(DAY, 1, NOW).periods(panel_tables.problem("month")) == 1
    assert Windows(7 * DAY, 1, NOW).periods(panel_tables.problem("day")) == 7
    assert Windows(DAY, 1, NOW).periods(panel_tables.problem("hour")) == 24
    assert Windows(3 * DAY, 1, NOW).periods(panel_tables.problem("integer")) == 3


def test_the_length_of_a_window_is_hours_or_days():
    assert (length_of("12h"), length_of("7d")) == (timedelta(hours=12), timedelta(days=7))
    for wrong in ("", "0d", "7", "d", "1w", "-1d", "1d\n", "10000d"):
        with pytest.raises(WrongUsage):
            length_of(wrong)


@pytest.mark.parametrize("broken", list(itertools.product([True, False, None], repeat=3)))
def test_a_rule_fires_by_k_of_n_windows_and_unknown_ones_are_never_good(broken):
    rule = WindowRule(bad=2, windows=3)
    found = of_windows(broken, rule)
    if broken.count(True) >= 2:
        assert found is State.FIRING
    elif broken.count(False) >= 2:
        assert found is State.OK
    else:
        assert found is State.UNKNOWN


def test_one_bad_window_fires_nothing_by_default():
    assert of_windows([True, False, False, False, False], WindowRule()) is State.OK
    assert of_windows([True, True, True, False, False], WindowRule()) is State.FIRING
    assert of_windows([], WindowRule()) is State.UNKNOWN
    assert of_windows([False, False, False, False, True, True, True], WindowRule()) is State.OK


def score(value, rows=100, waiting=0, covered=0.95, bounded=100):
    return scores.Score("window", "0", rows, waiting, value, covered, 0.95, bounded, {})


@pytest.mark.parametrize(
    ("value", "rows", "state"),
    [
        (0.05, 100, State.OK),
        (0.1, 100, State.FIRING),  # the limit itself
        (0.2, 100, State.FIRING),
        (float("nan"), 100, State.UNKNOWN),
        (float("inf"), 100, State.UNKNOWN),
        (0.05, 29, State.UNKNOWN),
        (0.2, 29, State.UNKNOWN),
    ],
)
def test_the_metric_of_a_window_with_few_rows_or_without_a_number_is_unknown(value, rows, state):
    found = rules.on_metric([score(value, rows)] * 5, METRICS["rmspe"], 0.1, MonitorParams())
    assert found.state is state
    assert found.blames_version


def test_a_metric_where_higher_is_better_fires_below_its_limit():
    assert rules.on_metric([score(0.7)] * 5, METRICS["r2"], 0.8, MonitorParams()).state is State.FIRING
    assert rules.on_metric([score(0.9)] * 5, METRICS["r2"], 0.8, MonitorParams()).state is State.OK


def test_windows_without_any_truth_are_waiting():
    nothing = score(float("nan"), rows=0, waiting=50, covered=float("nan"), bounded=0)
    assert rules.on_metric([nothing] * 5, METRICS["rmspe"], 0.1, MonitorParams()).state is State.WAITING
    assert rules.on_coverage([nothing] * 5, MonitorParams()).state is State.WAITING


@pytest.mark.parametrize(
    ("covered", "bounded", "state"),
    [(0.95, 100, State.OK), (0.86, 100, State.OK), (0.84, 100, State.FIRING), (0.5, 10, State.UNKNOWN)],
)
def test_coverage_fires_when_it_is_far_below_the_stated_confidence(covered, bounded, state):
    assert rules.on_coverage([score(0.1, covered=covered, bounded=bounded)] * 5, MonitorParams()).state is state


def test_ages_fire_at_their_limits():
    params, now = MonitorParams(), NOW.to_pydatetime()
    assert rules.on_age(now - 6 * DAY, now, params).state is State.OK
    assert rules.on_age(now - 7 * DAY, now, params).state is State.FIRING
    assert rules.on_production_age(now - 90 * DAY, now, params).state is State.FIRING
    assert rules.on_production_age(None, now, params).state is State.UNKNOWN
    assert not rules.on_age(now - 8 * DAY, now, params).blames_version


def snapshot_of_rows(problem, rows, forecast=None):
    """A snapshot without a forecaster."""
    periods = problem.period.number(rows[problem.time_name].to_numpy()) if problem.kind == "panel" else None
    columns = tuple(distribution_of(each.name, rows[each.name], periods) for each in snapshots.compared(problem))
    made = None if forecast is None else distribution_of("prediction", pd.Series(forecast), periods)
    return Snapshot(columns, made, snapshots.left_out(problem), ())


def test_rows_like_the_training_rows_do_not_drift():
    problem, rows = table("regression", 2000)
    snapshot = snapshot_of_rows(problem, rows, good_forecast(problem, rows))
    now = plain_tables.rows("regression", 300, seed=2)
    found = drift(snapshot, live_of(problem, logged(problem, now, good_forecast(problem, now))), DriftRule(), 30)
    assert [column.name for column in found.columns] == ["size", "colour", "city", "flag", "prediction"]
    assert (found.broken, found.names) == (False, ())


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("size", lambda values: values * 1.5),
        ("size", lambda values: values.where(values < 0)),  # all missing
        ("colour", lambda values: values.where(values == "red", "pink")),
        ("flag", lambda values: values * 0),
    ],
)
def test_a_column_with_another_distribution_drifts_and_is_named(column, change):
    problem, rows = table("regression", 2000)
    snapshot = snapshot_of_rows(problem, rows)
    now = plain_tables.rows("regression", 300, seed=2)
    now[column] = change(now[column])
    found = drift(snapshot, live_of(problem, logged(problem, now, np.zeros(300))), DriftRule(), 30)
    assert found.names == (column,)


def test_many_missing_values_of_a_number_are_drift_though_the_others_are_alike():
    problem, rows = table("regression", 2000)
    now = plain_tables.rows("regression", 300, seed=2)
    now["size"] = now["size"].where(np.arange(300) % 2 == 0)
    live = live_of(problem, logged(problem, now, np.zeros(300)))
    assert drift(snapshot_of_rows(problem, rows), live, DriftRule(), 30).names == ("size",)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_log_is_unknown_and_no_error(kind):
    problem, rows = KINDS[kind]()
    live = live_of(problem, logged(problem, rows, good_forecast(problem, rows)).head(0))
    found = findings(live, snapshot_of_rows(problem, rows), "", PRODUCTION, terms(problem))
    assert {rule.state for rule in found.rules if rule.name in ("metric", "coverage", "drift")} == {State.UNKNOWN}
    assert (found.volume.asked, found.total.rows, found.periods) == (0, 0, ())


def test_few_rows_are_unknown_however_strange_they_are():
    problem, rows = table("regression", 2000)
    now = plain_tables.rows("regression", 29, seed=2).assign(size=1e6)
    live = live_of(problem, logged(problem, now, np.zeros(29)))
    assert drift(snapshot_of_rows(problem, rows), live, DriftRule(), 30).broken is None


def test_a_covariate_that_moves_with_the_calendar_does_not_drift():
    problem, rows = panel_tables.problem("day"), panel_tables.rows("day")[0]
    number = problem.period.number(rows["time"].to_numpy())
    rows = rows.assign(event=(number // 7 % 2).astype("int8"))
    snapshot = snapshot_of_rows(problem, rows)
    event = next(column for column in snapshot.columns if column.name == "event")
    assert event.usual_index(7) > 1
    week = rows[number > number.max() - 7]
    live = live_of(problem, logged(problem, week, np.zeros(len(week))))
    found = next(each for each in drift(snapshot, live, DriftRule(), 5).columns if each.name == "event")
    assert found.index > 0.25
    assert found.drifted is False


def test_times_and_keys_have_no_drift_and_times_are_named():
    problem, rows = panel("day", 200)
    snapshot = snapshot_of_rows(problem, rows)
    assert [column.name for column in snapshot.columns] == ["price", "event"]
    assert snapshot.left_out == ("time",)


def test_a_snapshot_is_restored_from_its_json():
    problem, rows = panel("day", 200)
    snapshot = snapshot_of_rows(problem, rows, np.arange(200.0))
    assert snapshots.restored(snapshot.as_json()) == snapshot


def test_the_index_of_equal_shares_is_zero_and_grows_with_the_difference():
    assert stability_index(np.array([50, 50]), np.array([500, 500])) == pytest.approx(0, abs=1e-3)
    first, second = (stability_index(np.array([50, 50]), np.array(counts)) for counts in ([40, 60], [10, 90]))
    assert 0 < first < second


def terms(problem, params=None, count=5):
    params = params or MonitorParams()
    windows = Windows(DAY, count, NOW.to_pydatetime(), None)
    return Terms(params, 0.1, windows, scorer(problem), ANSWERS)


PRODUCTION = Production(1, NOW - DAY, NOW - DAY)


def five_days(problem, rows, error):
    """The same rows asked on five days in new requests, and their truth."""
    frames = [
        logged(problem, rows, good_forecast(problem, rows, error), at=NOW - day * DAY, truth_at=LATER)
        for day in range(5)
    ]
    return live_of(problem, logged_frames.joined(*frames))


def test_bad_forecasts_of_the_version_in_production_fire_and_blame_it():
    problem, rows = table("regression")
    found = findings(five_days(problem, rows, 1.0), None, "no snapshot", PRODUCTION, terms(problem))
    assert [rule.name for rule in found.blames_version] == ["metric"]
    assert next(rule for rule in found.rules if rule.name == "drift").state is State.UNKNOWN
    assert reason_of(found).startswith("alert: metric: MAE by window")


def test_bad_forecasts_of_an_earlier_version_do_not_blame_the_one_in_production():
    problem, rows = table("regression")
    live = five_days(problem, rows, 1.0)
    found = findings(live, None, "no snapshot", replace(PRODUCTION, version=2), terms(problem))
    assert found.blames_version == ()
    assert next(rule for rule in found.rules if rule.name == "metric").state is State.UNKNOWN
    assert [each.value for each in found.versions] == ["1"]


def test_without_a_logged_row_nothing_is_good():
    problem, rows = table("regression")
    live = five_days(problem, rows, 1.0)
    found = findings(live.where(np.zeros(len(live), dtype=bool)), None, "none", PRODUCTION, terms(problem))
    states = {rule.name: rule.state for rule in found.rules}
    assert states["metric"] is states["coverage"] is states["drift"] is State.UNKNOWN
    assert advice(found, None).command.startswith("lockgate predict")


def test_rows_with_little_history_or_beyond_the_horizon_are_counted():
    problem, rows = panel("day", 40)
    live = live_of(problem, logged(problem, rows, np.zeros(40), horizon=np.arange(40), degraded=True))
    key = live.about["key"].iloc[-1]
    snapshot = replace(snapshot_of_rows(problem, rows), little_history=(key,))
    volume = findings(live, snapshot, "", PRODUCTION, terms(problem)).volume
    assert volume.beyond_horizon == 40 - 1 - problem.horizon
    assert volume.little_history == int((live.about["key"] == key).sum())
    assert volume.degraded == 40


def again(live, forecast, covered=None):
    covered = np.ones(len(live), dtype=bool) if covered is None else covered
    return Again(2, NOW.to_pydatetime(), forecast, covered)


@pytest.mark.parametrize(("error", "would_be"), [(0.0, "better"), (5.0, "worse"), (1.0, "undecided")])
def test_a_replay_says_whether_the_version_would_have_been_better(error, would_be):
    problem, rows = table("regression", 200)
    noise = np.random.default_rng(1).normal(0, 1, 200)
    live = live_of(problem, logged(problem, rows, good_forecast(problem, rows, noise), truth_at=LATER))
    other = rows["price"].to_numpy() + error * np.random.default_rng(2).normal(0, 1, 200)
    found = replayed(again(live, other), live, np.ones(200, dtype=bool), Background())
    assert found.would_be == would_be
    assert (found.rows, found.refused, found.waiting, found.may_have_learned) == (200, 0, 0, 0)


def test_a_replay_counts_the_rows_that_the_version_refuses_and_those_without_a_truth():
    problem, rows = table("regression", 100)
    live = live_of(problem, logged(problem, rows, good_forecast(problem, rows)))
    covered = np.arange(100) >= 10
    found = replayed(again(live, np.zeros(100), covered), live, np.ones(100, dtype=bool), Background())
    assert (found.refused, found.waiting, found.would_be) == (10, 90, "unknown")
    assert found.changed == pytest.approx(float(np.abs(rows["price"])[10:].mean()))


def test_a_version_that_was_registered_after_the_truth_may_have_learned_from_it():
    problem, rows = table("regression", 50)
    live = live_of(problem, logged(problem, rows, good_forecast(problem, rows), truth_at=LATER))
    newer = replace(again(live, np.zeros(50)), registered_at=(LATER + DAY).to_pydatetime())
    assert replayed(newer, live, np.ones(50, dtype=bool), Background()).may_have_learned == 50


def test_rows_of_a_state_are_replayed_with_the_rows_of_their_request_and_key():
    problem, rows = state()
    frames = [logged(problem, rows, np.zeros(len(rows))), logged(problem, rows.head(20), np.zeros(20))]
    found = batches(live_of(problem, logged_frames.joined(*frames)))
    assert found.tolist() == [0] * len(rows) + [1] * 20


def test_rows_of_other_problems_are_replayed_in_one_batch():
    problem, rows = panel()
    frames = [logged(problem, rows, np.zeros(len(rows))) for _ in range(3)]
    assert set(batches(live_of(problem, logged_frames.joined(*frames)))) == {0}


def test_classes_that_a_version_does_not_know_have_no_probability():
    found = aligned(np.array([[0.4, 0.6]]), ("b", "c"), ("a", "b", "c"))
    assert found.tolist() == [[0.0, 0.4, 0.6]]


def alarmed():
    problem, rows = table("regression")
    return findings(five_days(problem, rows, 1.0), None, "no snapshot", PRODUCTION, terms(problem))


def tried(error):
    problem, rows = table("regression", 200)
    live = live_of(problem, logged(problem, rows, good_forecast(problem, rows, 1.0), truth_at=LATER))
    return replayed(again(live, rows["price"].to_numpy() + error), live, np.ones(200, dtype=bool), Background())


def test_the_next_command_is_a_rollback_only_if_the_earlier_version_would_have_been_better():
    found = advice(alarmed(), tried(0.0))
    assert found.command == 'lockgate rollback --reason "alert: metric"'
    assert found.rolls_back
    assert advice(alarmed(), tried(3.0)).command == "dvc repro"
    assert advice(alarmed(), None).command == "dvc repro"
    assert "cannot" in advice(alarmed(), None, "version 1 cannot be tried").why


def test_the_next_command_for_an_old_version_is_a_training():
    problem, rows = table("regression")
    old = replace(PRODUCTION, newest_version_at=NOW - 8 * DAY)
    found = findings(five_days(problem, rows, 0.0), None, "no snapshot", old, terms(problem))
    assert [rule.name for rule in found.firing] == ["new version"]
    assert advice(found, None).command == "dvc repro"


def test_the_next_command_without_a_truth_loads_it():
    problem, rows = table("regression")
    live = live_of(problem, logged(problem, rows, good_forecast(problem, rows)))
    found = findings(live, None, "no snapshot", PRODUCTION, terms(problem))
    assert advice(found, None).command == "lockgate truth load FILE"


def counted_answers(*failed):
    """100 requests on each of the last days, some without a forecast."""
    moments = [(NOW - day * DAY).to_pydatetime() for day in range(len(failed))]
    good = [AnswerCount(moment, 200, 100 - bad) for moment, bad in zip(moments, failed, strict=True)]
    return [*good, *(AnswerCount(moment, 422, bad) for moment, bad in zip(moments, failed, strict=True) if bad)]


@pytest.mark.parametrize(
    ("failed", "state"),
    [((0, 0, 0, 0, 0), State.OK), ((5, 0, 5, 0, 5), State.FIRING), ((4, 4, 4, 4, 4), State.OK),
     ((90, 90, 0, 0, 0), State.OK), ((0, 0), State.UNKNOWN)],
)  # fmt: skip
def test_the_error_rate_fires_at_its_limit_by_k_of_n_windows(failed, state):
    problem, rows = table("regression")
    asked = replace(terms(problem), answers=counted_answers(*failed))
    found = findings(five_days(problem, rows, 0.0), None, "no snapshot", PRODUCTION, asked)
    [rule] = [each for each in found.rules if each.name == "error rate"]
    assert (rule.state, rule.blames_version) == (state, False)
    if state is State.FIRING:
        assert advice(found, None).command == "lockgate history"


def test_without_a_server_there_is_no_rule_on_errors():
    problem, rows = table("regression")
    found = findings(five_days(problem, rows, 0.0), None, "no snapshot", PRODUCTION, terms(problem))
    assert "error rate" not in [rule.name for rule in found.rules]
