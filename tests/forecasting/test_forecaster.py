"""What a forecaster owes to whoever asks it: the laws, the bounds, and words that help when it refuses."""

import datetime
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import explained
import numpy as np
import pandas as pd
import pytest
import small_chain

from lockgate.bundle import store
from lockgate.errors import BadData, WrongUsage
from lockgate.features.recipe import GROUP_MEAN, RIDGE
from lockgate.forecaster.interface import RowCounts
from lockgate.forecaster.time_values import DAY_FORM

RNG = np.random.default_rng(4)


@pytest.fixture(scope="module")
def forecaster():
    return small_chain.forecaster()


@pytest.fixture
def rows():
    return small_chain.asked()


def one_row(**changes):
    row = {"Store": 3, "Date": "2015-06-24", "Open": 1.0, "Promo": 1, "StateHoliday": "0", "SchoolHoliday": 0}
    return pd.DataFrame([{**row, **changes}])


def test_row_order_does_not_change_a_forecast(forecaster, rows):
    order = RNG.permutation(len(rows))
    assert np.array_equal(forecaster.predict(rows.iloc[order]), forecaster.predict(rows)[order])


def test_column_order_and_extra_columns_do_not_change_a_forecast(forecaster, rows):
    turned = rows[rows.columns[::-1]].assign(Id=1, Customers=999)
    assert np.array_equal(forecaster.predict(turned), forecaster.predict(rows))


def test_one_row_alone_is_the_same_row_in_a_batch(forecaster, rows):
    batch = forecaster.predict(rows)
    some = range(0, len(rows), 7)
    assert [forecaster.predict(rows.iloc[[place]])[0] for place in some] == batch[list(some)].tolist()


def test_a_batch_of_any_size_gives_the_same(forecaster, rows):
    """Large batches run on several threads and in chunks."""
    many = pd.concat([rows] * 140, ignore_index=True)
    assert len(many) > 65_536
    assert np.array_equal(forecaster.predict(many), np.tile(forecaster.predict(rows), 140))


def test_another_process_gives_the_same_on_one_thread_without_mlflow_or_a_database(forecaster, rows, tmp_path):
    digest = store.save(forecaster, tmp_path / "bundle")
    rows.to_parquet(tmp_path / "rows.parquet")
    code = f"""
import json, sys, pandas as pd
from pathlib import Path
from lockgate.bundle import store as bundle
folder = Path(sys.argv[1])
forecaster = bundle.load(folder / "bundle", "{digest}")
forecasts = forecaster.predict(pd.read_parquet(folder / "rows.parquet")).tolist()
print(json.dumps([forecasts, sorted({{"mlflow", "sqlalchemy"}} & set(sys.modules))]))
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env={"OMP_NUM_THREADS": "1"})
    assert json.loads(found.stdout) == [forecaster.predict(rows).tolist(), []]


def test_predict_does_not_mutate_its_input(forecaster, rows):
    before = rows.copy(deep=True)
    forecaster.predict(rows)
    pd.testing.assert_frame_equal(rows, before)


def test_the_index_does_not_matter(forecaster, rows):
    assert np.array_equal(forecaster.predict(rows.set_index("Store", drop=False)), forecaster.predict(rows))


def test_a_closed_store_sells_exactly_nothing(forecaster):
    assert forecaster.predict(one_row(Open=0)).tolist() == [0.0]


def test_forecasts_of_open_days_are_finite_and_above_zero(forecaster, rows):
    found = forecaster.predict(rows.assign(Open=1))
    assert np.isfinite(found).all()
    assert found.min() > 0


def test_no_rows_are_no_forecasts(forecaster, rows):
    assert forecaster.predict(rows.iloc[:0]).shape == (0,)
    assert forecaster.check(rows.iloc[:0]) == RowCounts(0, 0, 0)


def test_open_that_is_missing_is_taken_as_open_and_counted(forecaster):
    unknown = one_row(Open=np.nan)
    assert forecaster.predict(unknown).tolist() == forecaster.predict(one_row()).tolist()
    assert forecaster.predict(unknown.drop(columns="Open")).tolist() == forecaster.predict(one_row()).tolist()
    assert forecaster.check(unknown).open_missing == 1
    assert forecaster.check(unknown.drop(columns="Open")).open_missing == 1


DAY = "2015-06-24"


@pytest.mark.parametrize(
    "date",
    [
        pd.Timestamp(DAY),
        pd.Timestamp(DAY, tz="Europe/Berlin"),
        datetime.date(2015, 6, 24),
        datetime.datetime(2015, 6, 24),
        datetime.datetime(2015, 6, 24, tzinfo=datetime.UTC),
        np.datetime64(DAY),
        np.str_(DAY),
        f"{DAY}T00:00:00Z",  # JavaScript without milliseconds
        f"{DAY}T00:00:00.000Z",  # JavaScript's toISOString
        f"{DAY}T00:00:00.000",  # pandas' to_json(date_format="iso")
        f"{DAY}T00:00:00.000000000+00:00",
        f"{DAY}T00:00:00+0200",
        f"{DAY}T00:00",
        f"{DAY} 00:00:00",
        f"{DAY} 00:00:00+00:00",
        f"{DAY} 00:00:00 UTC",
    ],
)
def test_a_date_is_the_same_in_any_form_in_a_column_of_its_own_and_beside_other_forms(forecaster, date):
    expected = forecaster.predict(one_row()).tolist()
    assert forecaster.predict(one_row(Date=date)).tolist() == expected
    mixed = pd.concat([one_row()] * 2).assign(Date=pd.Series([date, DAY], dtype=object).to_numpy())
    assert forecaster.predict(mixed).tolist() == expected * 2


DATE_TYPES = [
    *(f"datetime64[{unit}]" for unit in ("s", "ms", "us", "ns")),
    "datetime64[ns, UTC]",
    "datetime64[us, Europe/Berlin]",
    "date32[day][pyarrow]",
    "timestamp[ms][pyarrow]",
    "timestamp[us, tz=UTC][pyarrow]",
]


@pytest.mark.parametrize("kind", DATE_TYPES)
def test_a_date_column_may_have_any_type_of_pandas_and_pyarrow(forecaster, rows, kind):
    dates = pd.to_datetime(rows["Date"])
    if "," in kind or "tz" in kind:
        dates = dates.dt.tz_localize("Europe/Berlin" if "Berlin" in kind else "UTC")
    assert np.array_equal(forecaster.predict(rows.assign(Date=dates.astype(kind))), forecaster.predict(rows))


@pytest.mark.parametrize("kind", ["int8", "Int64", "float32", "Float64", "object", "category", "str", "int64[pyarrow]"])
def test_numbers_may_have_any_type_of_pandas_and_pyarrow(forecaster, rows, kind):
    columns = ["Store", "Promo", "SchoolHoliday", "Open"]
    turned = rows.astype(dict.fromkeys(columns, "int64")).astype(dict.fromkeys(columns, kind))
    assert np.array_equal(forecaster.predict(turned), forecaster.predict(rows))


@pytest.mark.parametrize("kind", ["bool", "boolean", "bool[pyarrow]"])
def test_flags_may_be_booleans(forecaster, rows, kind):
    columns = ["Promo", "SchoolHoliday", "Open"]
    assert np.array_equal(forecaster.predict(rows.astype(dict.fromkeys(columns, kind))), forecaster.predict(rows))


@pytest.mark.parametrize("kind", ["object", "string", "string[pyarrow]", "category", "large_string[pyarrow]"])
def test_texts_may_have_any_type_of_pandas_and_pyarrow(forecaster, rows, kind):
    columns = ["Date", "StateHoliday"]
    assert np.array_equal(forecaster.predict(rows.astype(dict.fromkeys(columns, kind))), forecaster.predict(rows))


@pytest.mark.parametrize("letter", ["0", 0, np.int64(0), 0.0, np.str_("0")])
@pytest.mark.parametrize("kind", [None, object, "category"])
def test_no_holiday_may_be_a_number_or_a_letter(forecaster, letter, kind):
    rows = one_row().assign(StateHoliday=pd.Series([letter], dtype=kind))
    assert forecaster.predict(rows).tolist() == forecaster.predict(one_row()).tolist()


def test_open_may_be_empty_in_any_type(forecaster):
    expected = forecaster.predict(one_row()).tolist() * 2
    for values in ([1, pd.NA], [True, None], [1.0, np.nan]):
        for kind in ("object", "Int64", "boolean", "Float64"):
            rows = pd.concat([one_row()] * 2, ignore_index=True).assign(Open=pd.Series(values, dtype=kind))
            assert forecaster.predict(rows).tolist() == expected


def test_the_first_horizon_was_judged_and_the_second_is_served(forecaster):
    origin = small_chain.trained_until(forecaster)
    dates = [origin + datetime.timedelta(days=days) for days in (1, 42, 43, 84)]
    rows = pd.concat([one_row(Date=str(date)) for date in dates])
    assert forecaster.check(rows) == RowCounts(rows=4, open_missing=0, beyond_horizon=2)
    assert (forecaster.predict(rows) > 0).all()


@pytest.mark.parametrize(
    ("column", "value", "allowed"),
    [
        ("Store", 99999, "known values of Store: 12 from 1 to 12"),
        ("Store", -1, "known values of Store"),
        ("Store", np.nan, "known values of Store"),
        ("Store", 1.5, "known values of Store"),
        ("Store", 10**400, "known values of Store"),
        ("Store", {"id": 1}, "known values of Store"),
        ("Store", pd.NA, "known values of Store"),
        ("Store", "'; DROP TABLE", "known values of Store"),
        ("Promo", 7, "Promo is 0 or 1"),
        ("Promo", np.nan, "Promo is 0 or 1"),
        ("Promo", "yes", "Promo is 0 or 1"),
        ("Open", 2, "Open is 0, 1 or missing"),
        ("Open", np.inf, "Open is 0, 1 or missing"),
        ("Open", "shut", "Open is 0, 1 or missing"),
        ("StateHoliday", "x", "StateHoliday is one of 0, a, b, c"),
        ("StateHoliday", None, "StateHoliday is one of"),
        ("StateHoliday", 1, "StateHoliday is one of"),
        ("StateHoliday", pd.NA, "StateHoliday is one of"),
        ("StateHoliday", False, "StateHoliday is one of"),
        ("StateHoliday", ["a"], "StateHoliday is one of"),
        ("SchoolHoliday", 2, "SchoolHoliday is 0 or 1"),
        ("Date", "2015-06-19", "dates from 2015-06-20 to 2015-09-11"),
        ("Date", "2015-09-12", "dates from 2015-06-20 to 2015-09-11"),
        ("Date", "2015-06-31", DAY_FORM),
        ("Date", "24.06.2015", DAY_FORM),
        ("Date", "20150624", DAY_FORM),
        ("Date", "2015-W26-3", DAY_FORM),
        ("Date", "2015-06-24T10:00:00Z", DAY_FORM),
        ("Date", "2015-06-24T00:00:00.001", DAY_FORM),
        ("Date", "2015-06-24T00:00:00Z\n", DAY_FORM),
        ("Date", "2015-06-31 00:00:00", DAY_FORM),
        ("Date", pd.Timestamp("2015-06-24 10:00"), DAY_FORM),
        ("Date", pd.Timestamp("2015-06-24 00:00:00.000000001"), DAY_FORM),
        ("Date", datetime.datetime(2015, 6, 24, 0, 0, 1, tzinfo=datetime.UTC), DAY_FORM),
        ("Date", np.datetime64("2015-06-24T01"), DAY_FORM),
        ("Date", None, DAY_FORM),
        ("Date", pd.NaT, DAY_FORM),
        ("Date", ["2015-06-24"], DAY_FORM),
        ("Date", "2015-09-12T00:00:00Z", "dates from 2015-06-20 to 2015-09-11"),
        ("Date", 1435104000000, DAY_FORM),  # what pandas' to_json() writes by default
        ("Date", "0001-01-01", "dates from"),
        ("Date", "9999-12-31", "dates from"),
        ("Date", 20150624, DAY_FORM),
        ("DayOfWeek", 42, "DayOfWeek fits Date"),
    ],
)
def test_a_value_that_cannot_be_forecast_is_refused_with_what_is_allowed(forecaster, column, value, allowed):
    rows = pd.concat([one_row(), one_row(**{column: value})])
    with pytest.raises(BadData, match=f"1 of 2 rows cannot be forecast: row 1: {column} is ") as refusal:
        forecaster.predict(rows)
    assert refusal.value.where == column
    assert allowed in refusal.value.hint
    assert [problem.row for problem in forecaster.problems(rows)] == [1]


def test_all_problems_of_all_rows_are_listed_by_row(forecaster):
    rows = pd.concat([one_row(Promo=9), one_row(), one_row(Store=77, StateHoliday="q")])
    found = [(problem.row, problem.column, problem.value) for problem in forecaster.problems(rows)]
    assert sorted(found) == [(0, "Promo", "9"), (2, "StateHoliday", "q"), (2, "Store", "77")]
    assert forecaster.problems(one_row()) == []


def test_a_refusal_cannot_carry_control_characters_or_a_megabyte(forecaster):
    with pytest.raises(BadData) as refusal:
        forecaster.predict(one_row(StateHoliday="\x1b[31m" + "A" * 1_000_000))
    assert "\x1b" not in str(refusal.value)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("column", ["Store", "Date", "Promo", "StateHoliday", "SchoolHoliday"])
def test_a_missing_column_is_named(forecaster, rows, column):
    with pytest.raises(BadData, match=f"missing column {column}"):
        forecaster.predict(rows.drop(columns=column))


def test_a_column_that_appears_twice_is_refused(forecaster, rows):
    with pytest.raises(BadData, match="Promo appears twice"):
        forecaster.predict(pd.concat([rows, rows[["Promo"]]], axis=1))


def test_it_beats_what_the_stores_usually_sell(forecaster):
    """On the generated chain, too, a model earns its keep."""
    from lockgate.models import baselines
    from lockgate.problem import metrics

    held = small_chain.parts().holdout
    naive = baselines.baseline(forecaster.problem, small_chain.parts().rows, held)
    assert metrics.rmspe(held["Sales"], forecaster.predict(held)) < metrics.rmspe(held["Sales"], naive) < 0.5


def test_the_blend_is_the_weighted_mean_of_its_members(forecaster, rows):
    weights = np.array([forecaster.weights[name] for name in forecaster.members])
    assert forecaster.predict(rows) == pytest.approx(forecaster.predict_members(rows) @ weights)
    assert weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("confidence", [0.01, 0.5, 0.8, 0.95, 0.999])
def test_bounds_enclose_the_forecast_and_are_zero_where_a_store_is_closed(forecaster, rows, confidence):
    some = rows.assign(Open=np.arange(len(rows)) % 5 > 0)
    found = forecaster.interval(some, confidence)
    assert np.array_equal(found.prediction, forecaster.predict(some))
    assert (found.lower <= found.prediction).all() and (found.prediction <= found.upper).all()
    closed = np.column_stack([found.lower, found.upper])[~some["Open"]]
    assert closed.size and not closed.any()
    assert (found.lower[some["Open"]] > 0).all()


def test_more_confidence_is_a_wider_interval(forecaster, rows):
    widths = [
        bounds.upper - bounds.lower for bounds in (forecaster.interval(rows, share) for share in (0.5, 0.8, 0.99))
    ]
    sold = widths[0] > 0
    assert sold.any() and (widths[0] <= widths[1]).all()
    assert (widths[1] < widths[2])[sold].all()


def test_bounds_of_a_row_alone_are_those_in_a_batch(forecaster, rows):
    batch = forecaster.interval(rows, 0.9)
    for place in range(0, len(rows), 29):
        alone = forecaster.interval(rows.iloc[[place]], 0.9)
        assert (alone.lower[0], alone.upper[0]) == (batch.lower[place], batch.upper[place])


def test_days_after_the_judged_ones_have_bounds_as_wide(forecaster):
    origin = small_chain.trained_until(forecaster)
    rows = pd.concat([one_row(Date=str(origin + datetime.timedelta(days=days))) for days in (42, 84)])
    found = forecaster.interval(rows, 0.8)
    assert (found.upper / found.prediction).tolist() == pytest.approx([found.upper[0] / found.prediction[0]] * 2)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 80.0, float("nan")])
def test_a_confidence_out_of_range_is_refused(forecaster, confidence):
    with pytest.raises(WrongUsage, match="the confidence is"):
        forecaster.interval(one_row(), confidence)


def test_bounds_hold_about_as_many_held_out_sales_as_they_say(forecaster):
    """One window of a small chain proves little; that the bounds are about sales, in their unit, it does."""
    from lockgate.models.conformal import coverage

    held = small_chain.parts().holdout.query("Sales > 0")
    found = {share: coverage(held["Sales"].to_numpy(), forecaster.interval(held, share)) for share in (0.5, 0.95)}
    assert 0.3 < found[0.5] < 0.75 < 0.85 < found[0.95]


def test_all_weight_on_the_ridge_needs_no_booster(forecaster, rows):
    only = replace(forecaster, boosters={}, weights={"ridge": 1.0})
    assert only.predict(rows).tolist() == forecaster.predict_members(rows)[:, -1].tolist()


def test_it_may_be_called_from_many_threads(forecaster, rows, tmp_path):
    """Also by the first calls after it was read, which make what is kept for later ones."""
    batches = [rows.iloc[start : start + size] for start in range(0, 60, 4) for size in (1, 5, 300)] * 4
    expected = [forecaster.interval(batch, 0.9) for batch in batches]
    fresh = store.load(tmp_path / "bundle", store.save(forecaster, tmp_path / "bundle"))
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda batch: fresh.interval(batch, 0.9), batches))
    for one, other in zip(found, expected, strict=True):
        assert all(np.array_equal(getattr(one, name), getattr(other, name)) for name in vars(one))


@pytest.mark.parametrize("offset", [RIDGE, GROUP_MEAN])
@pytest.mark.parametrize("target", ["log", "ratio"])
def test_an_explanation_adds_up_for_each_member_whatever_it_learned(forecaster, rows, offset, target):
    """The boosters as if they had learned the target so; the forecasts are then far off, but add up all the same."""
    batch, before = np.arange(0, len(rows), 29), rows.copy(deep=True)
    for one in forecaster.members:
        boosters = {name: replace(member, offset=offset, target=target) for name, member in forecaster.boosters.items()}
        weights = {name: float(name == one) for name in forecaster.members}
        explained.explained(replace(forecaster, boosters=boosters, weights=weights), rows, batch)
    pd.testing.assert_frame_equal(rows, before)


def test_an_explanation_is_the_same_alone_in_a_batch_and_in_any_order(forecaster, rows):
    batch = np.arange(0, len(rows), 29)
    found = explained.explained(forecaster, rows, batch)
    explained.assert_same(explained.explained(forecaster, rows.iloc[::-1], len(rows) - 1 - batch), found)
    alone = explained.explained(forecaster, rows.iloc[batch[[4]]], np.arange(1))
    explained.assert_same(alone, explained.take(found, np.array([4])))


def test_a_closed_store_is_explained_by_the_rule_alone(forecaster):
    found = explained.explained(forecaster, one_row(Open=0), np.arange(1))
    assert found.base[0] == found.forecast[0] == 0
    assert not found.contributions.any()


def test_a_promotion_raises_the_explained_forecast(forecaster, rows):
    found = explained.explained(forecaster, rows, np.flatnonzero((rows["Open"] == 1) & (rows["Promo"] == 1))[:50])
    promo = found.by_origin().contributions[:, found.by_origin().names.index("Promo")]
    assert (promo > 0.05 * found.forecast).mean() > 0.9
