"""The report of the monitor: one file without network and scripts, for every kind of problem, also without rows."""

import re
from dataclasses import replace
from datetime import timedelta

import logged_frames
import numpy as np
import pandas as pd
import panel_tables
import plain_tables
import pytest
from logged_frames import NOW, logged

from lockgate.bundle import snapshot as snapshots
from lockgate.bundle.distribution import distribution_of
from lockgate.bundle.snapshot import Snapshot
from lockgate.evaluation.slices import Background
from lockgate.monitoring.advice import Advice
from lockgate.monitoring.findings import Production, Terms, findings
from lockgate.monitoring.live import ANSWERS, live_of
from lockgate.monitoring.monitored import Monitored
from lockgate.monitoring.scores import Scorer
from lockgate.monitoring.windows import Windows
from lockgate.problem.params import MonitorParams
from lockgate.reports import monitor_page

DAY = timedelta(days=1)
KINDS = ("panel", "regression", "binary", "multiclass")


def asked(kind):
    """A problem, its rows and a forecast of each."""
    if kind == "panel":
        rows = panel_tables.rows("day")[0].tail(60).reset_index(drop=True)
        return panel_tables.problem("day"), rows, rows["y"] + 1.0
    problem, rows = plain_tables.params(kind).problem, plain_tables.rows(kind, 60)
    shares = [{"high": 0.2, "low": 0.5, "middle": 0.3}] * 60
    return problem, rows, {"regression": rows["price"], "binary": np.linspace(0, 1, 60), "multiclass": shares}[kind]


def monitored(kind, known=True, name=None):
    problem, rows, forecast = asked(kind)
    if name:
        rows["colour"] = name
        problem = problem.model_copy(update={"slices": ("colour",)})
    days = [
        logged(problem, rows, forecast, at=NOW - day * DAY, truth_at=NOW + DAY if known else None) for day in range(3)
    ]
    live = live_of(problem, logged_frames.joined(*days))
    newest = int(live.about["period"].max()) if kind == "panel" and known else None
    terms = Terms(
        MonitorParams(), 0.5, Windows(20 * DAY, 5, NOW.to_pydatetime(), newest), Scorer(problem, Background()), ANSWERS
    )
    columns = tuple(distribution_of(each.name, rows[each.name]) for each in snapshots.compared(problem))
    found = findings(live, Snapshot(columns, None, (), ()), "", Production(1, NOW - DAY, NOW - DAY), terms)
    return Monitored(
        "shop-ensemble", problem, terms.windows, found, None, Advice("dvc repro", "a reason"), ("a remark",)
    )


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_the_page_of_every_kind_loads_nothing_and_runs_nothing(kind, known):
    page = monitor_page.html(monitored(kind, known))
    assert "default-src 'none'" in page
    assert re.findall(r"<script|\son\w+=|@import", page) == []
    assert re.findall(r"(?:src|href)=\"(?!#)[^\"]*", page.replace('xmlns:xlink="', "")) == []
    assert "prefers-color-scheme: dark" in page
    ids = re.findall(r"\bid=\"([^\"]*)\"", page)
    assert len(ids) == len(set(ids))
    assert ("<svg" in page) == ("<figure>" in page)


@pytest.mark.parametrize(
    ("kind", "plots"),
    [
        ("panel", ["scores-", "drift-"]),
        ("regression", ["scores-", "drift-"]),
        ("binary", ["scores-", "calibration-", "drift-"]),
        ("multiclass", ["scores-", "calibration-", "drift-"]),
    ],
)
def test_the_plots_are_those_that_the_rows_are_enough_for(kind, plots):
    page = monitor_page.html(monitored(kind))
    assert [each for each in ("scores-", "coverage-", "calibration-", "drift-") if f'id="{each}' in page] == plots


def test_a_text_from_outside_is_escaped():
    page = monitor_page.html(monitored("regression", name="<script>alert(1)</script>"))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_page_without_a_logged_row_is_whole():
    found = monitored("regression")
    nothing = replace(found.findings, periods=(), versions=(), slices=(), drifts=(), no_drift="no snapshot")
    page = monitor_page.html(replace(found, findings=nothing))
    assert page.rstrip().endswith("</html>")
    assert "<svg" not in page


def test_numbers_that_are_unknown_are_null_in_json():
    found = monitored("regression", known=False).as_json()
    assert found["findings"]["total"]["score"] is None
    assert found["findings"]["rules"][0]["state"] == "ok"
    assert "problem" not in found
    assert pd.Timestamp(found["windows"]["now"]) == NOW
