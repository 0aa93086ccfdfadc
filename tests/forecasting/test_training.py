"""A training chooses on inner folds, never sees the holdout, and gives the same forecaster twice."""

import pandas as pd
import pytest
import small_chain

from lockgate.bundle import store as bundle_store
from lockgate.errors import BadData
from lockgate.features.store_panel.matrix import FEATURES
from lockgate.forecaster.ensemble import RIDGE
from lockgate.models.members import MEMBERS
from lockgate.training import folds, report_files, train
from lockgate.training.fitting import training_cutoffs
from lockgate.training.report import ALL_FOLDS, BLEND
from lockgate.training.schedule import schedule
from lockgate.training.selection import best_round

ALL_MEMBERS = (*MEMBERS, RIDGE)


@pytest.fixture(scope="module")
def report():
    return small_chain.trained()[1]


def test_the_same_seed_gives_the_same_digest_whatever_the_order_of_the_rows(tmp_path):
    shuffled = small_chain.parts().rows.sample(frac=1, random_state=1)
    again, _ = small_chain.train(shuffled)
    assert bundle_store.save(again, tmp_path / "b") == bundle_store.save(small_chain.forecaster(), tmp_path / "a")


def test_another_seed_gives_another_digest_and_progress_is_told_in_rising_steps(tmp_path):
    other, steps = small_chain.params().model_copy(update={"seed": 8}), []
    rows, stores = small_chain.parts().rows, small_chain.chain().stores
    again, _ = train.train(rows, stores, other, lambda *step: steps.append(step))
    assert bundle_store.save(again, tmp_path / "b") != bundle_store.save(small_chain.forecaster(), tmp_path / "a")
    assert [done for _, done, _ in steps] == list(range(len(steps)))
    assert {total for _, _, total in steps} == {len(steps) - 1}
    assert steps[-1][0] == "done"


def test_removing_the_daily_residual_changes_the_booster_that_asks_for_it_and_no_other():
    params = small_chain.params()
    restless = params.members.catboost.model_copy(
        update={"remove_daily_residual": not params.members.catboost.remove_daily_residual}
    )
    other = params.model_copy(update={"members": params.members.model_copy(update={"catboost": restless})})
    again, _ = train.train(small_chain.parts().rows, small_chain.chain().stores, other, lambda *_: None)
    was, now = small_chain.forecaster().boosters, again.boosters
    assert [name for name in was if was[name].booster.dump() != now[name].booster.dump()] == ["catboost"]


def test_the_origin_is_the_last_day_of_the_rows():
    assert str(small_chain.trained_until(small_chain.forecaster())) == str(
        small_chain.parts().rows["Date"].max().date()
    )


def test_each_fold_is_scored_for_each_member_and_the_blend(report):
    fold_names = [score.fold for score in report.scores if score.member == BLEND]
    assert fold_names == ["2015-05-09", "2015-03-28", ALL_FOLDS]
    assert {score.member for score in report.scores} == {*ALL_MEMBERS, BLEND}
    assert all(0 < score.scores["rmspe"] < 1 and score.scores["mae"] > 0 for score in report.scores)


def test_the_blend_is_no_worse_than_its_worst_member_on_any_fold(report):
    for fold in {score.fold for score in report.scores}:
        scores = {score.member: score.scores["rmspe"] for score in report.scores if score.fold == fold}
        assert scores[BLEND] <= max(scores[member] for member in ALL_MEMBERS)


def test_weights_belong_to_the_members_and_sum_to_one(report):
    assert tuple(report.weights) == ALL_MEMBERS
    assert sum(report.weights.values()) == pytest.approx(1)
    assert min(report.weights.values()) >= 0


def test_rounds_and_curves_belong_to_the_boosters(report):
    assert {curve.member for curve in report.curves} == set(report.rounds) == set(MEMBERS)
    assert all(1 <= rounds <= 20 for rounds in report.rounds.values())


def test_the_best_round_has_the_least_median_and_one_odd_fold_does_not_decide():
    assert best_round([[5, 3, 4, 5], [5, 3, 3.5]], fewest=1) == 2
    assert best_round([[20, 10, 11], [1.5, 1.2, 1.0]], fewest=1) == 3
    assert best_round([[3, 2, 1], [3, 2, 1], [1, 50, 100]], fewest=1) == 3


def test_a_booster_learns_no_fewer_rounds_than_the_floor():
    assert best_round([[1, 2, 3, 2.5]], fewest=3) == 4
    assert best_round([[1, 2]], fewest=100) == 2


def test_a_fold_without_enough_history_is_left_out():
    """336 days back is nearly the same season a year earlier; a short history does without it."""
    params = small_chain.params()
    some = params.model_copy(update={"training": params.training.model_copy(update={"fold_ends_days_ago": [336, 0]})})
    table = small_chain.table()
    assert folds.fold_ends(table, schedule(table, some), some) == [table.last]


def test_what_the_boosters_use_most_is_worth_something_on_days_that_they_have_not_seen(report):
    used = {name: sum(shares[name] for shares in report.importances.values()) for name in FEATURES}
    assert set(report.permutation_importances) == set(FEATURES)
    assert max(report.permutation_importances.values()) > 0
    assert sum(report.permutation_importances[name] for name in sorted(used, key=used.get)[-10:]) > 0


def test_a_booster_is_shown_no_block_that_reaches_beyond_what_may_be_known():
    """The last day of each block, from its origin, is at most the last day known, in every grid."""
    params, table = small_chain.params(), small_chain.table()
    known = table.last - params.horizon
    found = training_cutoffs(table, known, params.horizon, schedule(table, params))
    assert [known - origin for origin in found[:-3:-1]] == [42, 63]
    assert found == sorted(set(found))
    assert found[0] - table.first + 1 >= params.training.min_history_days


def test_a_history_without_room_for_any_fold_is_refused_with_what_it_takes():
    rows = small_chain.parts().rows
    late = rows[rows["Date"] > rows["Date"].max() - pd.Timedelta(days=200)]
    with pytest.raises(BadData, match="200 days of history are not enough"):
        small_chain.train(late)


def test_a_new_store_is_forecast_like_the_chain_and_a_young_one_near_its_own_level():
    """Store 4 has no history, store 5 three weeks: what a store has not shown is the chain's."""
    rows, held = small_chain.parts().rows, small_chain.parts().holdout
    opened = rows["Date"].max() - pd.Timedelta(days=21)
    forecaster, _ = small_chain.train(rows[(rows["Store"] != 4) & ((rows["Store"] != 5) | (rows["Date"] > opened))])
    new, young = (held[(held["Store"] == store) & (held["Sales"] > 0)] for store in (4, 5))
    usual = rows[(rows["Store"] != 4) & (rows["Sales"] > 0)].groupby("Store")["Sales"].mean()
    assert usual.min() / 2 < forecaster.predict(new).mean() < usual.max() * 2
    assert forecaster.predict(young).mean() == pytest.approx(young["Sales"].mean(), rel=0.25)


def test_the_files_of_a_training_hold_flat_numbers_and_long_tables(report, tmp_path):
    report_files.write(report, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "curves.csv",
        "features.csv",
        "importances.csv",
        "metrics.json",
        "scores.csv",
    ]
    curves = pd.read_csv(tmp_path / "curves.csv")
    assert curves.columns.tolist() == ["step", "member", "fold", "score"]
    assert len(curves) == sum(len(curve.score) for curve in report.curves)
    assert sorted(pd.read_csv(tmp_path / "features.csv")["feature"]) == sorted(FEATURES)
    numbers = report_files.metrics(report)
    assert all(isinstance(value, int | float) for value in numbers.values())
    assert 0.5 < numbers["inner_coverage_80"] < numbers["inner_coverage_95"] <= 1
    assert numbers["inner_rmspe_blend"] == report.scores[-1].scores["rmspe"]
