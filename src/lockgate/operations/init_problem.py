"""Writes a problem folder for a table: the guessed description, the pipeline, the data, and DVC's own files."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from lockgate.data import text_file
from lockgate.data.ingest import RAW
from lockgate.describe import document, folder, guess, layout, reading
from lockgate.describe.document import Document
from lockgate.describe.guess import Wish
from lockgate.describe.side_table import side_table_of
from lockgate.errors import BadData, StateConflict, StorageFailed, WrongUsage
from lockgate.problem.params import PARAMS_FILE, load_params

NAME = r"[a-z][a-z0-9_]{0,40}"  # of problem/description.py
DVC_SECONDS = 60
LONGEST_LINE = 1 << 16  # bytes
DVC_SETTINGS = ("analytics = false", "autostage = false", "check_update = false")


@dataclass(frozen=True)
class ProblemFolder:
    """A folder that was written, its description, and the kind of its forecaster."""

    path: Path
    document: Document
    kind: str
    task: str


def init_problem(
    file: Path, wish: Wish, path: Path | None = None, name: str = "", sides: tuple[Path, ...] = ()
) -> ProblemFolder:
    """Describe a table and write its problem folder, by default ./NAME; nothing is overwritten.

    `sides` are side tables.

    Raises BadData for a file that is no table, WrongUsage for a column that does not exist, StateConflict if a file of
    the folder exists, StorageFailed if it cannot be written.
    """
    for each in (file, *sides):
        if not each.is_file():
            raise BadData("there is no such file", where=str(each), hint="check the path")
    name = _checked_name(name or guess.name_of(file))
    destination = (path or Path(name)).absolute()
    found = layout.named(layout.layout_of(file), wish.names)
    seen = guess.look(reading.read(file, found), found, wish)
    described = document.document_of(file, name, found, seen, tuple(side_table_of(each, seen) for each in sides))
    if unended := [each.name for each in (file, *sides) if _lacks_line_end(each)]:
        doubt = f"{', '.join(unended)}: the last line has no line end; it is taken as complete, and its copy has one"
        described = replace(described, doubts=(*described.doubts, doubt))
    files = folder.files_of(described)
    _refuse_invalid(files)
    _write(destination, files, (file, *sides))
    _init_dvc(destination)
    return ProblemFolder(destination, described, seen.kind, seen.task)


def _checked_name(name: str) -> str:
    if not re.fullmatch(NAME, name):
        raise WrongUsage(f"--name {name}: not a name", hint="use lower case letters, digits and _, a letter first")
    return name


def _refuse_invalid(files: dict[str, str]) -> None:
    """Raise BadConfiguration for a description that could not be read again."""
    with tempfile.TemporaryDirectory() as folder_of_trial:
        trial = Path(folder_of_trial) / PARAMS_FILE
        trial.write_text(files[str(PARAMS_FILE)], encoding="utf-8")
        load_params(trial)


def _write(destination: Path, files: dict[str, str], data: tuple[Path, ...]) -> None:
    raw = destination / RAW
    if there := [name for name in (*files, *(str(RAW / each.name) for each in data)) if (destination / name).exists()]:
        raise StateConflict(
            f"{', '.join(there)} is already there", where=str(destination), hint="name another folder: --folder DIR"
        )
    try:
        raw.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (destination / name).write_text(text, encoding="utf-8")
        for each in data:
            shutil.copyfile(each, raw / each.name)
            if _lacks_line_end(each):
                with (raw / each.name).open("ab") as copy:
                    copy.write(_line_end(each))
    except OSError as error:
        raise StorageFailed(
            f"cannot write: {error.strerror}", where=str(destination), hint="name another folder"
        ) from error


def _lacks_line_end(path: Path) -> bool:
    """Whether a plain file of text ends within a line; the reader would refuse its last number as perhaps truncated."""
    binary = (text_file.GZIP, text_file.PARQUET, *text_file.UTF16_MARKS)
    if text_file.magic(path).startswith(binary):
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) not in b"\r\n"


def _line_end(path: Path) -> bytes:
    """The line end of the first line of a file."""
    start = text_file.magic(path, LONGEST_LINE)
    return next((end for end in (b"\r\n", b"\n", b"\r") if end in start), b"\n")


def _init_dvc(destination: Path) -> None:
    """Make the folder a project of DVC, unless it is in one; with git where a repository is above."""
    above = (destination, *destination.parents)
    if any((each / ".dvc").is_dir() for each in above):
        return
    repository = next((each for each in above if (each / ".git").exists()), None)
    scm = ["--no-scm"] if repository is None else ["--subdir"] if repository != destination else []
    done = subprocess.run(  # noqa: S603 - a fixed program with fixed words
        [sys.executable, "-m", "dvc", "init", "--quiet", *scm], cwd=destination, capture_output=True, text=True,
        timeout=DVC_SECONDS, check=False, env=os.environ | {"DVC_NO_ANALYTICS": "1"},
    )  # fmt: skip
    if done.returncode:
        raise StorageFailed(
            f"dvc init failed: {done.stderr.strip()}", where=str(destination), hint="run it by hand in this folder"
        )
    _configure_dvc(destination, with_git=repository is not None)


def _configure_dvc(destination: Path, with_git: bool) -> None:
    """DVC's settings; its cache of states is private, because DVC's own place for it can be written to by everyone."""
    settings = DVC_SETTINGS if with_git else (*DVC_SETTINGS, "no_scm = true")
    (destination / ".dvc/config").write_text("".join(["[core]\n", *(f"    {each}\n" for each in settings)]), "utf-8")
    states = destination / ".dvc" / "tmp" / "states"
    local = f'[core]\n    site_cache_dir = "{states}"\n'
    (destination / ".dvc/config.local").write_text(local, "utf-8")
