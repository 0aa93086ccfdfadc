"""The generated chain: the same for a seed, in the form of Kaggle's files, and as hard to forecast as it says."""

import datetime
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lockgate import digests
from lockgate.data import dataset, ingest, split
from lockgate.engine.engine import InProcess
from lockgate.errors import BadConfiguration
from lockgate.features import calendar
from lockgate.pipeline import prepare_in_parts
from lockgate.pipeline.prepare_in_parts import Plan
from lockgate.problem import metrics
from lockgate.problem.params import GeneratorParams, load_params
from lockgate.synthetic import demand, generator
from lockgate.synthetic.calendar_plans import CalendarPlans, draw_plans
from lockgate.synthetic.noise import NoiseModel

SMALL = GeneratorParams(seed=1, stores=12, days=500, noise=0.072)
DEFAULT = GeneratorParams(seed=7, stores=60, days=900, noise=0.072)
PROBLEM = load_params(Path(__file__).parents[2] / "params.yaml").problem
CHAIN = generator.generate(DEFAULT)


def seasonal_naive_rmspe(parts: split.Split) -> float:
    """Median of the same store, weekday and promo over the last 364 days."""
    rows = parts.rows[parts.rows["Sales"] > 0]
    recent = rows[rows["Date"] > rows["Date"].max() - pd.Timedelta(days=364)]
    key = ["Store", "day", "Promo"]
    median = recent.assign(day=recent["Date"].dt.day_of_week).groupby(key)["Sales"].median().rename("forecast")
    scored = parts.holdout.assign(day=parts.holdout["Date"].dt.day_of_week).join(median, on=key).dropna()
    return metrics.rmspe(scored["Sales"], scored["forecast"])


def test_the_same_seed_gives_the_same_chain_and_another_another() -> None:
    one, again, other = (generator.generate(SMALL.model_copy(update={"seed": seed})) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one.raw, again.raw)
    pd.testing.assert_frame_equal(one.stores, again.stores)
    np.testing.assert_array_equal(one.certain, again.certain)
    np.testing.assert_array_equal(one.day_shocks, again.day_shocks)
    assert not one.raw["Sales"].equals(other.raw["Sales"])


def test_ranges_of_stores_that_are_drawn_alone_are_those_of_the_chain() -> None:
    drawn = generator.draft(SMALL, 5)
    whole, parts = generator.generate(SMALL), [drawn.chain(number) for number in range(len(drawn.streams))]
    assert [len(part.stores) for part in parts] == [5, 5, 2]
    pd.testing.assert_frame_equal(pd.concat([part.raw for part in parts], ignore_index=True), whole.raw)
    pd.testing.assert_frame_equal(pd.concat([part.stores for part in parts], ignore_index=True), whole.stores)
    np.testing.assert_array_equal(np.concatenate([part.certain for part in parts]), whole.certain)


def test_the_chain_of_a_seed_does_not_change() -> None:
    """Figures in the documents are of these chains."""
    found = digests.of_frame(generator.generate(DEFAULT).raw)
    assert found == "6847e21b2e8fca63c0281a7de9b3c3b9fcf8132d6e06b6679578b1febb2d726e"


def test_a_chain_that_one_process_cannot_hold_is_referred_to_the_cluster() -> None:
    with pytest.raises(BadConfiguration, match=r"100,000 stores x 900 days are more than 15,000,000 rows") as refused:
        generator.tables_and_source(DEFAULT.model_copy(update={"stores": 100_000}), PROBLEM)
    assert "engine: {kind: dask}" in refused.value.hint


def test_a_chain_that_is_prepared_in_parts_is_that_of_one_process(tmp_path: Path) -> None:
    tables, source = generator.tables_and_source(SMALL, PROBLEM)
    wanted = split.split(PROBLEM, tables.rows)
    card = prepare_in_parts.generate(Plan(PROBLEM, tmp_path / "prepared", 2500, InProcess()), SMALL)
    for name, rows in (("rows", wanted.rows), ("holdout", wanted.holdout), ("static", tables.static)):
        pd.testing.assert_frame_equal(dataset.read(tmp_path / "prepared", name), rows)
    assert [len(card[name]["parts"]) for name in ("rows", "holdout")] == [3, 3]
    assert card["source"] == asdict(source)


@pytest.mark.parametrize("seed", [1, 2])
def test_written_as_csv_it_reads_the_same(tmp_path: Path, seed: int) -> None:
    """So the generator's frames are those that reading Kaggle's files gives, and they pass the same checks."""
    drawn = GeneratorParams(seed=seed, stores=9, days=400, noise=0.06)
    chain = generator.generate(drawn)
    chain.raw.sort_values(["Date", "Store"], ascending=[False, True]).to_csv(tmp_path / "train.csv", index=False)
    chain.stores.to_csv(tmp_path / "store.csv", index=False)
    read = ingest.read(PROBLEM, (tmp_path / "train.csv", tmp_path / "store.csv"), today=datetime.date(2015, 7, 31))
    made, _ = generator.tables_and_source(drawn, PROBLEM)
    pd.testing.assert_frame_equal(read.rows, made.rows)
    pd.testing.assert_frame_equal(read.static, made.static)


def noise(chain: generator.Chain = CHAIN) -> "pd.Series[float]":
    """What log sales miss what the calendar says by, where something was sold."""
    sold = (chain.raw["Sales"] > 0).to_numpy()
    return np.log(chain.raw["Sales"][sold] / chain.certain[sold])


def test_the_default_floor_lies_well_under_the_gate_and_the_naive_forecast_well_over_it() -> None:
    assert 0.068 < CHAIN.noise_floor(42) < 0.078
    assert 0.13 < seasonal_naive_rmspe(split.split(PROBLEM, CHAIN.rows)) < 0.20


def test_the_floor_stated_is_that_of_a_forecast_made_by_hand() -> None:
    """The calendar's part of the sales, what is left of the last known day's shock, and a factor for the errors."""
    last = CHAIN.raw["Date"].max()
    rows = CHAIN.raw[(CHAIN.raw["Date"] > last - pd.Timedelta(days=42)) & (CHAIN.raw["Sales"] > 0)]
    ahead = 42 - (last - rows["Date"]).dt.days.to_numpy()
    left = 0.5**ahead * CHAIN.day_shocks[-43]
    own = CHAIN.noise_model.draw_own((1, 1_000_000), np.random.default_rng(1))[0]
    day = np.random.default_rng(2).normal(0, 1, own.size)
    errors = []
    for at in np.unique(ahead):
        spread = CHAIN.noise_model.of_day * np.sqrt(1 - 0.25**at)
        inverse = np.exp(-(own + spread * day))
        factor = inverse.mean() / (inverse**2).mean()
        kept = ahead == at
        forecast = CHAIN.certain[rows.index[kept]] * np.exp(left[kept]) * factor
        errors.append((forecast / rows["Sales"][kept] - 1) ** 2)
    assert CHAIN.noise_floor(42) == pytest.approx(float(np.sqrt(pd.concat(errors).mean())), rel=1e-3)


def test_the_floor_measured_is_the_floor_that_the_shocks_make_expect() -> None:
    measured = [generator.generate(DEFAULT.model_copy(update={"seed": seed})).noise_floor(365) for seed in range(6)]
    assert np.mean(measured) == pytest.approx(CHAIN.noise_model.expected_floor(np.arange(1, 366)), rel=0.02)


@pytest.mark.parametrize("other", [0.97, 0.985, 1.015, 1.03])
def test_no_other_factor_comes_below_the_floor(other: float) -> None:
    """On many days, so that luck is small: of the perfect forecasts of a year, a little more or less is worse."""
    perfect = CHAIN.perfect_forecast(365)
    sold = CHAIN.raw["Sales"][perfect.index].to_numpy()
    assert metrics.rmspe(sold, other * perfect.to_numpy()) > CHAIN.noise_floor(365)


def test_the_shock_of_the_last_known_day_is_worth_knowing_for_the_next_days_and_for_no_later_one() -> None:
    factor = NoiseModel(0.072).best_factor(np.array([1, 2, 42]), 0.05)
    without = NoiseModel(0.072).best_factor(np.array([1, 2, 42]), 0.0)
    np.testing.assert_allclose(np.log(factor / without), [0.025, 0.0125, 0.0], atol=1e-9)
    early, late = (NoiseModel(0.072).expected_floor(np.array([ahead])) for ahead in (1, 42))
    assert early == pytest.approx(np.sqrt(1 - 0.3 / 4) * late, rel=0.01)  # of three tenths, a quarter is known


def test_the_noise_is_of_the_size_asked_for() -> None:
    assert abs(noise().mean()) < 0.004
    assert abs(noise().std() / DEFAULT.noise - 1) < 0.05


def test_the_noise_has_heavier_tails_than_a_normal_one() -> None:
    assert (np.abs(noise()) > 4 * noise().std()).mean() > 10 * 6.3e-5  # ten times a normal one's


def test_days_have_shocks_that_the_whole_chain_shares() -> None:
    dates = CHAIN.raw["Date"][noise().index]
    by_day = noise().groupby(dates).mean()[dates.value_counts() > 30]
    assert 0.85 < by_day.std() / CHAIN.noise_model.of_day < 1.2
    assert np.corrcoef(by_day, CHAIN.day_shocks[(by_day.index - CHAIN.raw["Date"].min()).days])[0, 1] > 0.95


def test_half_of_a_days_shock_is_left_the_day_after() -> None:
    drawn = CHAIN.noise_model.draw_days(100_000, np.random.default_rng(3))
    assert np.corrcoef(drawn[1:], drawn[:-1])[0, 1] == pytest.approx(0.5, abs=0.01)
    assert drawn.std() == pytest.approx(CHAIN.noise_model.of_day, rel=0.01)


def drawn_demand(stores: int = 60) -> tuple[CalendarPlans, pd.DataFrame, dict[str, demand.Floats]]:
    """A calendar and a store table with the components of their demand."""
    days = int(generator.LAST_DAY.astype(np.int64)) + np.arange(1 - 900, 1)
    rngs = np.random.default_rng(5).spawn(3)
    table, known = generator._stores(stores, rngs[0]), draw_plans(days, stores, rngs[1])
    return known, table, demand.components(known, table, rngs[2])


def test_log_sales_are_the_sum_of_the_components() -> None:
    known, table, parts = drawn_demand()
    whole = demand.log_sales(known, table, np.random.default_rng(5).spawn(3)[2])
    np.testing.assert_allclose(sum(parts.values()), whole)


@pytest.mark.parametrize("name", list(demand.COMPONENTS))
def test_an_component_left_out_takes_its_own_part_away_and_nothing_else(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = generator.generate(SMALL)
    nothing = {name: lambda at, rng: np.zeros((len(at.stores), 1))}
    monkeypatch.setattr(demand, "COMPONENTS", demand.COMPONENTS | nothing)
    without = generator.generate(SMALL)
    days = (whole.raw["Date"] - whole.raw["Date"].min()).dt.days.to_numpy()
    is_open = whole.certain > 0
    taken = np.log(whole.certain[is_open] / without.certain[is_open])
    assert np.abs(taken).max() > 0.01
    monkeypatch.undo()
    part = component(name, SMALL)[whole.raw["Store"].to_numpy() - 1, days]
    np.testing.assert_allclose(taken, part[is_open], atol=1e-9)
    changed = whole.raw.columns[[not whole.raw[column].equals(without.raw[column]) for column in whole.raw]]
    assert set(changed) == {"Sales", "Customers"}


def component(name: str, params: GeneratorParams) -> demand.Floats:
    """One component of a generated chain, (stores, days)."""
    for_stores, for_calendar, for_demand, _ = np.random.default_rng(params.seed).spawn(4)
    days = int(generator.LAST_DAY.astype(np.int64)) + np.arange(1 - params.days, 1)
    table, known = generator._stores(params.stores, for_stores), draw_plans(days, params.stores, for_calendar)
    return np.broadcast_to(demand.components(known, table, for_demand)[name], (params.stores, params.days))


def test_each_store_has_a_season_of_its_own_on_top_of_the_chains() -> None:
    season = drawn_demand()[2]["season"]
    summer_and_winter = season[:, -200:].max(axis=1) - season[:, -200:].min(axis=1)
    assert np.median(summer_and_winter) > 0.1
    assert season.std(axis=0).mean() > 1.5 * season.mean(axis=0).std()


def test_promotions_vary_by_store_and_weekday_and_wear_off() -> None:
    known, _, parts = drawn_demand()
    weekday = calendar.weekdays(known.days)
    first, repeated = (demand.promo_pull(known.promo) == pull for pull in (1.0, 0.6))
    by_day = np.stack([parts["promotions"][:, first & (weekday == day)].mean(axis=1) for day in range(5)], axis=1)
    again = np.stack([parts["promotions"][:, repeated & (weekday == day)].mean(axis=1) for day in range(5)], axis=1)
    np.testing.assert_allclose(again, 0.6 * by_day)
    assert (by_day.std(axis=0) > 0.05).all()  # between stores, on each weekday
    assert by_day.std(axis=1).mean() > 0.03  # between weekdays, in each store
    after = demand.promo_pull(known.promo) == -0.1
    assert (parts["promotions"][:, after & (weekday < 5)] < 0).mean() > 0.95


def test_promotions_of_some_types_of_stores_are_worth_more_in_winter() -> None:
    known, table, parts = drawn_demand()
    month = known.days.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12 + 1
    part = parts["promotions over the year"][:, known.promo & np.isin(month, (12, 1, 2))].mean(axis=1)
    assert part[table["StoreType"] == "a"].mean() > 0.03 > 0 > -0.02 > part[table["StoreType"] == "d"].mean()


def test_carnival_is_kept_by_some_and_on_its_own_days_only() -> None:
    known, _, parts = drawn_demand()
    easter = calendar.day_table(int(known.days[0]), int(known.days[-1])).easter
    monday = parts["carnival"][:, easter == -48]
    assert 0.2 < (monday < 0).all(axis=1).mean() < 0.6
    assert (parts["carnival"][:, ~np.isin(easter, (-52, -48, -47))] == 0).all()


def test_the_rush_before_christmas_ends_with_christmas_eve_in_leap_years_too() -> None:
    days = calendar.day_numbers(np.arange("2011-11-01", "2014-01-01", dtype="datetime64[D]"))
    rngs = np.random.default_rng(5).spawn(3)
    table, known = generator._stores(20, rngs[0]), draw_plans(days, 20, rngs[1])
    rush = demand.components(known, table, rngs[2])["christmas"].mean(axis=0)
    by_day = pd.Series(rush, pd.to_datetime(days.astype("datetime64[D]")))
    for year in (2011, 2012, 2013):
        assert (by_day[f"{year}-11-25" : f"{year}-12-24"].diff().dropna() > 0).all()  # type: ignore[misc]
        assert (by_day[f"{year}-12-25" : f"{year + 1}-11-23"] == 0).all()  # type: ignore[misc]


@pytest.mark.parametrize("environment", [{"OPENBLAS_NUM_THREADS": "1"}, {"OPENBLAS_NUM_THREADS": "2"}])
def test_the_chain_does_not_depend_on_threads(environment: dict[str, str]) -> None:
    code = (
        "from lockgate import digests; from lockgate.synthetic import generator;"
        "from lockgate.problem.params import GeneratorParams;"
        "print(digests.of_frame(generator.generate(GeneratorParams(seed=1, stores=12, days=500, noise=0.072)).rows))"
    )
    words = [sys.executable, "-c", code]
    printed = subprocess.run(words, env=os.environ | environment, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == digests.of_frame(generator.generate(SMALL).rows)


def test_closed_stores_sell_nothing_and_are_expected_to() -> None:
    closed = CHAIN.raw["Open"] == 0
    assert (CHAIN.raw.loc[closed, ["Sales", "Customers"]] == 0).all(axis=None)
    assert (CHAIN.certain[closed] == 0).all()


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
    made = generator.tables_and_source(GeneratorParams(seed=0, stores=stores, days=days, noise=0.5), PROBLEM)[0]
    assert made.rows["Store"].nunique() == stores
    assert (made.rows["Date"].max() - made.rows["Date"].min()).days == days - 1
