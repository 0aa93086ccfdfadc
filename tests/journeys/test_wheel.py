"""The wheel alone, without a clone: from a table in a file to forecasts by a version in Production."""

import csv
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from clone import FOREIGN, PROJECT, Done

pytestmark = pytest.mark.long
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


def plants(path: Path) -> list[str]:
    """Three classes, which overlap; a unit stands in the text."""
    drawn = np.random.default_rng(13)
    kind = drawn.choice(3, 900)
    length, width = drawn.normal(3 + kind, 0.6), drawn.normal(1 + 0.5 * kind, 0.3)
    names = np.array(["fern", "moss", "reed"])[kind]
    write(
        path,
        ["length", "width", "kind"],
        zip([f"{each:.3f} cm" for each in length], width.round(3), names, strict=True),
    )
    return ["--target", "kind"]


def demand(path: Path) -> list[str]:
    """A panel of shops by day: a trend, a week, a year, and a promotion that is planned."""
    drawn = np.random.default_rng(14)
    day = np.arange(800)
    rows = []
    for shop in range(1, 7):
        promo = (drawn.random(800) < 0.3).astype(int)
        season = 25 * np.sin(2 * np.pi * day / 7) + 20 * np.sin(2 * np.pi * day / 365.25) + 0.05 * day
        units = (100 + 10 * shop + season + 30 * promo + drawn.normal(0, 15, 800)).round(1)
        rows += zip([shop] * 800, np.datetime64("2023-01-02") + day, promo, units, strict=True)
    write(path, ["shop", "day", "promo", "units"], rows)
    return ["--target", "units", "--time", "day", "--horizon", "28"]


def write(path: Path, header: list[str], rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


# The other kinds of tables go the same way without a wheel, in tests/services/test_any_table.py.
ANSWERS = {
    plants: ["class", "probability_fern", "probability_moss", "probability_reed"],
    demand: ["prediction", "lower", "upper"],
}


@pytest.mark.parametrize("table", ANSWERS, ids=lambda table: table.__name__)
def test_a_table_becomes_a_version_in_production(installed: Installed, table: Callable[[Path], list[str]]) -> None:
    name = table.__name__
    wishes = table(installed.folder / f"{name}.csv")
    installed.run("lockgate", "init", f"{name}.csv", *wishes)
    folder = installed.folder / name

    def lockgate(*words: str) -> Done:
        return installed.run("lockgate", *words, folder=folder)

    assert "in the holdout" in lockgate("check", "--html", "check.html").out
    installed.run("python", "-m", "dvc", "repro", folder=folder)
    assert "PASSED" in lockgate("verdict").out
    assert (folder / "build/plots/holdout.png").is_file()
    lockgate("approve", "1", "--reason", "looks right")
    lockgate("promote", "--reason", "first", "--yes")
    lockgate("predict", "--input", "data/prepared/holdout.parquet", "--output", "forecast.csv")
    with (folder / "forecast.csv").open() as file:
        header, *rows = csv.reader(file)
    assert len(rows) > 100
    assert header[-len(ANSWERS[table]) - 1 :] == [*ANSWERS[table], "model_version"]
    assert {row[-1] for row in rows} == {"1"}


def test_the_code_that_ran_is_that_of_the_wheel(installed: Installed) -> None:
    where = installed.run("python", "-c", "import lockgate; print(lockgate.__file__)").out
    assert Path(where.strip()).is_relative_to(installed.folder)
