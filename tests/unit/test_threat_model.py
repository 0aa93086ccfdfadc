"""The threat model names tests, and each of them exists."""

import ast
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "explanation" / "threat-model.md").read_text(encoding="utf-8")
SECTIONS = PAGE.split("\n## ")[3:]  # one for each actor
NAMED = sorted(set(re.findall(r"`([a-z]+/test_\w+\.py): (test_\w+)`", PAGE)))


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_every_test_that_is_named_exists(file: str, name: str) -> None:
    tree = ast.parse((PROJECT / "tests" / file).read_text(encoding="utf-8"))
    assert name in {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}


def test_every_attack_has_what_stops_it_and_a_test() -> None:
    rows = re.findall(r"^\| (?!attack|---)(.+) \| (.+) \| (.+) \|$", "".join(SECTIONS), re.MULTILINE)
    assert len(rows) >= 40
    assert [attack for attack, stopped_by, tests in rows if "test_" not in tests] == []


def test_every_actor_has_a_list_of_what_is_not_stopped() -> None:
    assert len(SECTIONS) == 8
    assert [section.splitlines()[0] for section in SECTIONS if section.count("**Not stopped.**") != 1] == []
