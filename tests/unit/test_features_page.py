"""docs/reference/features.md lists each feature that a description can declare, and each column of the calendar."""

from dataclasses import fields
from pathlib import Path

from lockgate.features.panel_recipe.declaration import Declaration
from lockgate.features.panel_recipe.period_calendar import COLUMNS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "features.md").read_text(encoding="utf-8")


def test_each_feature_has_its_line():
    declared = [field.name for field in fields(Declaration) if field.name != "statistics"]
    assert [line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `")] == declared


def test_each_column_of_the_calendar_is_named():
    (line,) = [line for line in PAGE.splitlines() if line.startswith("| `calendar`")]
    assert line.split("calendar: ")[1].split(" | ")[0].split(", ") == list(COLUMNS)
