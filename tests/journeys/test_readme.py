"""README says only what is so: its transcript is run, its messages are looked for in the code."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from clone import PROJECT, Clone, clone_of_project, commit, lend_environment, make_small

README = (PROJECT / "README.md").read_text(encoding="utf-8")
ANY_LINES = "..."
SECONDS = 180


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Clone]:
    """A clone with a stack of its own, as README's reader has it; the environment is that of this Python."""
    clone = clone_of_project(tmp_path / "a clone", {})
    make_small(clone)
    commit(clone, "the project, small")
    lend_environment(clone)
    try:
        yield clone
    finally:
        clone.lockgate("down")


@pytest.mark.long
def test_the_transcript_is_what_the_commands_print(own_stack: Clone) -> None:
    """Only numbers, digests, times and the widths of tables may differ, since the clone here is a smaller one."""
    for command, expected in transcript(README):
        with own_stack.running("bash", "-c", command) as process:
            printed, _ = process.communicate(timeout=SECONDS)
        assert matches(masked(expected), masked(printed.splitlines())), f"$ {command}\n{printed}"


def test_masking_keeps_words_and_hides_figures() -> None:
    assert masked(["bundle 090974d6e9b9, RMSPE 0.08241 at  2026-11-21 13:50:03"]) == [
        "bundle #, RMSPE # at #-#-# #:#:#"
    ]
    assert masked(["-0.00090 (95 %: -0.00212 to +0.00031)"]) == ["# (# %: # to #)"]


def test_lines_left_out_match_any_number_of_lines() -> None:
    assert matches(["a", ANY_LINES, "b"], ["a", "x", "b", "y", "b"])
    assert matches([ANY_LINES], [])
    assert not matches(["a", ANY_LINES, "b"], ["a", "x"])
    assert not matches(["a"], ["a", "b"])


def transcript(page: str) -> list[tuple[str, list[str]]]:
    """Each command of the first console block with the lines that README shows below it."""
    block = re.search(r"```console\n(.*?)```", page, re.DOTALL)
    assert block
    parts = re.split(r"^\$ (.*)\n", block[1], flags=re.MULTILINE)[1:]
    return [(command, out.splitlines()) for command, out in zip(parts[::2], parts[1::2], strict=True)]


def masked(lines: Sequence[str]) -> list[str]:
    """Digests, then numbers, become `#`; runs of blanks and of a table's rule become one."""
    return [_masked(line).strip() for line in lines]


def _masked(line: str) -> str:
    for pattern, mask in (
        (r"\b[0-9a-f]{12,}\b", "#"),
        (r"(?:(?<![^ (])[+-])?\d[\d,]*(\.\d+)?(e[+-]\d+)?", "#"),
        (r"\s+", " "),
        ("─+", "─"),
    ):
        line = re.sub(pattern, mask, line)
    return line


def matches(expected: Sequence[str], printed: Sequence[str]) -> bool:
    """Whether the lines are those expected, where `...` stands for any number of lines."""
    if not expected:
        return not printed
    if expected[0] == ANY_LINES:
        return any(matches(expected[1:], printed[start:]) for start in range(len(printed) + 1))
    return bool(printed) and expected[0] == printed[0] and matches(expected[1:], printed[1:])
