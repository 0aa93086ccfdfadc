"""Declared holidays: by country or listed, kept in the state, and learned by the linear model."""

import datetime

import numpy as np
import pandas as pd
import panel_tables
import pytest

from lockgate.errors import BadConfiguration
from lockgate.features.panel_recipe import holidays
from lockgate.features.panel_recipe.declaration import declaration
from lockgate.features.panel_recipe.holidays import HolidayRule
from lockgate.features.recipe import RIDGE, Table
from lockgate.features.recipes import recipe_of
from lockgate.problem.periods import Period

GERMANY = {"holidays": {"country": "DE"}}
WITH_HOLIDAYS = ["calendar", "lags", "covariates", GERMANY]
dated = pytest.mark.parametrize("name", ["hour", "day", "week", "month"])


def day(text: str) -> np.ndarray:
    return Period("day").number(np.array([text], dtype="datetime64[s]"))


def columns(period: str, text: str) -> dict[str, int]:
    of_2021 = holidays.days(HolidayRule("DE"), 2020, 2022)
    number = Period(period).number(np.array([text], dtype="datetime64[s]"))
    return {name: int(values[0]) for name, values in holidays.columns(of_2021, Period(period), number).items()}


def test_a_day_is_counted_to_the_next_and_from_the_last_holiday() -> None:
    assert columns("day", "2021-12-24") == {"holiday": 0, "to_holiday": 1, "from_holiday": 14}
    assert columns("day", "2021-12-25") == {"holiday": 1, "to_holiday": 0, "from_holiday": 0}
    assert columns("day", "2021-12-28") == {"holiday": 0, "to_holiday": 4, "from_holiday": 2}
    assert columns("hour", "2021-12-28T13:00") == columns("day", "2021-12-28")


def test_a_week_and_a_month_count_their_holidays() -> None:
    assert columns("week", "2021-04-05") == {"holiday": 1}  # Easter Monday
    assert columns("month", "2021-05-01") == {"holiday": 3}  # Labour Day, Ascension, Whit Monday
    assert columns("month", "2021-11-01") == {"holiday": 0}


def test_a_region_has_holidays_of_its_own_and_dates_may_be_added() -> None:
    hesse, saxony = (holidays.rule({"country": "DE", "region": region}) for region in ("HE", "SN"))
    assert len(holidays.days(hesse, 2021, 2021)) != len(holidays.days(saxony, 2021, 2021))
    listed = holidays.rule({"dates": ["2021-06-30", datetime.date(2021, 6, 1)]})
    assert holidays.days(listed, 2021, 2021).tolist() == [*day("2021-06-01"), *day("2021-06-30")]


@dated
def test_a_restored_state_needs_no_package_and_gives_the_same_matrix(name: str, monkeypatch) -> None:
    problem = panel_tables.problem(name, features=WITH_HOLIDAYS)
    table = Table.of(problem, *panel_tables.rows(name))
    state = recipe_of(problem).fit(table, [table.last - 30, table.last], problem.horizon)[table.last]
    alone = recipe_of(problem).fit(table, [table.last], problem.horizon)[table.last]
    rows = table.known_inputs(table.last - problem.horizon + 1, table.last)
    rows = rows.__class__(rows.key, rows.period + problem.horizon, rows.covariates)
    monkeypatch.setattr(holidays, "of_history", None)
    restored = recipe_of(problem).restore(state.arrays(), state.cutoff, state.horizon)
    found = [each.transform(rows) for each in (state, alone, restored)]
    assert "holiday" in found[0].names
    assert all(np.array_equal(found[0].values, other.values, equal_nan=True) for other in found)


def test_the_linear_model_learns_what_a_holiday_does() -> None:
    times = pd.date_range("2019-01-01", "2021-12-31", freq="D")
    german = set(holidays.days(HolidayRule("DE"), 2019, 2021))
    closed = np.array([number in german for number in Period("day").number(times.to_numpy())])
    rng = np.random.default_rng(3)
    rows = pd.DataFrame({"shop": "a", "time": times, "y": 100 * np.where(closed, 0.4, 1) + rng.normal(size=len(times))})
    rows = rows.assign(event=np.int8(0), price=10.0, shop=rows["shop"].astype("str"))
    static = pd.DataFrame({"shop": ["a"], "kind": ["bar"]}).astype("str")

    def christmas(features: list[object]) -> float:
        problem = panel_tables.problem("day", features=features)
        table = Table.of(problem, rows, static)
        cutoff = int(day("2021-12-20")[0])
        state = recipe_of(problem).fit(table, [cutoff], problem.horizon)[cutoff]
        matrix = state.transform(table.known_inputs(int(day("2021-12-25")[0]), int(day("2021-12-26")[0])))
        return float(np.abs(matrix.scale.target(matrix.offsets[RIDGE]) - 40).max())

    assert christmas(WITH_HOLIDAYS) < 6 < 40 < christmas(["calendar", "lags", "covariates"])


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        (None, "is None"),
        ({"country": "XX"}, "has no holidays: Country XX not available"),
        ({"country": "DE", "region": "QQ"}, "has no holidays"),
        ({"region": "HE"}, "is {'region': 'HE'}"),
        ({"land": "DE"}, "is {'land': 'DE'}"),
        ({"dates": ["soon"]}, "lists soon, which is no date"),
    ],
)
def test_a_setting_without_meaning_is_refused_with_an_example(setting: object, says: str) -> None:
    with pytest.raises(BadConfiguration) as refusal:
        declaration(panel_tables.problem("day", features=[{"holidays": setting}]))
    assert says in refusal.value.message
    assert "such as holidays: {country: DE" in refusal.value.hint


def test_running_numbers_have_no_holidays() -> None:
    with pytest.raises(BadConfiguration, match="time is a running number"):
        declaration(panel_tables.problem("integer", features=[GERMANY]))
