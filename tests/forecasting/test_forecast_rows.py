"""The rows that `lockgate forecast` makes are those that a user would write, and it refuses what nobody knows."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import panel_tables
import pytest
import small_chain
from rossmann import PROBLEM

from lockgate.errors import BadData, WrongUsage
from lockgate.forecaster.ensemble import Forecaster
from lockgate.operations.forecast_rows import Future, FutureRows, future_rows
from lockgate.problem.description import Problem
from lockgate.problem.params import Params
from lockgate.training.panel import train

COVARIATES = ["Open", "Promo", "StateHoliday", "SchoolHoliday"]


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of known covariates."""

    def written(rows: pd.DataFrame, name: str = "plan.csv") -> Path:
        path = tmp_path / name
        rows.to_parquet(path, index=False) if name.endswith("parquet") else rows.to_csv(path, index=False)
        return path

    return written


def made(future: Future, raw: Path, forecaster: Forecaster | None = None, problem: Problem = PROBLEM) -> FutureRows:
    return future_rows(problem, forecaster or small_chain.forecaster(), future, raw)


def whole(rows: FutureRows) -> pd.DataFrame:
    return pd.concat(rows.parts(), ignore_index=True)


@pytest.mark.parametrize("name", ["plan.csv", "plan.parquet"])
def test_keys_periods_and_a_plan_give_the_forecasts_of_the_rows_of_a_file(plan, tmp_path: Path, name: str) -> None:
    asked = small_chain.asked().sort_values(["Store", "Date"], ignore_index=True)
    rows = whole(made(Future({}, known=plan(asked, name)), tmp_path))
    assert len(rows) == len(asked)
    for column in ("Store", "Date", *COVARIATES):
        assert rows[column].tolist() == asked[column].tolist()
    forecaster = small_chain.forecaster()
    np.testing.assert_array_equal(forecaster.predict(rows), forecaster.predict(asked))


def test_a_plan_of_days_holds_for_every_key_and_a_day_without_a_plan_is_refused(plan, tmp_path: Path) -> None:
    asked = small_chain.asked()
    days = asked[asked["Store"] == asked["Store"].iloc[0]].drop(columns="Store")
    rows = whole(made(Future({"Store": ("2", "5")}, 10, known=plan(days)), tmp_path))
    assert rows["Store"].tolist() == [2] * 10 + [5] * 10
    assert rows["Promo"].tolist() == 2 * days.sort_values("Date")["Promo"].head(10).tolist()
    short = made(Future({"Store": ("2",)}, 10, known=plan(days.sort_values("Date").head(7))), tmp_path)
    with pytest.raises(BadData, match=r"has no row for Store 2, 2015-.* \(and for 2 more rows\)") as refusal:
        whole(short)
    assert "plan.csv" in str(refusal.value)


def test_what_nobody_knows_is_refused_by_name_and_what_may_be_missing_is_said(plan, tmp_path: Path) -> None:
    with pytest.raises(
        BadData, match="no value is given for Promo, StateHoliday, SchoolHoliday, which must"
    ) as refusal:
        made(Future({"Store": ("1",)}), tmp_path)
    assert "--known FILE" in refusal.value.hint
    rows = made(Future({"Store": ("1",)}, known=plan(small_chain.asked().drop(columns="Open"))), tmp_path)
    assert rows.remarks == ("Open is not given: taken as open",)
    assert small_chain.forecaster().check(whole(rows)).open_missing == 42


def test_a_side_table_gives_the_covariates_that_it_holds(plan, tmp_path: Path) -> None:
    changes = PROBLEM.model_dump()
    changes["sources"] = [*changes["sources"], {"file": "calendar.csv", "key": ("Date",)}]
    for name in ("StateHoliday", "SchoolHoliday"):
        changes["columns"][name]["file"] = "calendar.csv"
    problem = Problem.model_validate(changes)
    asked = small_chain.asked()
    days = asked.drop_duplicates("Date")[["Date", "StateHoliday", "SchoolHoliday"]]
    days.to_csv(tmp_path / "calendar.csv", index=False)
    known = plan(asked[["Store", "Date", "Open", "Promo"]])
    rows = whole(made(Future({"Store": ("3",)}, known=known), tmp_path, problem=problem))
    assert rows["SchoolHoliday"].tolist() == days.sort_values("Date")["SchoolHoliday"].tolist()


@pytest.mark.parametrize(
    ("future", "error", "says"),
    [
        (Future({"Store": ("999",)}), BadData, "Store is 999, which was not in the training"),
        (Future({"Store": ("x",)}), BadData, "Store is 'x': not a whole number"),
        (Future({"Shop": ("1",)}), WrongUsage, "Shop is no key"),
        (Future({}, 85), WrongUsage, "the version does not forecast"),
        (Future({}, 1, "2001-01-01"), WrongUsage, "the version does not forecast 2001-01-01 to 2001-01-01"),
        (Future({}, 1, "soon"), WrongUsage, "--from is 'soon'"),
    ],
)
def test_keys_and_periods_that_cannot_be_forecast_are_refused(future, error, says: str, plan, tmp_path: Path) -> None:
    known = plan(small_chain.asked())
    with pytest.raises(error, match=says) as refusal:
        made(Future(future.keys, future.periods, future.first, known), tmp_path)
    assert refusal.value.hint


@pytest.mark.parametrize(
    ("columns", "says"),
    [(["Store", "Date"], "no known covariate"), (COVARIATES, "no key and no time")],
)
def test_a_plan_that_cannot_be_joined_is_refused(columns: list[str], says: str, plan, tmp_path: Path) -> None:
    with pytest.raises(BadData, match=says):
        made(Future({}, known=plan(small_chain.asked()[columns])), tmp_path)


def test_two_rows_of_one_key_and_period_are_refused(plan, tmp_path: Path) -> None:
    asked = small_chain.asked()
    with pytest.raises(BadData, match="Store and Date must be unique"):
        made(Future({}, known=plan(pd.concat([asked, asked.head(1)]))), tmp_path)


@pytest.mark.parametrize("name", panel_tables.TABLES)
def test_every_period_has_rows_that_its_version_forecasts(name: str, plan, tmp_path: Path) -> None:
    gate = {"limit": 0.5, "over_serving": 0.1, "over_slice": 0.1}
    training = {"max_rounds": 5, "patience": 2}
    described = {"problem": panel_tables.problem(name).model_dump(), "training": training, "gate": gate, "threads": 1}
    forecaster = train(*panel_tables.rows(name), Params.model_validate(described), lambda *_: None)[0]
    problem, request = forecaster.problem, forecaster.request
    numbers = np.arange(request.window.cutoff + 1, request.window.cutoff + 4)
    times = [problem.period.text(number) for number in numbers.tolist()]
    known = plan(pd.DataFrame({"time": times, "event": [0, 1, 0]}))
    found = made(Future({}, 3, times[0], known), tmp_path, forecaster, problem)
    rows = whole(found)
    assert len(rows) == len(found) == 3 * len(request.series)
    assert list(map(str, rows["time"])) == times * len(request.series)
    assert found.remarks == ("price is not given: unknown",)
    assert np.isfinite(forecaster.predict(rows)).all()
    if name == "week":  # two key columns: each value of one is named once
        with pytest.raises(BadData) as refusal:
            made(Future({"store": ("9",)}, 3, times[0], known), tmp_path, forecaster, problem)
        assert refusal.value.hint == "known values: 1, 2; a new one needs a training"
