"""Files that may hold requests, reports or addresses are private, whatever the umask of the process."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from logged import request

from lockgate.prediction_log.spool import Spool
from lockgate.serving import messages
from lockgate.stack import up_down
from lockgate.system import exit_codes
from lockgate.system.exit_codes import Session


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def opened(folder: Path) -> list[str]:
    """The entries below the folder that others than the owner may use."""
    return [path.name for path in folder.rglob("*") if stat.S_IMODE(path.stat().st_mode) & 0o077]


@pytest.mark.parametrize("there", [False, True], ids=["a new folder", "a folder that is open to all"])
def test_what_is_written_is_private_under_an_open_umask(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "spool").mkdir(mode=0o755)
    Spool(tmp_path / "spool").append([request()])
    assert [name for name in opened(tmp_path) if not (there and name == "spool")] == []
    assert len(list((tmp_path / "spool").iterdir())) >= 1


def test_a_report_of_a_bug_is_for_its_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fail() -> None:
        raise KeyError("a value of a request")

    exit_codes.run(fail, Session())
    messages.report_bug(KeyError("a value of a request"))
    assert len(list(tmp_path.iterdir())) == 2
    assert opened(tmp_path) == []


def test_the_folder_of_a_stack_is_closed(tmp_path: Path) -> None:
    up_down._make_private(tmp_path / ".lockgate")
    assert opened(tmp_path) == []
