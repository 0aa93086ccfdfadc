"""`lockgate history` on a terminal: a table that is longer than the screen goes through the user's pager."""

import os
import pty
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from raw_model import RawModel

from lockgate.database.connection import Database
from lockgate.system.service_urls import Addresses

PARAMS = Path(__file__).parents[2] / "params.yaml"
HISTORY = [sys.executable, "-m", "lockgate", "history"]
LINES = 7  # two of the head, and five events
MARKED = "sed s/^/paged:/"
FOREIGN = ("MLFLOW_", "LOCKGATE_", "LESS", "LINES", "COLUMNS", "NO_COLOR")


@pytest.fixture(scope="module")
def folder(stack: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose params name a model with five events."""
    model = RawModel(stack, Database(stack.database_url), "paged-ensemble")
    model.judge(model.serving(), "refused")
    folder = tmp_path_factory.mktemp("a project")
    (folder / "params.yaml").write_text(PARAMS.read_text().replace("  name: rossmann ", "  name: paged ", 1))
    return folder


@pytest.fixture
def environment(stack: Addresses) -> dict[str, str]:
    """The variables of a user with a pager."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    services = {"MLFLOW_TRACKING_URI": stack.tracking_uri, "LOCKGATE_DATABASE_URL": stack.database_url}
    return kept | services | {"PAGER": MARKED, "TERM": "xterm"}


@pytest.fixture
def on_screen(folder: Path, environment: dict[str, str]) -> Callable[..., list[str]]:
    """The lines that `history` shows on a terminal of this height; it must succeed."""

    def shown(height: int, **variables: str) -> list[str]:
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (height, 120))
        process = subprocess.Popen(
            HISTORY, cwd=folder, env=environment | variables, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        text = b""
        with suppress(OSError):  # Linux's end of file of a terminal
            while piece := os.read(ours, 4096):
                text += piece
        os.close(ours)
        assert process.wait(timeout=60) == 0
        return text.decode().splitlines()

    return shown


def test_a_long_history_goes_through_the_users_pager(on_screen: Callable[..., list[str]]) -> None:
    lines = on_screen(LINES)
    assert len(lines) == LINES
    assert all(line.startswith("paged:") for line in lines)


def test_a_history_that_fits_the_screen_is_printed(on_screen: Callable[..., list[str]]) -> None:
    lines = on_screen(LINES + 1)
    assert (len(lines), "paged:" in "".join(lines)) == (LINES, False)


def test_a_pager_that_reads_one_line_and_ends_is_no_error(on_screen: Callable[..., list[str]]) -> None:
    assert len(on_screen(LINES, PAGER="head -n 1")) == 1


def test_without_such_a_pager_the_history_is_printed(on_screen: Callable[..., list[str]]) -> None:
    assert len(on_screen(LINES, PAGER="there-is-no-such-pager")) == LINES


def test_without_a_terminal_there_is_no_pager(folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        HISTORY,
        cwd=folder,
        env=environment | {"LINES": "2", "COLUMNS": "120"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr, len(lines), "paged:" in done.stdout) == (0, "", LINES, False)
