"""Settings of a user's shell and git that are meant for other things: the project works as without them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from clone import PROJECT, Clone, clone_of_project, commit

from lockgate import digests

NOWHERE = "/proc/nowhere"  # a folder that nobody can make, root included
HOMELESS = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"), NOWHERE)
FOR_ANOTHER_PYTHON = {
    "PIP_CONSTRAINT": "/nowhere.txt",
    "PIP_DRY_RUN": "1",
    "PIP_USER": "1",
    "PIP_TARGET": "elsewhere",
    "PIP_PREFIX": "elsewhere",
    "PIP_REQUIRE_VIRTUALENV": "1",
}
COMPARE = "lockgate compare 1 2 --html page.html"
NEEDED = ("click", "setuptools")  # the lock file of the test; an editable installation needs setuptools
DRAWING = [
    ".".join(path.relative_to(PROJECT / "src").with_suffix("").parts)
    for path in sorted((PROJECT / "src").rglob("*.py"))
    if re.search("^(import|from) matplotlib", path.read_text(encoding="utf-8"), re.MULTILINE)
]


def test_a_clone_on_a_machine_that_converts_line_endings_has_the_same_bytes(tmp_path: Path) -> None:
    source = clone_of_project(tmp_path / "source", {})
    commit(source, "the project")
    converts = ["-c", "core.autocrlf=true", "-c", "core.eol=crlf"]
    source.run("git", "clone", "--quiet", *converts, str(source.folder), str(tmp_path / "clone"))
    names = source.run("git", "ls-files", "-z").out.rstrip("\0").split("\0")
    assert {"docs/demo.sh", "params.yaml", "pipelines/train.py", "src/lockgate/__init__.py"} <= set(names)
    of_source, of_clone = (
        {name: digests.of_file(folder / name) for name in names} for folder in (source.folder, tmp_path / "clone")
    )
    assert of_clone == of_source
    assert Clone(tmp_path / "clone", {}).run("git", "status", "--porcelain").out == ""


@pytest.mark.long
def test_make_install_obeys_no_setting_of_pip_for_another_python(tmp_path: Path) -> None:
    clone = with_small_lock(tmp_path / "a clone", FOR_ANOTHER_PYTHON)
    clone.run("make", "install", timeout=600)
    where = clone.run(".venv/bin/python", "-c", "import click, lockgate; print(click.__file__)", PYTHONPATH="").out
    assert Path(where).is_relative_to(clone.folder / ".venv")
    assert (clone.folder / ".venv/bin/lockgate").is_file()
    assert not (clone.folder / "elsewhere").exists()


@pytest.mark.long
def test_a_file_of_pips_settings_that_leads_elsewhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text(f"[install]\ntarget = {tmp_path / 'elsewhere'}\n")
    clone = with_small_lock(tmp_path / "a clone", {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")})
    said = clone.run("make", "install", code=2, timeout=600).err
    assert "error: pip put the packages elsewhere than into .venv" in said
    assert "hint: a file of pip's settings says where; see: .venv/bin/pip config list" in said


def with_small_lock(folder: Path, variables: dict[str, str]) -> Clone:
    """A clone of the project whose lock file has few packages."""
    clone = clone_of_project(folder, variables)
    lock = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
    pinned = [re.search(rf"^{name}==[^\n]+\n(    --hash[^\n]+\n)+", lock, re.MULTILINE) for name in NEEDED]
    (folder / "requirements.lock").write_text("".join(each[0] for each in pinned if each))
    return clone


@pytest.mark.parametrize("module", DRAWING)
def test_matplotlib_says_nothing_of_a_missing_home(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {module}"],
        env=os.environ | HOMELESS,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.long
def test_without_a_home_all_works_and_stays_private_under_any_umask(project: Clone, tmp_path: Path) -> None:
    """A stack is made under each umask; its folder is used under both."""
    for umask, other in (("000", "077"), ("077", "000")):
        clone = Clone(project.copy(tmp_path / umask, "homeless").folder, HOMELESS)
        try:
            said = [_under(clone, umask, "lockgate up")]
            if umask == "000":
                said.append(_under(clone, umask, "dvc repro"))
            assert _open_to_others(clone.folder / ".lockgate") == []
            said.append(_under(clone, other, "lockgate status"))
            if umask == "000":
                clone.set_params(seed=8)
                said += [_under(clone, other, command) for command in ("dvc repro", COMPARE)]
                assert (clone.folder / "page.html").read_text(encoding="utf-8").count("<svg ") == 4
            assert not re.search("matplotlib|Traceback|Permission", "".join(said), re.IGNORECASE)
            assert _open_to_others(clone.folder / ".lockgate") == []
        finally:
            _under(clone, umask, "lockgate down")


def _under(clone: Clone, umask: str, command: str) -> str:
    done = clone.run("sh", "-c", f"umask {umask}; {command}", timeout=400)
    return done.out + done.err


def _open_to_others(folder: Path) -> list[str]:
    """The folder and its entries that others than the owner may use; DVC always opens its own folder to everybody."""
    modes = {path.name: path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir()) if path.name != "dvc"}
    return [f"{name} {mode:o}" for name, mode in modes.items() if mode & 0o077]
