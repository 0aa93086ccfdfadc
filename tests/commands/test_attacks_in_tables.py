"""A table with hostile names and values: what `lockgate init` and `check` write and print of it stays text."""

import os
import subprocess
import sys
from pathlib import Path

import hostile_tables
import pytest
import yaml

pytestmark = pytest.mark.long


def run(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "lockgate", *words], cwd=folder, env=os.environ | {"COLUMNS": "200"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_table_of_hostile_names_and_values_is_described_checked_and_drawn(tmp_path: Path) -> None:
    hostile_tables.write(tmp_path / "t.csv")
    printed = run(tmp_path, "init", "t.csv", "--target", "target")
    folder = tmp_path / "t"
    written = {path: path.read_text(encoding="utf-8") for path in (folder / "params.yaml", folder / "README.md")}
    described = yaml.safe_load(written[folder / "params.yaml"])
    assert set(described["problem"]["columns"]) == set(hostile_tables.COLUMNS)
    assert list(described) == ["seed", "threads", "profile", "problem", "members", "training", "gate"]
    assert described["gate"]["limit"] != 99

    printed += run(folder, "check", "--html", "check.html", "--plot", "check.png")
    page = (folder / "check.html").read_text(encoding="utf-8")
    assert [text for text in (printed, page, *written.values()) if not hostile_tables.is_visible(text)] == []
    assert hostile_tables.markup_in(page) == []
