"""Laws that every booster owes, whichever library it is."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import small_chain

from lockgate.bundle import store
from lockgate.features.recipe import RIDGE, Matrix
from lockgate.features.scale import LOG
from lockgate.features.training_rows import TrainingRows
from lockgate.models import panel_task
from lockgate.models.booster import Budget
from lockgate.models.loss import Loss
from lockgate.models.members import MEMBERS
from lockgate.problem.params import MembersParams

RNG = np.random.default_rng(2)
VALUES = RNG.normal(size=(900, 6)).astype(np.float32)
VALUES[RNG.random(VALUES.shape) < 0.05] = np.nan
OFFSET = 8 + RNG.normal(size=900) * 0.1
LOG_SALES = OFFSET + 0.3 * (np.nan_to_num(VALUES[:, 0]) > 0) + RNG.normal(size=900) * 0.05
LOSS = Loss.of("rmspe")
BUDGET = Budget(rounds=40, patience=5, seed=7, threads=2)

every_member = pytest.mark.parametrize("name", list(MEMBERS))
every_target = pytest.mark.parametrize("target", ["log", "ratio"])


def task(target="log", rows=slice(0, 600)):
    matrix = Matrix(VALUES[rows], tuple("abcdef"), {RIDGE: OFFSET[rows]}, LOG)
    none = np.zeros(len(OFFSET[rows]), dtype=np.int64)
    return panel_task.task(TrainingRows(matrix, LOG_SALES[rows], none, none, none, none), RIDGE, target, LOSS)


def settings(name):
    chosen = getattr(small_chain.params().members, name)
    return chosen.model_copy(update={"min_rows_in_leaf": 5} if hasattr(chosen, "min_rows_in_leaf") else {})


def fit(name, target="log", budget=BUDGET, score=None):
    return MEMBERS[name].fit(settings(name), task(target), score, budget)


@every_member
@every_target
def test_it_learns_what_the_offset_does_not_explain(name, target):
    rest = task(target, slice(600, 900))
    assert rest.score(fit(name, target).booster.raw(rest.values, 1)) < 0.09
    assert rest.score(np.full(300, float(target == "ratio"))) > 0.14


@every_member
def test_it_is_the_same_after_a_round_trip_through_its_own_file(name):
    booster = fit(name).booster
    again = MEMBERS[name].restore(booster.dump())
    assert np.array_equal(again.raw(VALUES, 1), booster.raw(VALUES, 1))


@every_member
def test_the_same_fit_gives_the_same_bytes(name):
    assert fit(name).booster.dump() == fit(name).booster.dump()


@every_member
def test_a_booster_that_was_read_or_sent_to_another_process_has_the_same_bytes(name):
    booster = fit(name).booster
    sent = pickle.loads(pickle.dumps(booster))
    assert sent.dump() == booster.dump() == MEMBERS[name].restore(booster.dump()).dump()
    np.testing.assert_array_equal(sent.raw(VALUES, 1), booster.raw(VALUES, 1))


@every_member
def test_another_seed_gives_another_booster(name):
    assert fit(name).booster.dump() != fit(name, budget=replace(BUDGET, seed=8)).booster.dump()


@every_member
def test_threads_and_batch_do_not_change_an_output(name):
    booster = fit(name).booster
    whole = booster.raw(VALUES, 2)
    assert np.array_equal(booster.raw(VALUES, 1), whole)
    assert [booster.raw(VALUES[[row]], 1)[0] for row in range(20)] == whole[:20].tolist()


@every_member
def test_it_stops_when_the_scored_rows_no_longer_improve(name):
    fitted = fit(name, budget=replace(BUDGET, rounds=3000), score=task(rows=slice(600, 900)))
    assert 5 < len(fitted.curve) < 1500
    assert len(fitted.curve) - 1 - int(np.argmin(fitted.curve)) <= 60


@every_member
def test_the_curve_is_the_capped_rmspe_of_the_forecasts(name):
    score = task(rows=slice(600, 900))
    fitted = fit(name, score=score, budget=replace(BUDGET, patience=1000))
    assert len(fitted.curve) == BUDGET.rounds
    assert fitted.curve[-1] == pytest.approx(score.score(fitted.booster.raw(score.values, 1)), rel=1e-5)


@every_member
def test_importances_are_shares_and_name_what_matters(name):
    shares = fit(name).booster.importances()
    assert shares.sum() == pytest.approx(1)
    assert int(np.argmax(shares)) == 0


def test_the_ratio_target_weighs_rows_so_that_squared_error_is_squared_percentage_error():
    ratio = task("ratio")
    outputs = ratio.labels * 1.1
    weighted = np.average((outputs - ratio.labels) ** 2, weights=ratio.weights) * np.mean(1 / ratio.labels**2)
    assert np.sqrt(weighted) == pytest.approx(ratio.score(outputs), rel=1e-6)


@every_member
@pytest.mark.parametrize("rows", [1, 7, 250])
@pytest.mark.parametrize("threads", [1, 2])
def test_calls_from_many_threads_give_the_numbers_of_calls_one_by_one(name, rows, threads):
    """A server calls one loaded model from many threads at once, the first calls too."""
    content = fit(name).booster.dump()
    batches = [VALUES[start : start + rows] for start in range(0, 500, 50)] * 20
    alone = MEMBERS[name].restore(content)
    expected = [alone.raw(batch, 1) for batch in batches]
    booster = MEMBERS[name].restore(content)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda batch: booster.raw(batch, threads), batches))
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def test_each_booster_has_settings_in_params_yaml_and_a_file_of_its_own_in_a_bundle():
    assert list(MEMBERS) == list(MembersParams.model_fields)
    assert len({member.file for member in MEMBERS.values()}) == len(MEMBERS)
    assert store.NAMES - {store.DESCRIPTION, store.ARRAYS} == {member.file for member in MEMBERS.values()}
