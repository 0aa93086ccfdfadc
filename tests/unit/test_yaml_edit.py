"""Values change in the text of a YAML file; its comments, order and layout stay."""

import difflib
from pathlib import Path

import pytest
import yaml

from lockgate.system import strict_yaml, yaml_edit

PARAMS = (Path(__file__).parents[2] / "params.yaml").read_text()


def test_only_the_lines_of_the_values_change() -> None:
    changed = yaml_edit.changed(PARAMS, {"members.lightgbm.leaves": 31, "training.cutoff_shifts": [0, 7]})
    lines = [line for line in difflib.ndiff(PARAMS.splitlines(), changed.splitlines()) if line[0] in "-+"]
    comment = "          # training cutoffs lie a horizon apart; 21 adds them again 21 days earlier"
    assert lines == [
        "-     leaves: 63", "+     leaves: 31",
        f"-   cutoff_shifts: [0, 21]{comment}", f"+   cutoff_shifts: [0, 7]{comment}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("a: 1\n", {"b.c": 2.5}, "a: 1\nb: {c: 2.5}\n"),
        ("a:\n  b: 1  # one\n", {"a.c": "x"}, "a:\n  c: x\n  b: 1  # one\n"),
        ("a: {b: 1}\n", {"a.c": True}, "a: {b: 1, c: true}\n"),
        ("a: {}\n", {"a.c": 1}, "a: {c: 1}\n"),
        ("a:\nb: 1\n", {"a.c": 1}, "a: {c: 1}\nb: 1\n"),
        ("a: 'x'  # why\n", {"a": "no"}, 'a: "no"  # why\n'),
        ("a: |\n  two\n  lines\n# end\n", {"a": 1}, "a: 1\n# end\n"),
        ("a: 1", {"a": 0.00001}, "a: 0.00001"),
        ("a: 1\n", {"a": [{"lags": [1, 2]}, "x: y"]}, 'a: [{lags: [1, 2]}, "x: y"]\n'),
    ],
)
def test_a_value_is_replaced_or_added_where_it_belongs(text, values, expected) -> None:
    changed = yaml_edit.changed(text, values)
    assert changed == expected
    for name, value in values.items():
        found = yaml.safe_load(changed)
        for part in name.split("."):
            found = found[part]
        assert found == value


def test_a_value_behind_an_alias_is_refused() -> None:
    with pytest.raises(strict_yaml.Malformed, match="cannot be changed in place"):
        yaml_edit.changed("a: &x {b: 1}\nc: *x\n", {"c.b": 2})
