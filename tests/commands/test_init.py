"""`lockgate init` as a process: what it writes, prints and refuses; it imports no server's library."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lockgate.problem.params import load_params

LOCKGATE = [sys.executable, "-m", "lockgate"]
FILES = {".dvc", ".dvcignore", ".gitignore", "README.md", "data", "dvc.yaml", "params.yaml"}
ENVIRONMENT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "COLUMNS": "120"}


def run(folder: Path, *words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(words, cwd=folder, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [
        f"{number},{number * 7 % 100},{'abc'[number % 3]},{number * 7 % 100 * 3 + number % 5}" for number in range(300)
    ]
    path = tmp_path / "Flat prices.csv"
    path.write_text("\n".join(["id,size,area,price", *rows]) + "\n")
    return path


def test_the_folder_is_a_project_of_dvc_with_a_valid_description(table: Path, tmp_path: Path) -> None:
    done = run(tmp_path, *LOCKGATE, "init", table.name, "--target", "price")
    folder = tmp_path / "flat_prices"
    assert {path.name for path in folder.iterdir()} == FILES
    assert (folder / "data/raw" / table.name).read_bytes() == table.read_bytes()
    assert load_params(folder / "params.yaml").model_name == "flat_prices-ensemble"
    assert done.stdout.startswith(f"{folder} describes Flat prices.csv: regression, mae, limit")
    assert done.stderr.splitlines()[-1] == f"next: cd {folder}, read params.yaml, then: lockgate check"


def test_dvc_knows_the_stages_and_every_param_that_they_name(table: Path, tmp_path: Path) -> None:
    run(tmp_path, *LOCKGATE, "init", table.name, "--target", "price", "--folder", "flats")
    listed = run(tmp_path / "flats", sys.executable, "-m", "dvc", "stage", "list", "--name-only")
    assert listed.stdout.split() == ["prepare", "train", "register", "validate"]
    stages = yaml.safe_load((tmp_path / "flats/dvc.yaml").read_text())["stages"]
    named = {key for stage in stages.values() for key in stage["params"]}
    assert named <= set(yaml.safe_load((tmp_path / "flats/params.yaml").read_text()))


def test_nothing_is_overwritten(table: Path, tmp_path: Path) -> None:
    run(tmp_path, *LOCKGATE, "init", table.name, "--target", "price")
    before = {path: path.read_bytes() for path in (tmp_path / "flat_prices").rglob("*") if path.is_file()}
    refused = run(tmp_path, *LOCKGATE, "init", table.name, "--target", "size", code=5)
    assert "params.yaml, dvc.yaml, README.md, .gitignore, data/raw/Flat prices.csv is already there" in refused.stderr
    assert {path: path.read_bytes() for path in before} == before


def test_in_a_repository_the_folder_is_a_project_below_it(table: Path, tmp_path: Path) -> None:
    run(tmp_path, "git", "init", "--quiet")
    run(tmp_path, *LOCKGATE, "init", table.name, "--target", "price", "--folder", "flats")
    assert "no_scm" not in (tmp_path / "flats/.dvc/config").read_text()
    run(tmp_path / "flats", sys.executable, "-m", "dvc", "stage", "list")


def test_in_a_project_of_dvc_no_second_one_is_made(table: Path, tmp_path: Path) -> None:
    run(tmp_path, sys.executable, "-m", "dvc", "init", "--quiet", "--no-scm")
    run(tmp_path, *LOCKGATE, "init", table.name, "--target", "price", "--folder", "flats")
    assert {path.name for path in (tmp_path / "flats").iterdir()} == FILES - {".dvc", ".dvcignore"}
    run(tmp_path / "flats", sys.executable, "-m", "dvc", "stage", "list")


def test_the_json_has_what_was_guessed_and_the_doubts(table: Path, tmp_path: Path) -> None:
    said = json.loads(
        run(tmp_path, *LOCKGATE, "init", table.name, "--target", "price", "--name", "areas", "--json").stdout
    )
    assert (said["kind"], said["task"], said["folder"]) == ("table", "regression", str(tmp_path / "areas"))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--target", "prize"], 2, "hint: did you mean price?"),
        (["--target", "price", "--name", "My Flats"], 2, "use lower case letters"),
        (["--target", "price", "--time", "area"], 2, "neither a date nor a whole number"),
    ],
)
def test_a_wrong_word_is_refused_and_nothing_is_written(table: Path, words: list[str], code: int, said: str) -> None:
    refused = run(table.parent, *LOCKGATE, "init", table.name, *words, code=code)
    assert said in refused.stderr
    assert [path.name for path in table.parent.iterdir()] == [table.name]


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    for name in ("empty.csv", "none.csv"):
        run(tmp_path, *LOCKGATE, "init", name, "--target", "y", code=3)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_last_line_without_a_line_end_is_said_and_the_copy_can_be_read(table: Path, tmp_path: Path, end: str) -> None:
    table.write_bytes(table.read_bytes().rstrip(b"\n").replace(b"\n", end.encode()))
    done = run(tmp_path, *LOCKGATE, "init", table.name, "--target", "price")
    assert "doubt: Flat prices.csv: the last line has no line end" in done.stderr
    assert (tmp_path / "flat_prices/data/raw" / table.name).read_bytes() == table.read_bytes() + end.encode()
    assert "0 doubts" in run(tmp_path / "flat_prices", *LOCKGATE, "check").stdout


def test_a_date_and_an_hour_are_given_as_two_times(tmp_path: Path) -> None:
    rows = [f"2024-01-{1 + hour // 24:02d},{hour % 24},{hour % 24 + hour % 5}" for hour in range(24 * 30)]
    (tmp_path / "bikes.csv").write_text("\n".join(["day,hr,rented", *rows]) + "\n")
    words = ("--target", "rented", "--time", "day", "--time", "hr", "--horizon", "24")
    run(tmp_path, *LOCKGATE, "init", "bikes.csv", *words)
    assert load_params(tmp_path / "bikes/params.yaml").problem.time_name == "time"
    run(tmp_path / "bikes", *LOCKGATE, "check")
