"""README, the quickstart and the rollback drill say only what is so: their commands are run, and compared."""

import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest
from clone import PROJECT, Clone, clone_of_project, commit, lend_environment, make_small

README, QUICKSTART, DRILL = (
    (PROJECT / name).read_text(encoding="utf-8")
    for name in ("README.md", "docs/quickstart.md", "docs/how-to/rollback-drill.md")
)
ANY_LINES = "..."
SECONDS = 1200
MARK = "@@@ the next command"
COLUMNS = "100"
PORT = "5010"  # of lockgate serve on the page


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A clone with a stack of its own, as its reader has it; the environment is that of this Python."""
    clone = clone_of_project(tmp_path_factory.mktemp("readers") / "a clone", {})
    make_small(clone)
    clone.set_params(monitor__min_rows=5)  # a day of the small chain has few rows
    commit(clone, "the project, small")
    lend_environment(clone)
    try:
        yield clone
    finally:
        clone.lockgate("down")


@pytest.fixture(scope="module")
def printed(own_stack: Clone) -> list[list[str]]:
    """What each command prints: those of the quickstart, then those of the drill, in one shell."""
    commands = [command for command, _ in transcript(QUICKSTART) + transcript(DRILL)]
    script = "\n".join(f"echo; echo '{MARK}'\n{command}" for command in commands).replace(PORT, free_port())
    with own_stack.running("bash", "-c", script, COLUMNS=COLUMNS) as process:
        found, _ = process.communicate(timeout=SECONDS)
    return [part.strip("\n").splitlines() for part in found.split(MARK)[1:]]


def free_port() -> str:
    """A port that no server has now."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


def differences(expected: Sequence[tuple[str, list[str]]], printed: Sequence[list[str]]) -> list[str]:
    """The commands that print something else, with what they print.

    Only numbers, digests, times and the widths of tables may differ, since the clone here is a smaller one.
    """
    pairs = zip(expected, printed, strict=True)
    return ["\n".join([f"$ {command}", *found]) for (command, lines), found in pairs if not agree(lines, found)]


def agree(expected: Sequence[str], printed: Sequence[str]) -> bool:
    """Whether a command printed the lines of a page."""
    return matches(masked(expected), masked(printed))


@pytest.mark.long
def test_the_quickstart_is_what_the_commands_print(printed: list[list[str]]) -> None:
    expected = transcript(QUICKSTART)
    assert differences(expected, printed[: len(expected)]) == []


@pytest.mark.long
def test_the_drill_is_what_the_commands_print(printed: list[list[str]]) -> None:
    expected = transcript(DRILL)
    assert differences(expected, printed[-len(expected) :]) == []


@pytest.mark.long
def test_readme_is_an_excerpt_of_the_quickstart(printed: list[list[str]]) -> None:
    at = {command: place for place, (command, _) in enumerate(transcript(QUICKSTART))}
    expected = transcript(README)
    places = [at[command] for command, _ in expected]
    assert places == sorted(places)
    assert differences(expected, [printed[place] for place in places]) == []


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
    """Each command of the console blocks of a page, with the lines that the page shows below it."""
    blocks = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    assert blocks
    parts = [part for block in blocks for part in re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]]
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
