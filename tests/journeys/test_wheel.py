"""The wheel alone, without a clone: from a table in a file to forecasts by a version in Production."""

import csv
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from clone import FOREIGN, PROJECT, Done

pytestmark = pytest.mark.long
DRAWN = np.random.default_rng(11)
SECONDS = 600


@dataclass(frozen=True)
class Installed:
    """A folder outside of any clone, with an environment that holds the wheel."""

    folder: Path
    bin: Path

    def run(self, *words: str, folder: Path | None = None, code: int = 0) -> Done:
        """Run a command with this environment first; it must end with this exit code."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        ours = {"PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}", "LOCKGATE_ACTOR": "anna", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            words, cwd=folder or self.folder, env=kept | ours, capture_output=True, text=True, timeout=SECONDS,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The wheel in an environment of its own, with a running stack. The other packages are those of the lock file."""
    folder = tmp_path_factory.mktemp("no clone")
    wheel = built_wheel(folder)
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    install = ["install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", str(wheel)]
    subprocess.run([folder / "env/bin/python", "-m", "pip", *install], check=True, timeout=SECONDS)
    site = next((folder / "env").glob("lib/python*/site-packages"))
    (site / "locked.pth").write_text(sysconfig.get_path("purelib") + "\n")
    found = Installed(folder, folder / "env/bin")
    found.run("lockgate", "up")
    yield found
    found.run("lockgate", "down")


def built_wheel(folder: Path) -> Path:
    """The wheel of this code, built without a network from a copy of its sources."""
    source = folder / "source"
    source.mkdir()
    shutil.copy2(PROJECT / "pyproject.toml", source)
    shutil.copytree(PROJECT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    words = [
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--wheel-dir",
        str(folder),
        str(source),
    ]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, timeout=SECONDS)
    shutil.rmtree(source)
    return next(folder.glob("lockgate-*.whl"))


def houses(path: Path) -> list[str]:
    size, age = DRAWN.uniform(40, 200, 800), DRAWN.integers(0, 90, 800)
    area = DRAWN.choice(["north", "south", "west"], 800)
    price = 2000 * size - 800 * age + 40_000 * (area == "west") + DRAWN.normal(0, 12_000, 800)
    rows = [[f"{s:.1f} m2", a, where, round(p)] for s, a, where, p in zip(size, age, area, price, strict=True)]
    write(path, ["size", "age", "area", "price"], rows)
    return ["--target", "price"]


def write(path: Path, header: list[str], rows: object) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])  # type: ignore[misc]


@pytest.mark.parametrize("table", [houses])
def test_a_table_becomes_a_version_in_production(installed: Installed, table: object) -> None:
    name = table.__name__  # type: ignore[attr-defined]
    wishes = table(installed.folder / f"{name}.csv")  # type: ignore[operator]
    installed.run("lockgate", "init", f"{name}.csv", *wishes)
    folder = installed.folder / name

    def lockgate(*words: str) -> Done:
        return installed.run("lockgate", *words, folder=folder)

    assert "in the holdout" in lockgate("check", "--html", "check.html").out
    installed.run("python", "-m", "dvc", "repro", folder=folder)
    assert "PASSED" in lockgate("verdict").out
    lockgate("approve", "1", "--reason", "looks right")
    lockgate("promote", "--reason", "first", "--yes")
    lockgate("predict", "--input", "data/prepared/holdout.parquet", "--output", "forecast.csv")
    with (folder / "forecast.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 100
    assert {row["model_version"] for row in rows} == {"1"}


def test_the_code_that_ran_is_that_of_the_wheel(installed: Installed) -> None:
    where = installed.run("python", "-c", "import lockgate; print(lockgate.__file__)").out
    assert Path(where.strip()).is_relative_to(installed.folder)
