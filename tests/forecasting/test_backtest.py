"""A backtest trains as it would have been done earlier, and never learns from what came after."""

import numpy as np
import pandas as pd
import pytest
import small_chain

from lockgate.errors import BadData
from lockgate.models.members import MEMBERS
from lockgate.reports import plots
from lockgate.training import backtest, train
from lockgate.training.backtest import Plan

NAMES = ["blend", *MEMBERS, "ridge", "seasonal naive"]
PLAN = Plan(origins=2, apart=30)


def run(rows, plan=PLAN):
    told = []
    params = small_chain.params()
    marks = backtest.backtest(rows, small_chain.chain().stores, params, plan, lambda *step: told.append(step))
    return marks, told


@pytest.fixture(scope="module")
def marks():
    return run(small_chain.parts().rows)[0]


def test_each_origin_has_a_mark_for_the_blend_each_member_and_the_baseline(marks):
    last = small_chain.parts().rows["Date"].max()
    origins = [str((last - pd.Timedelta(days=days)).date()) for days in (42, 72)]
    assert [(mark.origin, mark.forecast) for mark in marks] == [(origin, name) for origin in origins for name in NAMES]
    assert all(mark.low <= mark.score <= mark.high and mark.mae > 0 and abs(mark.bias) < 0.5 for mark in marks)


def test_a_mark_is_what_a_training_on_the_days_up_to_its_origin_gives(marks):
    rows, stores = small_chain.parts().rows, small_chain.chain().stores
    known = rows[rows["Date"] <= marks[0].origin]
    window = rows[(rows["Date"] > marks[0].origin) & (rows["Sales"] > 0)]
    forecaster, _ = train.train(known, stores, small_chain.params(), lambda *_: None)
    errors = forecaster.predict(window.drop(columns="Sales")) / window["Sales"].to_numpy() - 1
    assert marks[0].score == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert marks[0].rows == len(window)
    bounds = forecaster.interval(window.drop(columns="Sales"), 0.8)
    inside = (bounds.lower <= window["Sales"]) & (window["Sales"] <= bounds.upper)
    assert marks[0].coverage_80 == pytest.approx(inside.mean())


def test_the_blend_has_coverage_and_nothing_else_has(marks):
    blend = [mark for mark in marks if mark.forecast == "blend"]
    assert all(0.5 < mark.coverage_80 < mark.coverage_95 <= 1 for mark in blend)
    assert {mark.coverage_95 for mark in marks if mark.forecast != "blend"} == {None}
    assert backtest.means(marks)["blend"]["coverage_95"] == pytest.approx(np.mean([mark.coverage_95 for mark in blend]))


def test_means_and_the_worst_are_over_the_origins(marks):
    found = backtest.means(marks)
    blend = [mark.score for mark in marks if mark.forecast == "blend"]
    assert list(found) == NAMES
    assert found["blend"]["score"] == pytest.approx(np.mean(blend))
    assert found["blend"]["worst_score"] == max(blend)


def test_more_origins_than_the_history_has_room_for_are_refused_with_how_many_it_has():
    with pytest.raises(BadData, match="the earliest of 9 origins leaves too short a history") as refusal:
        run(small_chain.parts().rows, Plan(origins=9, apart=42))
    assert "at most 3 that are 42 days apart" in refusal.value.hint


def test_it_can_be_drawn(marks, tmp_path):
    found = plots.backtest([vars(mark) for mark in marks], tmp_path / "backtest.png")
    assert found.read_bytes().startswith(b"\x89PNG")
