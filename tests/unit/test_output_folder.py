"""An output folder is the earlier or the new one, whatever fails or is killed."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate.system import output_folder

KILLED_BETWEEN = """if True:
    import os, signal, sys
    from pathlib import Path
    from lockgate.system import output_folder

    rename = Path.rename

    def killed_at_the_second(path, place):
        if path.name == "made":
            os.kill(os.getpid(), signal.SIGKILL)
        rename(path, place)

    with output_folder.beside(Path(sys.argv[1])) as scratch:
        (scratch.folder / "made").mkdir()
        Path.rename = killed_at_the_second
        scratch.put(scratch.folder / "made")
"""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A folder from an earlier run, alone in its parent."""
    written(tmp_path / "parent" / "out", "earlier")
    return tmp_path / "parent" / "out"


def written(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "text").write_text(text)
    return folder


def is_alone_with(target: Path, text: str) -> bool:
    return [*target.parent.iterdir()] == [target] and (target / "text").read_text() == text


def test_the_new_folder_takes_the_place_of_the_earlier_one(target: Path) -> None:
    with output_folder.beside(target) as scratch:
        made = written(scratch.folder / "made", "new")
        assert (target / "text").read_text() == "earlier"
        scratch.put(made)
    assert is_alone_with(target, "new")


def test_a_target_that_is_a_link_stays_one(target: Path) -> None:
    link = target.parent.with_name("link")
    link.symlink_to(target)
    with output_folder.beside(link) as scratch:
        scratch.put(written(scratch.folder / "made", "new"))
    assert link.is_symlink()
    assert is_alone_with(target, "new")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_after_an_error_the_earlier_folder_is_there(target: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), output_folder.beside(target) as scratch:
        written(scratch.folder / "made", "half")
        raise error
    assert is_alone_with(target, "earlier")


def test_if_the_new_folder_cannot_be_moved_the_earlier_one_comes_back(target: Path) -> None:
    with output_folder.beside(target) as scratch:
        with pytest.raises(FileNotFoundError):
            scratch.put(scratch.folder / "absent")
        assert (target / "text").read_text() == "earlier"
    assert is_alone_with(target, "earlier")


def test_the_next_run_restores_what_a_killed_one_had_moved_away(target: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED_BETWEEN, str(target)], timeout=60, check=False)
    assert done.returncode == -9
    assert not target.exists()
    with output_folder.beside(target):
        assert (target / "text").read_text() == "earlier"
    assert is_alone_with(target, "earlier")


def test_folders_of_dead_processes_are_deleted_and_those_of_others_stay(target: Path) -> None:
    start = f".{target.name}.{socket.gethostname()}."
    dead, alive = (target.with_name(f"{start}{process}") for process in (999_999_999, os.getppid()))
    other_machine = target.with_name(f".{target.name}.elsewhere.999999999")
    for each in (dead, alive, other_machine):
        each.mkdir()
    with output_folder.beside(target):
        pass
    assert sorted(target.parent.iterdir()) == sorted([target, alive, other_machine])
