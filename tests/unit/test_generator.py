"""The generated chain: the same for a seed, in the form of Kaggle's files, and as hard to forecast as it says."""

import datetime
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lockgate import metrics
from lockgate.data import generator, holdout, tables
from lockgate.params import GeneratorParams

SMALL = GeneratorParams(seed=1, stores=12, days=500, noise=0.062)
DEFAULT = GeneratorParams(seed=7, stores=60, days=900, noise=0.062)
CHAIN = generator.generate(DEFAULT)


def seasonal_naive_rmspe(parts: holdout.Split) -> float:
    """Median of the same store, weekday and promo over the last 364 days."""
    recent = parts.rows[
        (parts.rows["Date"] > parts.rows["Date"].max() - pd.Timedelta(days=364)) & parts.rows["Sales"] > 0
    ]
    key = ["Store", "day", "Promo"]
    median = recent.assign(day=recent["Date"].dt.day_of_week).groupby(key)["Sales"].median().rename("forecast")
    scored = parts.holdout.assign(day=parts.holdout["Date"].dt.day_of_week).join(median, on=key).dropna()
    return metrics.rmspe(scored["Sales"], scored["forecast"])


def test_the_same_seed_gives_the_same_chain_and_another_another() -> None:
    one, again, other = (generator.generate(SMALL.model_copy(update={"seed": seed})) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one.raw, again.raw)
    pd.testing.assert_frame_equal(one.stores, again.stores)
    np.testing.assert_array_equal(one.expectation, again.expectation)
    assert not one.raw["Sales"].equals(other.raw["Sales"])


def test_a_small_chain_is_made_in_no_time() -> None:
    generator.generate(SMALL)
    start = time.process_time()
    generator.generate(SMALL)
    assert time.process_time() - start < 0.2


@pytest.mark.parametrize("seed", [1, 2])
def test_written_as_csv_it_reads_the_same(tmp_path: Path, seed: int) -> None:
    """So the generator's frames are those that reading Kaggle's files gives, and they pass the same checks."""
    chain = generator.generate(GeneratorParams(seed=seed, stores=9, days=400, noise=0.06))
    chain.raw.sort_values(["Date", "Store"], ascending=[False, True]).to_csv(tmp_path / "train.csv", index=False)
    chain.stores.to_csv(tmp_path / "store.csv", index=False)
    read = tables.read_tables(tmp_path / "train.csv", tmp_path / "store.csv", today=datetime.date(2015, 7, 31))
    made = chain.tables()
    pd.testing.assert_frame_equal(read.rows, made.rows)
    pd.testing.assert_frame_equal(read.stores, made.stores)


def test_the_default_floor_lies_well_under_the_gate_and_the_naive_forecast_well_over_it() -> None:
    assert 0.058 < CHAIN.noise_floor(42) < 0.07
    assert 0.13 < seasonal_naive_rmspe(holdout.split(CHAIN.rows, 42)) < 0.20


def test_the_expectation_is_unbiased_and_the_noise_of_the_size_asked_for() -> None:
    sold = CHAIN.raw["Sales"].to_numpy() > 0
    ratio = CHAIN.raw["Sales"].to_numpy()[sold] / CHAIN.expectation[sold]
    assert abs(ratio.mean() - 1) < 0.003
    assert abs(np.log(ratio).std() / DEFAULT.noise - 1) < 0.04


def test_the_noise_has_heavier_tails_than_a_normal_one() -> None:
    sold = CHAIN.raw["Sales"].to_numpy() > 0
    noise = np.log(CHAIN.raw["Sales"].to_numpy()[sold] / CHAIN.expectation[sold])
    assert (np.abs(noise) > 4 * noise.std()).mean() > 0.001


def test_days_have_shocks_that_the_whole_chain_shares() -> None:
    sold = CHAIN.raw[CHAIN.raw["Sales"] > 0]
    noise = np.log(sold["Sales"] / CHAIN.expectation[sold.index])
    by_day = noise.groupby(sold["Date"]).mean()[sold["Date"].value_counts() > 30]
    assert 0.8 < by_day.std() / (DEFAULT.noise * np.sqrt(generator.SHARED_VARIANCE)) < 1.3


def test_closed_stores_sell_nothing_and_are_expected_to() -> None:
    closed = CHAIN.raw["Open"] == 0
    assert (CHAIN.raw.loc[closed, ["Sales", "Customers"]] == 0).all(axis=None)
    assert (CHAIN.expectation[closed] == 0).all()


def test_most_stores_rest_on_sundays_and_a_few_do_not() -> None:
    open_by_store = CHAIN.raw[CHAIN.raw["DayOfWeek"] == 7].groupby("Store")["Open"].max()
    assert 1 <= open_by_store.sum() <= 6


def test_some_stores_have_no_rows_for_half_a_year_and_others_are_closed_for_weeks() -> None:
    half_year = CHAIN.raw[CHAIN.raw["Date"].between("2014-07-01", "2014-12-31")]
    assert 60 - half_year["Store"].nunique() == round(0.16 * 60)
    closed_run = CHAIN.raw.groupby("Store")["Open"].rolling(14).sum().groupby("Store").min()
    assert (closed_run == 0).sum() >= 3


def test_a_few_open_days_sell_nothing() -> None:
    assert 1 <= ((CHAIN.raw["Open"] == 1) & (CHAIN.raw["Sales"] == 0)).sum() <= 10


def test_promotions_are_chain_wide_on_weekdays_and_not_quite_regular() -> None:
    promo = CHAIN.raw.groupby("Date")["Promo"].agg(["min", "max"])
    assert (promo["min"] == promo["max"]).all()
    days = promo.index[promo["max"] == 1]
    assert set(days.day_of_week) == {0, 1, 2, 3, 4}
    pauses = np.diff(days[days.day_of_week == 0]).astype("timedelta64[D]").astype(int)
    assert set(pauses) == {7, 14, 21}
    assert 12 < pauses.mean() < 16


def test_holidays_follow_the_german_calendar() -> None:
    letters = CHAIN.raw.groupby("Date")["StateHoliday"].agg(lambda day: "".join(sorted(set(day))))
    assert letters["2015-04-03"] == letters["2015-04-06"] == "b"
    assert letters["2014-12-25"] == letters["2014-12-26"] == "c"
    assert letters["2014-10-03"] == letters["2015-05-14"] == letters["2015-05-25"] == "a"
    assert letters["2015-06-04"] == "0a"  # Corpus Christi: in some regions only
    assert letters["2015-06-05"] == "0"


def test_school_holidays_come_on_weekdays_and_at_other_times_in_other_regions() -> None:
    school = CHAIN.raw.groupby("Date")["SchoolHoliday"].mean()
    assert school["2014-12-29"] == 1
    assert 0 < school["2015-07-01"] < 1
    assert school["2015-05-05"] == 0
    assert (CHAIN.raw.loc[CHAIN.raw["DayOfWeek"] > 5, "SchoolHoliday"] == 0).all()


def test_effects_differ_by_store() -> None:
    """A promotion lifts sales by a fifth in one store and by half in another."""
    sold = CHAIN.raw[(CHAIN.raw["Sales"] > 0) & (CHAIN.raw["DayOfWeek"] == 1)]
    mean = np.log(sold["Sales"]).groupby([sold["Store"], sold["Promo"]]).mean().unstack()
    lift = mean[1] - mean[0]
    assert 0.25 < lift.mean() < 0.50
    assert lift.std() > 0.05


@pytest.mark.parametrize(("stores", "days"), [(5, 400), (5, 2000), (300, 400)])
def test_every_size_that_the_params_allow_makes_a_valid_chain(stores: int, days: int) -> None:
    made = generator.generate(GeneratorParams(seed=0, stores=stores, days=days, noise=0.5)).tables()
    assert made.rows["Store"].nunique() == stores
    assert (made.rows["Date"].max() - made.rows["Date"].min()).days == days - 1
