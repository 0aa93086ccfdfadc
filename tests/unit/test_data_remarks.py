"""lockgate check says before any training what is doubtful about data."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from lockgate.describe import remarks
from lockgate.describe.drift import stability_index
from lockgate.describe.remarks import Checked, Remark
from lockgate.problem.description import Problem

TYPES = ("integer", "date", "flag", "number")
DRAWN = np.random.default_rng(5)


def plain(task: str = "regression", **changes: Any) -> Problem:
    """A plain table with the features a and kind, and the target y."""
    target = {"type": "number"} if task == "regression" else {"type": "category", "categories": ["no", "yes"]}
    description = {
        "name": "plain", "task": task, "sources": [{"file": "a.csv"}], "target": "y", "known_covariates": ["a", "kind"],
        "columns": {"a": {"type": "number"}, "kind": {"type": "category"}, "y": target},
        "metric": "mae" if task == "regression" else "brier",
    }  # fmt: skip
    return Problem.model_validate(description | ({"positive": "yes"} if task == "binary" else {}) | changes)


def panel(horizon: int = 14) -> Problem:
    """A panel of shops by day."""
    return Problem.model_validate(
        {
            "name": "panel", "sources": [{"file": "a.csv"}], "target": "y", "keys": ["shop"], "horizon": horizon,
            "time": {"column": "day", "period": "day"}, "known_covariates": ["promo"], "metric": "mae",
            "columns": {name: {"type": kind} for name, kind in zip(("shop", "day", "promo", "y"), TYPES, strict=True)},
        }
    )  # fmt: skip


def table(rows: int, **changes: Any) -> pd.DataFrame:
    columns = {"a": DRAWN.normal(size=rows), "kind": DRAWN.choice(["x", "z"], rows), "y": DRAWN.normal(10, 1, rows)}
    return pd.DataFrame(columns | changes).astype({"kind": "str"})


def days(first: str, count: int, shops: tuple[int, ...] = (1, 2, 3)) -> pd.DataFrame:
    times = np.arange(np.datetime64(first), np.datetime64(first) + count).astype("datetime64[s]")
    rows = count * len(shops)
    promo = DRAWN.integers(0, 2, rows).astype(np.int8)
    return pd.DataFrame(
        {
            "shop": np.repeat(shops, count),
            "day": np.tile(times, len(shops)),
            "promo": promo,
            "y": DRAWN.normal(size=rows),
        }
    )


def found(problem: Problem, rows: pd.DataFrame, holdout: pd.DataFrame) -> list[Remark]:
    checked = Checked(problem, rows, holdout)
    return remarks.remarks_on(checked, remarks.measures_of(checked))


def doubts(problem: Problem, rows: pd.DataFrame, holdout: pd.DataFrame) -> list[tuple[str, str]]:
    return [(each.column, each.what) for each in found(problem, rows, holdout) if each.level == "doubt"]


def test_a_table_without_faults_gives_no_remark() -> None:
    assert found(plain(), table(1000), table(250)) == []


def test_few_rows_are_a_doubt() -> None:
    said = [what for column, what in doubts(plain(), table(80), table(20)) if not column]
    assert said == [
        "80 rows to train on; fewer than 200 teach little",
        "20 rows in the holdout; fewer than 50 decide little",
    ]


def test_few_positives_are_a_doubt() -> None:
    rows = table(1000, y=np.where(np.arange(1000) < 900, "no", "yes"))
    holdout = table(250, y=np.where(np.arange(250) < 240, "no", "yes"))
    said = dict(doubts(plain("binary"), rows, holdout))
    assert said["y"] == "10 positive rows (holdout); fewer than 30 decide little"


def test_many_missing_values_are_a_doubt_and_a_few_a_note() -> None:
    rows = table(1000)
    rows.loc[::2, "a"] = np.nan
    rows.loc[::50, "kind"] = None
    holdout = table(250)
    holdout.loc[::2, "a"] = np.nan
    said = {each.column: (each.level, each.what) for each in found(plain(), rows, holdout) if each.column}
    assert said == {"a": ("doubt", "missing in 50.0% of the rows"), "kind": ("note", "missing in 1.6% of the rows")}


def test_a_column_that_is_missing_more_often_in_one_part_is_a_doubt() -> None:
    holdout = table(250)
    holdout.loc[::2, "a"] = np.nan
    assert ("a", "missing in 0.0% of the rows to train on, but in 50.0% of the holdout") in doubts(
        plain(), table(1000), holdout
    )


def test_rows_of_the_holdout_among_the_rows_to_train_on_are_a_doubt() -> None:
    rows = table(1000)
    said = dict(doubts(plain(), rows, pd.concat([table(200), rows.head(50)], ignore_index=True)))
    assert said[""] == "50 rows of the holdout are also among the rows to train on: the score flatters"


@pytest.mark.parametrize(
    ("disguise", "why"),
    [
        (lambda y: y, "is equal to the target"),
        (lambda y: np.exp(y / 5), "explains 100.00% of the target's variance by itself"),
    ],
)
def test_the_target_in_disguise_is_a_leak_suspect(disguise: Any, why: str) -> None:
    rows, holdout = table(1000), table(250)
    said = dict(doubts(plain(), rows.assign(a=disguise(rows["y"])), holdout.assign(a=disguise(holdout["y"]))))
    assert said["a"] == f"leak suspect: {why}"


def test_a_code_of_the_class_is_a_leak_suspect() -> None:
    rows = table(1000, y=DRAWN.choice(["no", "yes"], 1000))
    rows["kind"] = rows["y"].map({"no": "z", "yes": "x"}).astype("str")
    said = dict(doubts(plain("binary"), rows.head(800), rows.tail(200)))
    assert said["kind"] == "leak suspect: gives the right class in 100.00% of the rows by itself"


def test_a_constant_column_is_a_doubt() -> None:
    rows, holdout = table(1000, kind="x"), table(250, kind="x")
    assert doubts(plain(), rows, holdout) == [("kind", "the same value in every row to train on")]


def test_categories_only_in_the_holdout_are_a_doubt() -> None:
    holdout = table(250)
    holdout.loc[:9, "kind"] = "new"
    assert ("kind", "1 categories only in the holdout (10 rows): new") in doubts(plain(), table(1000), holdout)


def test_drift_between_the_parts_is_a_doubt() -> None:
    said = dict(doubts(plain(), table(1000), table(250).assign(a=lambda rows: rows["a"] + 2)))
    assert said["a"].startswith("another distribution in the holdout")


def test_a_value_far_from_all_others_is_a_doubt() -> None:
    rows = table(2000)
    rows.loc[7, "y"] = 1e6
    assert any("times as far from the median" in what for _, what in doubts(plain(), rows, table(250)))


def test_gaps_new_keys_and_ended_keys_of_a_panel_are_noted() -> None:
    rows = pd.concat(
        [days("2022-01-01", 800, (1, 2)).drop(index=[10, 11, 12]), days("2022-01-01", 90, (3,))], ignore_index=True
    )
    holdout = days("2024-03-11", 14, (1, 2, 4))
    said = [each.what for each in found(panel(), rows, holdout) if each.level == "note"]
    assert "1 of 4 keys have gaps, 3 periods in all" in said
    assert "1 keys begin in the holdout: they are forecast without any history" in said
    assert "1 keys end before the holdout" in said


def test_a_history_under_two_seasons_is_a_doubt() -> None:
    said = dict(doubts(panel(), days("2024-01-01", 300), days("2024-10-27", 14)))
    assert said["day"] == "300 days to train on: fewer than two seasons of 364"


def test_rows_that_are_not_learned_are_not_looked_at() -> None:
    where = {"column": "promo", "equals": 1, "otherwise": 0}
    problem = Problem.model_validate(panel().model_dump(mode="json") | {"where": where})
    rows, holdout = days("2022-01-01", 800), days("2024-03-11", 14)
    for part in (rows, holdout):
        part.loc[part["promo"] == 0, "y"] = 0.0
    assert [each.what[:20] for each in found(problem, rows, holdout) if each.column == "y"] == ["0.0% of the rows are"]


def test_the_stability_index_is_that_of_the_formula() -> None:
    before, after = pd.Series(["a", "b"] * 5000), pd.Series((["a"] * 4 + ["b"]) * 2000)
    expected = 0.3 * np.log(0.8 / 0.5) - 0.3 * np.log(0.2 / 0.5)
    assert stability_index(before, after) == pytest.approx(expected, abs=2e-3)
    assert stability_index(before, before) == pytest.approx(0.0)


def test_the_stability_index_counts_missing_values_and_new_texts() -> None:
    numbers = pd.Series(DRAWN.normal(size=1000))
    assert stability_index(numbers, numbers.where(numbers > 0)) > 0.25
    assert stability_index(pd.Series(["a"] * 99), pd.Series(["b"] * 99)) > 1


def test_several_constant_columns_are_one_doubt() -> None:
    rows, holdout = table(1000, kind="x", a=1.5), table(250, kind="x", a=1.5)
    [(column, what)] = [each for each in doubts(plain(), rows, holdout) if "same value" in each[1]]
    assert column == ""
    assert what.startswith("2 columns have the same value in every row to train on: ")
