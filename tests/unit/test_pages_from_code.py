"""The parts of the pages that come from the code are those that `make reference` writes, and say what the code does."""

import re
from pathlib import Path

import pytest
from from_code import blocks, params, problem
from from_code.meanings import meaning

from lockgate.gate.checks import CHECKS
from lockgate.problem.description import Problem
from lockgate.problem.params import CatboostParams, GateParams, MonitorParams, Params

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {path: path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))}
FILLED = [path for path, page in PAGES.items() if blocks.names(page)]


@pytest.mark.parametrize("path", FILLED, ids=lambda path: path.name)
def test_the_page_says_what_the_code_says(path: Path) -> None:
    """After a change of the code: make reference."""
    assert blocks.filled(PAGES[path]) == PAGES[path]


def test_every_part_is_on_one_page() -> None:
    assert sorted(name for path in FILLED for name in blocks.names(PAGES[path])) == sorted(blocks.MAKERS)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_every_row_of_a_table_has_as_many_cells_as_its_head(path: Path) -> None:
    for found in re.findall(r"(?:^\|.*\|\n)+", PAGES[path], re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in found.splitlines()}) == 1, found


def test_a_key_of_params_is_told_with_its_type_limits_default_value_and_stage() -> None:
    rows = params.rows(list(params.keys(Params))).splitlines()
    assert (
        "| `gate.min_scored_rows` | integer | at least 1 | 30 | 1000 | validate"
        " | Check `enough rows`: minimum number of scored rows in the holdout. |"
    ) in rows
    assert (
        "| `monitor.window` | string | `^[1-9][0-9]{0,3}[hd]$` | 1d | 1d | none"
        " | Length of a window: hours (`h`) or days (`d`). `--window` replaces it. |"
    ) in rows
    assert len(rows) - 2 == len({row.split("`")[1] for row in rows[2:]}) > 60


def test_a_key_of_the_description_is_told_with_its_type_limits_and_default() -> None:
    rows = problem.rows(Problem).splitlines()
    assert "| `horizon` | integer | at least 0, at most 10000 | none |" in "\n".join(rows)
    assert "| `slices` | list of texts or `slices` | any | `[]` |" in "\n".join(rows)
    assert len(rows) - 2 == len(Problem.model_fields)


def test_a_key_is_explained_by_its_class_or_by_the_class_that_it_is_like() -> None:
    assert meaning(GateParams, "approval_required").startswith("True: `lockgate promote` needs an approval")
    assert meaning(CatboostParams, "l2") == "L2 penalty on the values of the leaves."
    with pytest.raises(LookupError, match=r"MonitorParams\.model_config has no docstring"):
        meaning(MonitorParams, "model_config")


def test_the_checks_that_keys_name_are_those_of_the_gate() -> None:
    named = set(re.findall(r"[Cc]heck `([^`]+)`", params.sections()))
    assert "within limit" in named
    assert named <= set(CHECKS)
