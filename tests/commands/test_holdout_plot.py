"""Each kind of problem has a picture of its holdout, whatever its rows are."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lockgate.problem.description import Problem
from lockgate.problem.metrics import METRICS
from lockgate.reports import holdout_plot
from lockgate.reports.holdout_plot import Scored

ROWS = 120
LARGEST_FILE = 100_000  # bytes
COLUMNS = {"shop": {"type": "category"}, "day": {"type": "date"}, "size": {"type": "number"}}
PANEL = {"keys": "shop", "time": {"column": "day", "period": "day"}, "horizon": 30}
STATE = {"keys": "shop", "time": {"column": "turn", "period": "integer"}, "horizon": 0}


def problem(target, **changes):
    columns = {
        name: kind for name, kind in COLUMNS.items() if name in (changes.get("keys"), "size")
    }  # fmt: skip
    time = changes.get("time")
    if time:
        columns[time["column"]] = {"type": "integer" if time["period"] == "integer" else "date"}
    return Problem.model_validate(
        {
            "name": "sales",
            "sources": [{"file": "sales.csv"}],
            "target": "units",
            "known_covariates": "size",
            "columns": columns | {"units": target},
            "metric": "mae",
        }
        | changes
    )


NUMBER, TEXT = {"type": "number"}, {"type": "category"}
PROBLEMS = {
    "panel": problem(NUMBER, **PANEL),
    "state": problem(NUMBER, **STATE),
    "table": problem(NUMBER),
    "two classes": problem(TEXT, task="binary", positive="yes", metric="pr_auc"),
    "three classes": problem(TEXT, task="multiclass", metric="log_loss"),
}


def scored(kind):
    """Rows of two shops; the second one is forecast worse."""
    described, drawn = PROBLEMS[kind], np.random.default_rng(3)
    place = np.arange(ROWS)
    rows = pd.DataFrame(
        {
            "shop": np.where(place % 2, "b", "a"),
            "day": np.datetime64("2024-03-01", "s") + (place // 2) * np.timedelta64(1, "D"),
            "turn": place // 2,
            "size": drawn.uniform(1, 9, ROWS),
        }
    )
    bounds = np.full((ROWS, 2), np.nan)
    match described.task:
        case "binary":
            forecast = drawn.random(ROWS)
            actual, classes = (drawn.random(ROWS) < forecast).astype(float), ("no", "yes")
        case "multiclass":
            forecast = drawn.dirichlet([1, 1, 1], ROWS)
            actual, classes = drawn.integers(0, 3, ROWS).astype(float), ("x", "y", "z")
        case _:
            actual, classes = 50 + 10 * drawn.normal(size=ROWS), ()
            forecast = actual + np.where(place % 2, 8.0, 2.0)
            bounds = np.stack([forecast - 5, forecast + 5], axis=1)
    before = rows.assign(day=rows["day"] - pd.Timedelta(days=60), units=50.0)
    return Scored(described, METRICS[described.metric], rows, actual, forecast, bounds, classes, before)


@pytest.mark.parametrize("kind", PROBLEMS)
def test_every_kind_of_problem_has_a_picture(kind, tmp_path):
    path = holdout_plot.draw(scored(kind), tmp_path / "plots" / "holdout.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size < LARGEST_FILE


@pytest.mark.parametrize("kind", ["panel", "state"])
def test_the_keys_that_are_shown_have_the_middle_and_the_largest_error(kind, titles):
    assert {"shop a (middle error), 100% within bounds", "shop b (largest error), 0% within bounds"} < titles(kind)


def test_the_share_within_the_bounds_is_said(tmp_path, monkeypatch):
    legends = []
    monkeypatch.setattr(holdout_plot.plt, "close", lambda figure: legends.append(figure.axes[0].get_legend()))
    holdout_plot.draw(scored("table"), tmp_path / "holdout.png")
    assert [text.get_text() for text in legends[0].get_texts()] == [
        "95 % bounds",
        "within: 50.0% of the rows",
        "outside: 50.0%",
    ]


@pytest.fixture
def titles(tmp_path, monkeypatch):
    """The titles of the panels of a picture."""

    def of(kind):
        found = set()
        monkeypatch.setattr(
            holdout_plot.plt, "close", lambda figure: found.update(axes.get_title() for axes in figure.axes)
        )
        holdout_plot.draw(scored(kind), tmp_path / "holdout.png")
        return found

    return of


@pytest.mark.parametrize("kind", PROBLEMS)
@pytest.mark.parametrize(
    "change",
    [
        lambda each: each.where(np.arange(ROWS) == 0),
        lambda each: each.where(each.actual == each.actual[0]),
        lambda each: replace(each, bounds=np.full((ROWS, 2), np.nan)),
        lambda each: replace(each, before=each.before.head(0)),
        lambda each: replace(each, forecast=each.forecast * 1e300),
        lambda each: replace(each, actual=0 * each.actual, forecast=0 * each.forecast),
        lambda each: replace(each, rows=each.rows.assign(shop="only one")),
        lambda each: replace(each, rows=each.rows.assign(shop="$x_{$")),
        lambda each: replace(each, problem=each.problem.model_copy(update={"title": "in $ and _"})),
    ],
    ids=[
        "one row",
        "one value",
        "no bounds",
        "no history",
        "huge forecasts",
        "zeros",
        "one key",
        "a formula as a key",
        "a formula as title",
    ],
)
def test_any_rows_have_a_picture(kind, change, tmp_path):
    assert holdout_plot.draw(change(scored(kind)), tmp_path / "holdout.png").is_file()


@pytest.mark.parametrize("period", ["hour", "week", "month"])
def test_a_panel_without_keys_has_a_picture(period, tmp_path):
    described = problem(NUMBER, **PANEL | {"keys": [], "time": {"column": "day", "period": period}})
    assert holdout_plot.draw(replace(scored("panel"), problem=described), tmp_path / "holdout.png").is_file()


def test_the_score_of_a_panel_in_mase_is_in_units_of_each_key(tmp_path):
    """A whole season of earlier rows: the changes of shop b are twice those of shop a."""
    found = scored("panel")
    days = np.datetime64("2023-01-01", "s") + np.arange(400) * np.timedelta64(1, "D")
    parts = [
        pd.DataFrame({"shop": shop, "day": days, "units": step * np.arange(400.0), "size": 1.0})
        for shop, step in (("a", 1), ("b", 2))
    ]
    in_mase = replace(found, metric=METRICS["mase"], before=pd.concat(parts, ignore_index=True))
    scale = np.where(found.rows["shop"] == "a", 7.0, 14.0)
    assert in_mase.score == pytest.approx(np.mean(np.abs(found.actual - found.forecast) / scale))
    assert holdout_plot.draw(in_mase, tmp_path / "holdout.png").is_file()
