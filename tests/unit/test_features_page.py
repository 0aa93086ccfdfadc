"""docs/reference/features.md lists each feature that a description can declare, and each column of the calendar."""

from dataclasses import fields
from pathlib import Path

from lockgate.features.panel_recipe.declaration import Declaration
from lockgate.features.panel_recipe.period_calendar import COLUMNS
from lockgate.features.plain_table.declaration import KNOWN

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "features.md").read_text(encoding="utf-8")


def test_each_feature_has_its_line():
    declared = [field.name for field in fields(Declaration) if field.name != "statistics"]
    assert [line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `")] == declared


def test_each_column_of_the_calendar_is_named():
    (line,) = [line for line in PAGE.splitlines() if line.startswith("| `calendar`")]
    assert line.split("calendar: ")[1].split(" | ")[0].split(", ") == list(COLUMNS)


def test_each_feature_of_a_plain_table_is_named():
    section = PAGE.split("# Features of a plain table")[1]
    assert [line.split("`")[1] for line in section.splitlines() if line.startswith("- `")] == list(KNOWN)
