"""The documents say only what is so: messages are in the code, links lead somewhere, every room has its line."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from lockgate.gate.checks import CHECKS
from lockgate.problem.metrics import METRICS

PROJECT = Path(__file__).parents[2]
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md"), PROJECT / "data" / "raw" / "README.md"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_every_message_that_is_explained_is_in_the_code() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted((PROJECT / "src").rglob("*.py")))
    page = (PROJECT / "docs" / "reference" / "messages.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?`) \| ", page, re.MULTILINE)
    pieces = [piece for row in rows for message in re.findall(r"`(.*?)`", row) for piece in message.split("…")]
    assert len(pieces) >= 10
    assert [piece for piece in pieces if piece.strip() not in code] == []


def test_every_check_of_the_gate_is_explained_in_its_order() -> None:
    page = (PROJECT / "docs" / "reference" / "gate.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| ([a-z ]+) \| ", page, re.MULTILINE)[1:] == list(CHECKS)


def test_the_transcript_of_the_readme_has_the_number_of_checks() -> None:
    numbers = re.findall(r"all of (\d+) checks", (PROJECT / "README.md").read_text(encoding="utf-8"))
    assert set(numbers) == {str(len(CHECKS))}


def test_every_metric_is_explained_with_its_direction() -> None:
    page = (PROJECT / "docs" / "reference" / "gate.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| `(\w+)` \| (lower|higher) \| ", page, re.MULTILINE)
    assert explained == [(name, metric.better) for name, metric in METRICS.items()]


def test_every_key_of_the_policy_is_explained() -> None:
    page = (PROJECT / "docs" / "reference" / "gate.md").read_text(encoding="utf-8")
    keys = yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8"))["gate"]
    explained = set(re.findall(r"`gate\.(\w+)`", page))
    assert explained <= set(keys)
    assert {"limit", "approval_required", "two_persons", "clean_tree_required"} <= explained


def test_every_room_has_its_line_in_the_order_of_the_import_contract() -> None:
    contract = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    page = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rooms = re.findall(r"^\| `([a-z_]+)` \| ", page, re.MULTILINE)
    assert ["digests | errors", *rooms, "__main__"] == contract["layers"][::-1]
    assert {path.name for path in (PROJECT / "src/lockgate").iterdir() if (path / "__init__.py").exists()} == set(rooms)


def test_the_glossary_explains_each_word_once() -> None:
    page = (PROJECT / "docs/reference/glossary.md").read_text(encoding="utf-8")
    words = [word for row in re.findall(r"^\| ([^|]+) \| ", page, re.MULTILINE) for word in row.split(", ")]
    assert len(words) > 50
    assert [word for word in words if words.count(word) > 1] == []


def test_every_place_where_to_add_something_exists_and_has_the_names() -> None:
    """Each line names files (of src/lockgate or of the project) and the names that they define."""
    page = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Where to add\n")[2]
    lines = re.findall(r"^- .*(?:\n  .*)*", page.partition("\n## ")[0], re.MULTILINE)
    assert len(lines) >= 10
    for line in lines:
        words = re.findall(r"`([\w./-]+)`", line) + re.findall(r"(?<!`)\b(docs/[\w./-]+\.md)", line)
        paths = [path for word in words if "/" in word or word.endswith((".yaml", ".md")) for path in [place(word)]]
        assert [path for path in paths if not path.exists()] == [], line
        text = "\n".join(path.read_text(encoding="utf-8") for path in paths if path.is_file())
        assert [word for word in words if re.fullmatch(r"_?[A-Za-z_]+", word) and word not in text] == [], line


def place(word: str) -> Path:
    """The path that a word of CONTRIBUTING names, in src/lockgate or in the project."""
    own = PROJECT / "src/lockgate" / word
    return own if own.exists() else PROJECT / word
