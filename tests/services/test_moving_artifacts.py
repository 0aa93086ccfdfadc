"""What docs/how-to/backup.md says of moving artifacts from one place to the other is what one can do."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from lockgate.stack import embedded_postgres
from lockgate.stack import up_down as lockgate_stack
from lockgate.stack.artifact_location import Place
from lockgate.system import service_urls

pytestmark = pytest.mark.long


PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "backup.md"
FILES = {"1/run/artifacts/card.json": b"{}", "1/models/m-1/artifacts/deep er/weights.bin": bytes(range(256)) * 9000}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A stack of this test alone, which keeps some files in its database."""
    try:
        where = lockgate_stack.up(tmp_path, artifacts=Place.DATABASE, timeout=600, tell=lambda _: None)
        for path, content in FILES.items():
            requests.put(artifact(where, path), data=content, timeout=30).raise_for_status()
        yield tmp_path
    finally:
        lockgate_stack.down(tmp_path, tell=lambda _: None)


def artifact(where: service_urls.Addresses, path: str) -> str:
    return f"{where.tracking_uri}/api/2.0/mlflow-artifacts/artifacts/{path}"


def commands(heading: str) -> str:
    """The indented lines below a heading of the page, up to the next one."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return "\n".join(line.removeprefix("    ") for line in section.splitlines() if line.startswith("    "))


def test_from_the_database_to_the_folder_by_the_commands_of_the_page(folder: Path) -> None:
    programs = f"{Path(sys.executable).parent}:{Path(embedded_postgres.binary('psql')).parent}"
    elsewhere = (
        service_urls.TRACKING_VARIABLE,
        service_urls.DATABASE_VARIABLE,
    )  # MLflow's client sets the former in this process
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere}
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    done = subprocess.run(
        ["sh", "-e", "-c", commands("Moving from the database to the folder")],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.split() if line.isdigit()] == ["2", "2"]
    where = service_urls.read_state(folder / ".lockgate" / "stack.json")
    assert {path: requests.get(artifact(where, path), timeout=30).content for path in FILES} == FILES
    kept = folder / ".lockgate" / "artifacts"
    assert {str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file()} == set(FILES)
