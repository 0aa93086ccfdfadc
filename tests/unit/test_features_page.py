"""docs/reference/features.md lists each feature that a description can declare, and each column of the calendar."""

from dataclasses import fields
from pathlib import Path

from lockgate.features.panel_recipe.declaration import Declaration
from lockgate.features.panel_recipe.period_calendar import COLUMNS
from lockgate.features.panel_state import declaration as of_states
from lockgate.features.plain_table import declaration as of_tables

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "features.md").read_text(encoding="utf-8")


def test_each_feature_has_its_line():
    declared = [field.name for field in fields(Declaration) if field.name != "statistics"]
    assert [line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `")] == declared


def test_each_column_of_the_calendar_is_named():
    (line,) = [line for line in PAGE.splitlines() if line.startswith("| `calendar`")]
    assert line.split("calendar: ")[1].split(" | ")[0].split(", ") == list(COLUMNS)


def named_in(section):
    text = PAGE.split(f"## Features of a {section}\n")[1].split("\n## ")[0]
    return [line.split("`")[1] for line in text.splitlines() if line.startswith("- `")]


def test_each_feature_of_a_plain_table_is_named():
    assert named_in("plain table") == list(of_tables.KNOWN)


def test_each_feature_of_a_state_is_named():
    assert sorted(named_in("state")) == sorted(of_states.KNOWN)
