"""Laws of the forecasters of plain tables: regression, two classes, more classes."""

import numpy as np
import pandas as pd
import plain_tables
import pytest

from lockgate.bundle import store, table_format
from lockgate.errors import BadConfiguration, BadData, IntegrityBroken, WrongUsage
from lockgate.training import train

TASKS = ("regression", "binary", "multiclass")
every_task = pytest.mark.parametrize("task", TASKS)


@pytest.fixture(scope="module")
def trained():
    """A forecaster of each task with its report, and rows that it has not learned."""
    found = {}
    for task in TASKS:
        rows, others = plain_tables.rows(task, 400), plain_tables.rows(task, 60, seed=2)
        found[task] = (*plain_tables.train(task, rows), others)
    return found


@every_task
def test_it_forecasts_better_than_the_mean_or_the_share_of_the_class(trained, task):
    forecaster, _, rows = trained[task]
    forecast, truth = forecaster.predict(rows), plain_tables.truth(task, rows)
    assert plain_tables.loss(task, truth, forecast) < 0.8 * plain_tables.loss(task, truth, plain_tables.prior(task))


@every_task
def test_a_row_is_forecast_the_same_alone_and_in_any_batch(trained, task):
    forecaster, _, rows = trained[task]
    whole = forecaster.predict(rows)
    assert all(np.array_equal(forecaster.predict(rows.iloc[[row]])[0], whole[row]) for row in range(10))


@every_task
def test_the_order_of_rows_and_columns_and_other_columns_do_not_change_a_forecast(trained, task):
    forecaster, _, rows = trained[task]
    order = np.random.default_rng(3).permutation(len(rows))
    other = rows.iloc[order][rows.columns[::-1]].assign(unknown=1)
    assert np.array_equal(forecaster.predict(other), forecaster.predict(rows)[order])


@every_task
def test_rows_are_not_changed(trained, task):
    forecaster, _, rows = trained[task]
    before = rows.copy(deep=True)
    forecaster.predict(rows)
    pd.testing.assert_frame_equal(rows, before)


@every_task
def test_a_bundle_restores_the_same_forecaster_and_the_same_files(trained, task):
    forecaster, _, rows = trained[task]
    files = table_format.contents(forecaster)
    again = table_format.restore(files)
    assert np.array_equal(again.predict(rows), forecaster.predict(rows))
    assert np.array_equal(again.predict_members(rows), forecaster.predict_members(rows))
    assert table_format.contents(forecaster) == files


@every_task
def test_a_bundle_on_disk_opens_with_its_digest_only(trained, task, tmp_path):
    forecaster, _, rows = trained[task]
    digest = store.save(forecaster, tmp_path / "bundle")
    assert np.array_equal(store.load(tmp_path / "bundle", digest).predict(rows), forecaster.predict(rows))
    assert list(store.probe_rows(tmp_path / "bundle")) == sorted(plain_tables.COLUMNS)
    path = tmp_path / "bundle" / "linear.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityBroken):
        store.load(tmp_path / "bundle", digest)


@every_task
def test_the_same_training_gives_the_same_bundle(task):
    rows = plain_tables.rows(task, 120)
    first, second = (table_format.contents(plain_tables.train(task, rows)[0]) for _ in range(2))
    assert first == second


@every_task
def test_missing_and_unseen_values_have_a_finite_forecast(trained, task):
    forecaster, _, rows = trained[task]
    strange = rows.assign(size=np.nan, colour="never seen", day=pd.NaT, city=None)
    assert np.isfinite(forecaster.predict(strange)).all()


@every_task
def test_a_request_of_texts_is_forecast_like_typed_rows(trained, task):
    forecaster, _, rows = trained[task]
    texts = rows.assign(size=rows["size"].map(lambda size: "" if pd.isna(size) else f"{size!r} cm"))
    texts = texts.assign(day=rows["day"].astype("str"), flag=rows["flag"].astype("str"))
    assert np.array_equal(forecaster.predict(texts), forecaster.predict(rows))


@every_task
def test_fifty_rows_with_a_constant_column_are_enough(task):
    rows = plain_tables.rows(task, 50).assign(flag=1)
    forecaster, _ = plain_tables.train(task, rows)
    assert np.isfinite(forecaster.predict(rows)).all()


@every_task
def test_every_member_has_its_scores_its_samples_and_its_curve(trained, task):
    forecaster, report, _ = trained[task]
    assert {score.member for score in report.scores} == {*forecaster.members, "blend"}
    total = [score for score in report.scores if score.fold == "all"]
    assert all(score.samples == 400 and np.isfinite(score.scores[report.metric]) for score in total)
    assert {curve.member for curve in report.curves} == set(forecaster.members)
    assert sum(report.weights.values()) == pytest.approx(1) and min(report.weights.values()) >= 0


def test_intervals_of_a_regression_cover_what_they_promise_on_rows_that_were_not_learned(trained):
    forecaster, report, _ = trained["regression"]
    rows = plain_tables.rows("regression", 2_000, seed=5)
    for confidence in (0.8, 0.95):
        bounds = forecaster.interval(rows, confidence)
        covered = (bounds.lower <= rows["price"]) & (rows["price"] <= bounds.upper)
        assert covered.mean() == pytest.approx(confidence, abs=0.05)
        assert report.coverage[confidence] == pytest.approx(confidence, abs=0.05)
        assert (bounds.lower <= bounds.prediction).all() and (bounds.prediction <= bounds.upper).all()


def test_probabilities_are_calibrated_and_have_no_bounds(trained):
    forecaster, _, _ = trained["binary"]
    rows = plain_tables.rows("binary", 3_000, seed=5)
    probability, truth = forecaster.predict(rows), plain_tables.truth("binary", rows)
    for low, high in ((0.0, 0.3), (0.3, 0.6), (0.6, 1.0)):
        inside = (low <= probability) & (probability < high)
        assert probability[inside].mean() == pytest.approx(truth[inside].mean(), abs=0.1)
    assert np.isnan(forecaster.interval(rows.head(3), 0.9).lower).all()
    with pytest.raises(WrongUsage):
        forecaster.interval(rows.head(3), 1.5)


def test_probabilities_of_classes_sum_to_one(trained):
    forecaster, _, rows = trained["multiclass"]
    assert forecaster.classes == ("high", "low", "middle")
    assert forecaster.predict(rows).sum(axis=1) == pytest.approx(np.ones(len(rows)))


def test_the_positive_class_is_the_last(trained):
    assert trained["binary"][0].classes == ("no", "yes")


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_one_class_only_is_refused(task):
    rows = plain_tables.rows(task, 100)
    rows["price"] = rows["price"].iloc[0]
    with pytest.raises(BadData, match="all 100 rows have one class"):
        plain_tables.train(task, rows)


def test_a_table_of_constant_columns_is_refused():
    rows = plain_tables.rows("regression", 100).assign(size=1.0, colour="red", city="x", flag=1)
    rows["day"] = rows["day"].iloc[0]
    with pytest.raises(BadData, match="no column tells the rows apart"):
        plain_tables.train("regression", rows)


def test_few_rows_are_refused():
    with pytest.raises(BadData, match="10 rows with a target are not enough"):
        plain_tables.train("regression", plain_tables.rows("regression", 10))


def test_a_value_that_is_not_allowed_is_refused_with_its_row(trained):
    forecaster, _, rows = trained["regression"]
    bad = rows.head(3).assign(flag=[0, 2, 1])
    assert [(found.row, found.column, found.value) for found in forecaster.problems(bad)] == [(1, "flag", "2")]
    with pytest.raises(BadData, match="1 of 3 rows cannot be forecast"):
        forecaster.predict(bad)
    with pytest.raises(BadData, match="missing column flag"):
        forecaster.check(rows.drop(columns="flag"))


def test_an_unknown_member_is_refused():
    params = plain_tables.params("regression")
    problem = params.problem.model_copy(update={"members": ("lightgbn",)})
    with pytest.raises(BadConfiguration, match="lightgbn"):
        train.train(
            plain_tables.rows("regression", 50),
            pd.DataFrame(),
            params.model_copy(update={"problem": problem}),
            lambda *_: None,
        )


def test_rows_that_are_not_learned_have_the_fixed_forecast():
    params = plain_tables.params("regression", where={"column": "flag", "equals": 1, "otherwise": 0.0})
    rows = plain_tables.rows("regression", 150)
    forecaster, report = train.train(rows, pd.DataFrame(), params, lambda *_: None)
    assert report.training_rows == (rows["flag"] == 1).sum()
    assert (forecaster.predict(rows)[rows["flag"] == 0] == 0).all()
