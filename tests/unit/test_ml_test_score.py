"""docs/ml_test_score.yaml: what proves each of the 28 tests of the ML Test Score exists."""

import ast
import re
from pathlib import Path

import click
import pytest
from from_code.ml_test_score import POINTS, Asked, Proof, meaning, score, sections, total

from lockgate.cli import lockgate

PROJECT = Path(__file__).parents[2]
ASKED = [asked for section in sections().values() for asked in section]
TARGETS = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def exists(proof: Proof) -> bool:
    """Whether a proof exists: a test in its file, a command of lockgate or make, or a file."""
    if proof.kind == "test":
        path, _, name = proof.name.partition("::")
        tree = (
            ast.parse((PROJECT / path).read_text(encoding="utf-8"))
            if (PROJECT / path).is_file()
            else ast.Module([], [])
        )
        return name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}
    if proof.kind == "command":
        program, *words = proof.name.split()
        return is_command(lockgate, words) if program == "lockgate" else program == "make" and words[0] in TARGETS
    return proof.kind == "file" and (PROJECT / proof.name).is_file()


def is_command(command: click.Command, words: list[str]) -> bool:
    """Whether these words are a command, and not only a group of commands."""
    if not words:
        return not isinstance(command, click.Group)
    return isinstance(command, click.Group) and words[0] in command.commands and is_command(
        command.commands[words[0]], words[1:]
    )  # fmt: skip


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.asks)
def test_each_proof_exists(asked: Asked) -> None:
    assert [proof.name for proof in asked.proofs if not exists(proof)] == []


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.asks)
def test_what_is_automated_has_a_test_and_what_is_manual_has_a_proof(asked: Asked) -> None:
    assert asked.done in POINTS
    assert asked.how
    kinds = {proof.kind for proof in asked.proofs}
    assert {"automated": "test" in kinds, "manual": bool(kinds), "no": True}[asked.done]


def test_the_sections_are_those_of_the_paper_with_seven_tests_each() -> None:
    assert {name: len(asked) for name, asked in sections().items()} == {
        "Features and data": 7,
        "Model": 7,
        "Infrastructure": 7,
        "Monitoring": 7,
    }
    assert len({asked.asks for asked in ASKED}) == 28


def test_each_section_has_five_points_and_the_final_score_is_the_least() -> None:
    assert all(score(name) >= 5 for name in sections())
    assert total() == min(score(name) for name in sections())


def test_a_proof_that_is_not_there_is_found() -> None:
    of_this_file = "tests/unit/test_ml_test_score.py"
    assert exists(Proof("test", f"{of_this_file}::test_a_proof_that_is_not_there_is_found"))
    assert not exists(Proof("test", f"{of_this_file}::test_of_another_name"))
    assert not exists(Proof("test", "tests/unit/no_such_file.py::test_a"))
    assert exists(Proof("command", "lockgate ledger verify"))
    for command in ("lockgate ledger", "lockgate fly", "make fly", "sh -c true"):
        assert not exists(Proof("command", command))
    assert not exists(Proof("file", "docs/nothing.md"))


def test_the_scale_is_that_of_the_paper() -> None:
    assert meaning(0).startswith("more of a research project")
    assert meaning(5).startswith("strong levels")
    assert meaning(5.5).startswith("exceptional levels")
