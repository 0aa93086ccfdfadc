"""Requests of any described problem: a row that cannot be forecast is refused with its column and what is allowed."""

from functools import cache

import engine_fleet
import numpy as np
import pandas as pd
import panel_tables
import plain_tables
import pytest

from lockgate.errors import BadData
from lockgate.forecaster.ensemble import Forecaster
from lockgate.forecaster.table import TableForecaster
from lockgate.training import train as training


@cache
def panel(period: str) -> Forecaster:
    problem = panel_tables.problem(period)
    if period == "day":
        columns = problem.columns | {"weekday": {"type": "integer"}}
        problem = panel_tables.problem(period, checks={"weekday": "weekday"}, columns=columns)
    rows, static = panel_tables.rows(period)
    given = plain_tables.params("regression").model_copy(update={"problem": problem})
    return training.train(rows, static, given, lambda *_: None)[0]


@cache
def states() -> TableForecaster:
    problem = engine_fleet.fleet_problem("last", members=("linear",))
    given = plain_tables.params("regression").model_copy(update={"problem": problem})
    return training.train(engine_fleet.fleet(6), pd.DataFrame(), given, lambda *_: None)[0]


def asked(period: str, **values: object) -> pd.DataFrame:
    """One row after the cutoff for the first key, with some values changed."""
    forecaster = panel(period)
    row = forecaster.state.series.frame.iloc[[0]][list(forecaster.problem.keys)].reset_index(drop=True)
    time = forecaster.problem.period.start(np.array([forecaster.state.cutoff + 1]))[0]
    return row.assign(time=time, event=0, price=1.0).astype(object).assign(**values)


def refused(forecaster: Forecaster | TableForecaster, rows: pd.DataFrame) -> tuple[str, str, str]:
    """Text, column and hint of the refusal; `problems` names the same rows."""
    with pytest.raises(BadData) as caught:
        forecaster.predict(rows)
    assert forecaster.problems(rows)
    return caught.value.message, caught.value.where, caught.value.hint


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e30, 1.5, None, "x"])
@pytest.mark.parametrize("key", ["store", "dept"])
def test_a_key_that_is_no_whole_number_is_refused_once(key: str, value: object) -> None:
    message, where, _ = refused(panel("week"), asked("week", **{key: value}))
    assert (where, message.count(f"{key} is")) == (key, 1)


def test_the_key_column_with_the_unknown_value_is_named() -> None:
    assert refused(panel("week"), asked("week", dept=99))[1] == "dept"
    assert refused(panel("week"), asked("week", store=99))[1] == "store"


@pytest.mark.parametrize("period", ["hour", "day", "week", "month"])
def test_times_with_a_zone_stand_beside_times_without(period: str) -> None:
    forecaster, plain = panel(period), asked(period)
    text = str(plain["time"].iloc[0]).replace(" ", "T")
    both = pd.concat([plain, plain.assign(time=f"{text}+02:00"), plain.assign(time=text)], ignore_index=True)
    found = forecaster.predict(both)
    assert found[0] == found[1] == found[2]
    assert forecaster.predict(both.iloc[[1]])[0] == found[0]


def test_a_time_of_day_in_a_daily_panel_and_an_unknown_time_are_refused() -> None:
    text = str(asked("day")["time"].iloc[0].date())
    for wrong in (f"{text}T10:00", "soon", None, 3):
        _, where, hint = refused(panel("day"), asked("day", time=wrong))
        assert (where, "write the date as" in hint) == ("time", True)


def test_a_period_out_of_the_window_is_refused_with_the_allowed_times() -> None:
    forecaster = panel("integer")
    first, last = forecaster.state.cutoff + 1, forecaster.window.last
    for wrong in (first - 1, last + 1):
        assert refused(forecaster, asked("integer", time=wrong))[2] == f"numbers from {first} to {last}"


@pytest.mark.parametrize("wrong", [0, 8, 99, 1.5])
def test_a_wrong_weekday_is_refused_and_a_missing_one_is_not(wrong: float) -> None:
    right = asked("day")["time"].iloc[0].isoweekday()
    assert np.isfinite(panel("day").predict(asked("day", weekday=right))).all()
    assert np.isfinite(panel("day").predict(asked("day", weekday=None))).all()
    assert refused(panel("day"), asked("day", weekday=wrong))[1:] == ("weekday", "weekday fits time; Monday is 1")
    assert refused(panel("day"), asked("day", weekday=right % 7 + 1))[1] == "weekday"


def test_two_rows_of_a_key_at_one_time_contradict_each_other_in_a_state() -> None:
    rows = engine_fleet.fleet(2).drop(columns="cycles_left").head(3)
    assert np.isfinite(states().predict(rows)).all()
    _, where, hint = refused(states(), rows.assign(cycle=[1, 2, 2]))
    assert (where, hint) == ("cycle", "one row for each unit and time")


BOOLEANS = [object, bool, "boolean", "bool[pyarrow]", "category"]


@pytest.mark.parametrize("dtype", BOOLEANS)
def test_a_boolean_is_1_or_0_in_a_flag_and_no_number(dtype: str | type) -> None:
    row, true = asked("week", event=1), pd.Series([True], dtype=dtype)
    assert panel("week").predict(row.assign(event=true)) == panel("week").predict(row)
    message, where, hint = refused(panel("week"), row.assign(price=true))
    assert ("row 0: price is True" in message, where, hint) == (True, "price", "price is a number or missing")
    assert refused(panel("integer"), asked("integer", time=true))[1] == "time"
    assert refused(panel("day"), asked("day", weekday=true))[1] == "weekday"


@pytest.mark.parametrize("first", [1.0, True])
def test_among_many_equal_numbers_only_the_booleans_are_refused(first: object) -> None:
    rows = pd.concat([asked("week")] * 150, ignore_index=True)
    values = [first, *[1.0, True] * 74, 1.0]
    found = panel("week").problems(rows.assign(price=pd.Series(values, dtype=object)))
    assert [(each.row, each.value) for each in found] == [
        (row, "True") for row, value in enumerate(values) if value is True
    ]


def test_a_range_without_limits_is_not_written_out() -> None:
    assert refused(panel("week"), asked("week", price="x"))[2] == "price is a number or missing"


def test_a_time_beyond_all_integers_is_refused() -> None:
    assert refused(panel("integer"), asked("integer", time=-1e30))[1] == "time"


@pytest.mark.parametrize("wrong", [{"a": 1}, ["x"], np.nan, "x" * 100_001])
def test_only_texts_and_numbers_are_categories(wrong: object) -> None:
    problem = plain_tables.params("regression", columns={**plain_tables.COLUMNS, "colour": {"type": "category"},
                                                         "price": {"type": "number"}}, members=["linear"])  # fmt: skip
    rows = plain_tables.rows("regression", 60).dropna()
    forecaster, _ = training.train(rows, pd.DataFrame(), problem, lambda *_: None)
    row = rows.head(1).astype(object)
    row.at[row.index[0], "colour"] = wrong
    assert refused(forecaster, row)[1:] == ("colour", "colour is a text of at most 100,000 characters")


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        *[
            ({"price": text}, "price")
            for text in ("NaN", "inf", "-Infinity", "1e400", "0x10", "1_000", "1,000", "true")
        ],
        *[({"price": number}, "price") for number in (10**400, float("inf"))],
        *[({"event": text}, "event") for text in ("true", "nan", "yes")],
        *[({"shop": number}, "shop") for number in (2**63, 2**64 + 1, 10**400, 10**5000, 1e300)],
        *[({"time": f"2020-08-13T00:00:00{zone}"}, "time") for zone in ("+99:99", "+02:60", " Europe/Berlin")],
        ({"time": "2020-08-13T10:00:00Z"}, "time"),
    ],
    ids=lambda changed: str(changed)[:40] if isinstance(changed, dict) and 10**5000 not in changed.values() else None,
)
def test_what_is_no_value_is_a_problem_of_its_row_whatever_json_allows(changed: dict[str, object], column: str) -> None:
    assert [each.column for each in panel("day").problems(asked("day", **changed))] == [column]


@pytest.mark.parametrize("text", ["1", " 1 ", "1.0", "+1", "1e0"])
def test_a_number_may_be_its_text(text: str) -> None:
    assert panel("day").predict(asked("day", price=text)) == panel("day").predict(asked("day", price=1))


@pytest.mark.parametrize("zone", ["Z", "+02:00", "-11:30", "+0530", " UTC"])
def test_the_day_of_a_time_with_a_zone_is_the_written_day(zone: str) -> None:
    day = f"{asked('day')['time'].iloc[0]:%Y-%m-%d}"
    assert panel("day").predict(asked("day", time=f"{day}T00:00:00{zone}")) == panel("day").predict(asked("day"))


def test_texts_that_mean_missing_in_the_file_mean_it_in_a_request() -> None:
    given = plain_tables.params("regression", sources=[{"file": "things.csv", "missing": ["?"]}], members=["linear"])
    rows = plain_tables.rows("regression", 60)
    forecaster, _ = training.train(rows, pd.DataFrame(), given, lambda *_: None)
    row = rows.head(1).astype(object)
    assert forecaster.predict(row.assign(city="?", size="?")) == forecaster.predict(row.assign(city=None, size=None))
