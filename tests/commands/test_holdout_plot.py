"""Each kind of problem has plots of its holdout, whatever its rows are."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib import style
from scored_holdouts import NUMBER, PANEL, PROBLEMS, ROWS, problem, scored

from lockgate.models import baselines
from lockgate.problem.metrics import METRICS
from lockgate.reports import explained_cases, holdout_plot, holdout_review, plot, plot_index
from lockgate.reports.explained_cases import ExplainedCase
from lockgate.reports.holdout_review import Judged, Production, SliceChange, SliceScore

LARGEST_FILE = 100_000  # bytes


@pytest.mark.parametrize("kind", PROBLEMS)
def test_every_kind_of_problem_has_a_picture(kind):
    png = holdout_plot.picture(scored(kind))
    assert png.startswith(b"\x89PNG")
    assert len(png) < LARGEST_FILE


@pytest.mark.parametrize("kind", ["panel", "state"])
def test_the_keys_that_are_shown_have_the_middle_and_the_largest_error(kind):
    titles = {axes.get_title() for axes in holdout_plot.figure_of(scored(kind)).axes}
    assert {"shop a (middle error), 100% within bounds", "shop b (largest error), 0% within bounds"} < titles


def test_the_share_within_the_bounds_is_said():
    legend = holdout_plot.figure_of(scored("table")).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [
        "95 % bounds",
        "within: 50.0% of the rows",
        "outside: 50.0%",
    ]


@pytest.mark.long
@pytest.mark.parametrize("kind", PROBLEMS)
@pytest.mark.parametrize(
    "change",
    [
        lambda each: each.where(np.arange(ROWS) == 0),
        lambda each: each.where(each.actual == each.actual[0]),
        lambda each: replace(each, bounds=np.full((ROWS, 2), np.nan)),
        lambda each: replace(each, past=None),
        lambda each: replace(each, forecast=each.forecast * 1e300),
        lambda each: replace(each, actual=0 * each.actual, forecast=0 * each.forecast),
        lambda each: replace(each, rows=each.rows.assign(shop="only one")),
        lambda each: replace(each, rows=each.rows.assign(shop="$x_{$")),
        lambda each: replace(each, problem=each.problem.model_copy(update={"title": "in $ and _"})),
        lambda each: replace(each, rows=each.rows.assign(shop="日本")),
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
        "a key that the font lacks",
    ],
)
def test_any_rows_have_plots(kind, change):
    changed = change(scored(kind))
    with style.context(holdout_plot.LOOKS):
        assert all(plot.alt and plot.png for plot in holdout_review.plots(judged(changed)))


@pytest.mark.parametrize("period", ["hour", "week", "month"])
def test_a_panel_without_keys_has_a_picture(period):
    described = problem(NUMBER, **PANEL | {"keys": [], "time": {"column": "day", "period": period}})
    assert holdout_plot.picture(replace(scored("panel"), problem=described))


def test_the_score_of_a_panel_in_mase_is_in_units_of_each_key():
    """A whole season of earlier rows: the changes of shop b are twice those of shop a."""
    found = scored("panel")
    days = np.datetime64("2023-01-01", "s") + np.arange(400) * np.timedelta64(1, "D")
    parts = [
        pd.DataFrame({"shop": shop, "day": days, "units": step * np.arange(400.0), "size": 1.0})
        for shop, step in (("a", 1), ("b", 2))
    ]
    unit = baselines.naive_errors(found.problem, pd.concat(parts, ignore_index=True), found.rows)
    in_mase = replace(found, metric=METRICS["mase"], unit=unit)
    scale = np.where(found.rows["shop"] == "a", 7.0, 14.0)
    assert in_mase.score == pytest.approx(np.mean(np.abs(found.actual - found.forecast) / scale))
    assert holdout_plot.picture(in_mase)


def judged(found, **changes):
    """The scored rows as judged: two slices, bounds of two confidences, and a version in Production."""
    given = {
        "scored": found,
        "slices": (SliceScore("shop a", 60, 2.0, 3.0), SliceScore("shop $b_", 60, 8.0)),
        "coverage": ((0.5, 0.4), (0.95, 0.9)) if found.problem.task == "regression" else (),
        "production": Production(
            3,
            np.where(np.arange(len(found.forecast)) == 0, np.nan, 0.9 * found.forecast.T).T,
            (SliceChange("shop a", -1.0, -1.5, -0.5), SliceChange("shop $b_", 0.5, 0.1, 0.9)),
        ),
    }
    return Judged(**(given | changes))


COMMON = ["holdout", "errors_by_slice", "against_production"]
NUMBERS, CLASSES = ["residuals", "coverage"], ["calibration", "confusion", "roc_and_precision_recall"]
EXPECTED = {
    "panel": ["holdout", "forecasts_by_key", "errors_by_period", *COMMON[1:], *NUMBERS],
    "state": ["holdout", "forecasts_by_key", *COMMON[1:], *NUMBERS],
    "table": [*COMMON, *NUMBERS],
    "two classes": [*COMMON, *CLASSES],
    "three classes": [*COMMON, *CLASSES],
}


@pytest.mark.parametrize("kind", PROBLEMS)
def test_the_kind_of_problem_and_its_task_choose_the_plots(kind):
    found = holdout_review.plots(judged(scored(kind)))
    assert [plot.name for plot in found] == EXPECTED[kind]
    assert max(len(plot.png) for plot in found) < LARGEST_FILE


def test_the_text_of_a_plot_says_what_it_shows():
    found = {plot.name: plot.alt for plot in holdout_review.plots(judged(scored("table")))}
    assert found["errors_by_slice"] == (
        f"MAE on 2 slices: worst 8 for shop $b_ (60 rows), best 2 for shop a; all rows {scored('table').score:.4g}."
    )
    assert found["coverage"] == "Share of targets within bounds by confidence: 40.0% at 50%, 90.0% at 95%."
    assert found["against_production"].endswith("Of 2 slices, 1 are surely better and 1 surely worse.")


def test_without_production_slices_and_bounds_their_plots_are_left_out():
    bare = judged(scored("table"), slices=(), coverage=(), production=None)
    assert [plot.name for plot in holdout_review.plots(bare)] == ["holdout", "residuals"]


@pytest.mark.parametrize("index", ["", "[]", "{}", '{"plots": 5}', '{"plots": [{"file": "a.png"}]}', "no json", "\xff"])
def test_a_damaged_index_of_plots_has_none(index):
    assert plot_index.entries(index) == []


def test_only_pictures_of_the_folder_are_taken_from_an_index():
    index = json.dumps(
        {"plots": [{"file": name, "title": "t", "alt": "a"} for name in ("a.png", "../b.png", "c.html")]}
    )
    assert [each.file for each in plot_index.entries(index)] == ["a.png"]
    assert plot.of_files({plot_index.HOLDOUT_PLOTS: index.encode(), "a.png": b"<html>"}) == []


def test_a_failed_explanation_leaves_a_picture_that_says_so():
    found = {
        plot.name: plot for plot in holdout_review.plots(judged(scored("table"), unexplained="ValueError: no $tree_"))
    }
    assert found["explained"].alt == (
        "The forecasts could not be explained (ValueError: no $tree_). The verdict does not depend on explanations."
    )
    assert len(found) == len(EXPECTED["table"]) + 1


@pytest.mark.parametrize("kind", ["table", "panel"])
def test_explained_rows_have_a_plot_with_the_largest_effect_of_each_in_words(kind):
    effects = [{"of": f"a $b_{place}", "value": "$x_", "contribution": 9.0 - place} for place in range(9)]
    record = {"forecast": 55.0, "base": 10.0, "scale": "number", "contributions": effects, "parts": []}
    cases = [ExplainedCase(name, 1, {}, 54, record) for name in ("largest error", "median error", "smallest error")]
    found = {plot.name: plot for plot in holdout_review.plots(judged(scored(kind), explained=tuple(cases)))}
    assert found["explained"].png.startswith(b"\x89PNG")
    assert found["explained"].alt.startswith(
        "largest error (row 1): a $b_0 = $x_ raises the forecast by 9; median error (row 1): a $b_0"
    )
    assert sum(row["contribution"] for row in explained_cases.table(cases[:1])) == 55.0
