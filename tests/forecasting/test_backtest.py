"""A backtest trains as it would have been done earlier, and never learns from what came after."""

import os
import signal
import threading

import dask_processes
import numpy as np
import pandas as pd
import psutil
import pytest
import small_chain

from lockgate.engine import choice
from lockgate.engine.engine import InProcess
from lockgate.errors import BadData, Unavailable
from lockgate.models.members import MEMBERS
from lockgate.problem.params import EngineParams
from lockgate.reports import plots
from lockgate.training import backtest, train
from lockgate.training.backtest import Plan

NAMES = ["blend", *MEMBERS, "ridge", "seasonal naive"]
PLAN = Plan(origins=2, apart=30)
IN_PROCESS = InProcess()


def run(rows, plan=PLAN, engine=IN_PROCESS, begun=lambda: None):
    told = []
    params = small_chain.params()
    stores = small_chain.chain().stores

    def progress(*step):
        told.append(step)
        if step[1] == 0:
            begun()

    marks = backtest.backtest(rows, stores, params, plan, engine, progress)
    return marks, told


@pytest.fixture(scope="module")
def marks():
    return run(small_chain.parts().rows)[0]


def test_each_origin_has_a_mark_for_the_blend_each_member_and_the_baseline(marks):
    last = small_chain.parts().rows["Date"].max()
    origins = [str((last - pd.Timedelta(days=days)).date()) for days in (42, 72)]
    assert [(mark.origin, mark.forecast) for mark in marks] == [(origin, name) for origin in origins for name in NAMES]
    assert all(mark.low <= mark.score <= mark.high and mark.mae > 0 and abs(mark.bias) < 0.5 for mark in marks)


def test_the_marks_are_the_same_to_the_last_bit_on_a_cluster(marks, dask_address):
    with choice.here(EngineParams(kind="dask", address=dask_address), 300) as engine:
        on_dask, told = run(small_chain.parts().rows, engine=engine)
    assert on_dask == marks
    assert told == [(backtest.STEP, done, 2) for done in (0, 1, 2)]


@pytest.mark.long
def test_a_backtest_that_loses_a_worker_has_the_same_marks_and_without_a_scheduler_it_is_unavailable(marks, tmp_path):
    running = dask_processes.running(tmp_path, workers=2)
    with running as cluster, choice.here(EngineParams(kind="dask", address=cluster.address), 300) as engine:
        engine.client.wait_for_workers(2, 300)
        processes = list(engine.client.run(os.getpid).values())
        at_work = threading.Thread(target=lambda: os.kill(_busy(processes), signal.SIGKILL), daemon=True)
        assert run(small_chain.parts().rows, engine=engine, begun=at_work.start)[0] == marks
        assert set(processes) - set(engine.client.run(os.getpid).values()), "no worker was lost"
        engine.timeout = 5
        with pytest.raises(Unavailable):
            run(small_chain.parts().rows, engine=engine, begun=cluster.scheduler.kill)


def _busy(processes: list[int]) -> int:
    """The first process that has computed for a second."""
    begun = {each: sum(psutil.Process(each).cpu_times()[:2]) for each in processes}
    found: list[int] = []

    def looked() -> list[int]:
        found[:] = [each for each in processes if sum(psutil.Process(each).cpu_times()[:2]) > begun[each] + 1]
        return found

    dask_processes.wait_for(looked)
    return found[0]


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
