"""The forest and the linear model give what scikit-learn gives, from arrays."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from lockgate.models import linear, probability_calibration, random_forest
from lockgate.models.booster import Budget
from lockgate.models.linear import PENALTIES
from lockgate.models.loss import Loss
from lockgate.models.members import TABLE_MEMBERS
from lockgate.models.table_task import Objective, log_loss
from lockgate.problem.params import MembersParams

RNG = np.random.default_rng(4)
VALUES = RNG.normal(size=(400, 5)).astype(np.float32)
VALUES[RNG.random(VALUES.shape) < 0.05] = np.nan
LEVEL = np.nan_to_num(VALUES[:, 0]) + RNG.normal(size=400) * 0.3
BUDGET = Budget(rounds=60, patience=10, seed=7, threads=1)
TARGETS = {0: LEVEL, 2: (LEVEL > 0).astype(float), 3: np.digitize(LEVEL, [-0.5, 0.5]).astype(float)}

every_task = pytest.mark.parametrize("classes", list(TARGETS))
every_member = pytest.mark.parametrize("name", list(TABLE_MEMBERS))


def task(classes, rows=slice(0, 300)):
    return Objective(Loss.of("rmse"), "identity", classes).task(VALUES[rows], TARGETS[classes][rows])


def fit(name, classes):
    settings = getattr(MembersParams(), name, None)
    if hasattr(settings, "min_rows_in_leaf"):
        settings = settings.model_copy(update={"min_rows_in_leaf": 5})
    return TABLE_MEMBERS[name].fit(settings, task(classes), None, BUDGET).booster


@every_member
@every_task
def test_a_member_learns_each_task(name, classes):
    rest = task(classes, slice(300, 400))
    prior = {0: np.full(100, LEVEL.mean()), 2: np.full(100, 0.5), 3: np.full((100, 3), 1 / 3)}[classes]
    assert rest.score(fit(name, classes).raw(rest.values, 1)) < 0.8 * rest.score(prior)


@every_member
@every_task
def test_a_member_is_the_same_after_a_round_trip_alone_and_in_a_batch(name, classes):
    booster = fit(name, classes)
    again, whole = TABLE_MEMBERS[name].restore(booster.dump()), booster.raw(VALUES, 1)
    assert np.array_equal(again.raw(VALUES, 1), whole)
    assert np.array_equal(np.concatenate([booster.raw(VALUES[[row]], 1) for row in range(20)]), whole[:20])
    assert whole.shape == ((400, 3) if classes == 3 else (400,))


@every_task
def test_the_arrays_of_a_forest_give_what_scikit_learn_gives(classes):
    kind = RandomForestClassifier if classes else RandomForestRegressor
    learned = task(classes)
    model = kind(20, min_samples_leaf=3, random_state=1).fit(learned.values, learned.labels)
    expected = model.predict_proba(VALUES) if classes else model.predict(VALUES)
    expected = expected[:, 1] if classes == 2 else expected
    assert random_forest._forest(model).raw(VALUES, 1) == pytest.approx(expected, abs=1e-6)


def test_the_curve_of_the_linear_model_has_a_score_for_each_penalty():
    found = linear.fit(None, task(0), task(0, slice(300, 400)), Budget(1_000, 10, 7, 1))
    assert len(found.curve) == len(PENALTIES)
    assert min(found.curve) < 0.5 * found.curve[0]


def test_probabilities_that_are_too_extreme_are_calibrated_by_a_map():
    truth = RNG.uniform(0.05, 0.95, 4_000)
    target = (RNG.random(4_000) < truth).astype(float)
    odds = np.log(truth / (1 - truth))
    extreme = 1 / (1 + np.exp(-3 * odds))
    found = probability_calibration.calibrate(target, extreme, np.arange(4_000) % 5)
    assert found.map.method == "platt"
    assert log_loss(target, found.out_of_fold) < log_loss(target, truth) + 0.01
    assert found.map.calibrated(extreme) == pytest.approx(truth, abs=0.05)


def test_probabilities_that_are_right_stay_as_they_are():
    truth = RNG.uniform(0.05, 0.95, 4_000)
    target = (RNG.random(4_000) < truth).astype(float)
    assert probability_calibration.calibrate(target, truth, np.arange(4_000) % 5).map.method == "none"
