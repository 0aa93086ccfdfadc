"""A version of a table with hostile names and values: its report, texts in MLflow and pages show them as text."""

import os
import subprocess
import sys
from pathlib import Path

import hostile_tables
import mlflow
import pytest
import yaml
from page_visitor import Visitor

from lockgate.system.service_urls import Addresses

pytestmark = pytest.mark.long

STAGES = {
    "prepare": ("data/raw", "data/prepared"),
    "train": ("data/prepared", "build"),
    "register": ("data/prepared", "build", "build/version.json"),
    "validate": ("data/prepared", "build", "build/version.json", "build/verdict.json", "build/report.md"),
}


def test_a_version_of_a_hostile_table_is_registered_judged_and_shown_as_text(stack: Addresses, tmp_path: Path) -> None:
    services = {"MLFLOW_TRACKING_URI": stack.tracking_uri, "LOCKGATE_DATABASE_URL": stack.database_url}

    def run(folder: Path, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=folder, env=os.environ | services,
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    hostile_tables.write(tmp_path / "hostile.csv")
    printed = run(tmp_path, "lockgate", "init", "hostile.csv", "--target", "target")
    folder = tmp_path / "hostile"
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["profile"], params["problem"]["members"] = "fast", ["lightgbm", "linear"]
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    for stage, words in STAGES.items():
        printed += run(folder, f"lockgate.pipeline.{stage}", *words)
    printed += run(folder, "lockgate", "show", "1")

    mlflow.set_tracking_uri(stack.tracking_uri)
    mlflow.set_registry_uri(stack.tracking_uri)
    client = mlflow.MlflowClient()
    version = client.get_model_version("hostile-ensemble", "1")
    model = client.get_registered_model("hostile-ensemble")
    page = Path(client.download_artifacts(version.run_id, "report/report.html", str(tmp_path)))
    visitor = Visitor(stack.tracking_uri)
    pages = [page.read_text(), *(visitor.get(path, model=model.name).text for path in ("/versions/1", "/history", ""))]
    report = (folder / "build" / "report.md").read_text()
    texts = [printed, report, version.description, model.description, *version.tags.values(), *pages]
    assert [text for text in texts if not hostile_tables.is_visible(text)] == []
    assert [hostile_tables.markup_in(text) for text in (report, version.description, model.description, *pages)] == [
        []
    ] * (3 + len(pages))
