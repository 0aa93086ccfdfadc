"""A row of the log has the name under which truth meets it, and all that its version needs to forecast it again."""

import datetime
import json
from decimal import Decimal
from functools import cache

import engine_fleet
import numpy as np
import pandas as pd
import panel_tables
import plain_tables
import pytest
from logged import rows_of

from lockgate.forecaster.answers import answers
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.prediction_log.record import LoggedRow
from lockgate.prediction_log.rows import logged_rows
from lockgate.problem.description import Problem
from lockgate.training import train as training

KINDS = ("hour", "day", "week", "month", "integer", "state", "regression", "binary", "multiclass")


def trained(problem: Problem, rows: pd.DataFrame, static: pd.DataFrame) -> ForecasterProtocol:
    given = plain_tables.params("regression").model_copy(update={"problem": problem})
    return training.train(rows, static, given, lambda *_: None)[0]


@cache
def asked(kind: str) -> tuple[ForecasterProtocol, pd.DataFrame]:
    """A forecaster, and rows that it can forecast."""
    if kind in ("regression", "binary", "multiclass"):
        problem = plain_tables.params(kind, members=["linear"]).problem
        return trained(problem, plain_tables.rows(kind, 150), pd.DataFrame()), plain_tables.rows(kind, 40, seed=2)
    if kind == "state":
        problem = engine_fleet.fleet_problem("last", members=("linear",))
        return trained(problem, engine_fleet.fleet(6), pd.DataFrame()), engine_fleet.fleet(2, seed=5)
    forecaster = trained(panel_tables.problem(kind, members=["linear"]), *panel_tables.rows(kind))
    keys = forecaster.state.series.frame[list(forecaster.problem.keys)].head(2)
    ahead = pd.DataFrame({"ahead": np.arange(1, forecaster.problem.horizon + 1)})
    rows = keys.merge(ahead, how="cross")
    times = forecaster.problem.period.start(forecaster.state.cutoff + rows["ahead"].to_numpy())
    prices = np.where(rows["ahead"] % 2, 1.5, np.nan)
    return forecaster, rows.assign(time=times, event=0, price=prices).drop(columns="ahead")


def of(forecaster: ForecasterProtocol, rows: pd.DataFrame, found: pd.DataFrame) -> list[LoggedRow]:
    return rows_of(logged_rows(forecaster.problem, forecaster, rows, found))


def logged(kind: str) -> list[LoggedRow]:
    forecaster, rows = asked(kind)
    return of(forecaster, rows, answers(forecaster, rows, 0.9))


@pytest.mark.parametrize("kind", KINDS)
def test_the_logged_features_give_the_same_answers_after_json(kind: str) -> None:
    forecaster, rows = asked(kind)
    again = pd.DataFrame(json.loads(json.dumps([row.features for row in logged(kind)], allow_nan=False)))
    pd.testing.assert_frame_equal(answers(forecaster, again, 0.9), answers(forecaster, rows, 0.9))


@pytest.mark.parametrize("kind", KINDS)
def test_the_answers_are_logged_as_they_were_given(kind: str) -> None:
    forecaster, rows = asked(kind)
    found, kept = answers(forecaster, rows, 0.9), logged(kind)
    assert len(kept) == len(rows)
    if kind == "multiclass":
        names = [f"probability_{name}" for name in forecaster.classes]
        assert [list(row.probabilities.values()) for row in kept] == found[names].to_numpy().tolist()
        assert {row.prediction for row in kept} == {None}
    else:
        assert [row.prediction for row in kept] == found["prediction"].tolist()
        assert {row.probabilities for row in kept} == {None}
    if forecaster.classes:
        assert [row.chosen_class for row in kept] == found["class"].tolist()
    else:
        assert [(row.lower, row.upper) for row in kept] == list(zip(found["lower"], found["upper"], strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_one_row_is_logged_as_in_its_batch(kind: str) -> None:
    forecaster, rows = asked(kind)
    found = answers(forecaster, rows, 0.9)
    alone = of(forecaster, rows.iloc[[3]], found.iloc[[3]])
    assert alone == logged(kind)[3:4]


@pytest.mark.parametrize("kind", KINDS[:5])
def test_a_row_of_a_panel_has_its_segment_period_and_horizon(kind: str) -> None:
    forecaster, rows = asked(kind)
    keys = rows[list(forecaster.problem.keys)].astype(object).to_dict("records")
    cutoff = forecaster.state.cutoff
    expected = [(keys[place], cutoff + 1 + place % forecaster.problem.horizon) for place in range(len(rows))]
    assert [(row.segment, row.period) for row in logged(kind)] == expected
    assert [row.horizon for row in logged(kind)] == [period - cutoff for _, period in expected]


def test_a_row_of_a_state_has_its_key_and_period_and_no_horizon() -> None:
    row = logged("state")[9]
    assert (row.segment, row.period, row.horizon) == ({"unit": 1}, 10, None)


def test_a_row_of_a_table_without_keys_has_no_name() -> None:
    assert {(json.dumps(row.segment), row.period, row.horizon) for row in logged("binary")} == {("{}", None, None)}


@pytest.mark.parametrize("given", [3, 3.0, "3", "3.0", np.int8(3), np.float32(3), Decimal(3)])
def test_a_key_in_any_form_is_the_same_segment(given: object) -> None:
    forecaster, rows = asked("week")
    other = rows.astype(object).assign(store=given).iloc[[0]]
    found = pd.DataFrame({"prediction": [1.0], "lower": [np.nan], "upper": [np.inf]})
    (row,) = of(forecaster, other, found)
    assert (row.segment["store"], type(row.segment["store"])) == (3, int)
    assert (row.prediction, row.lower, row.upper) == (1.0, None, None)
    json.dumps(row.features, allow_nan=False)


@pytest.mark.parametrize(
    "time",
    ["2024-05-01", "2024-05-01T00:00:00Z", datetime.date(2024, 5, 1), datetime.datetime(2024, 5, 1),
     pd.Timestamp("2024-05-01"), np.datetime64("2024-05-01"), "2024-05"],
)  # fmt: skip
def test_a_time_in_any_form_is_the_same_period(time: object) -> None:
    forecaster, rows = asked("month")
    other = rows.iloc[[0]].assign(time=pd.Series([time], dtype=object))
    (row,) = of(forecaster, other, pd.DataFrame({"prediction": [1.0]}))
    assert row.period == 54 * 12 + 4
    assert str(row.features["time"]).startswith("2024-05")
