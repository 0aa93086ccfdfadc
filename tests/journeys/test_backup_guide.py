"""A stack with its artifacts in the database: what its server refuses, and a backup that brings all of it back."""

import http.client
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from backup_guide import commands
from clone import Clone

from lockgate.stack import embedded_postgres

pytestmark = pytest.mark.long


INPUT = "data/prepared/holdout.parquet"
CHANGE_A_CHUNK = """
    UPDATE lockgate_artifacts.chunks SET bytes = set_byte(bytes, 0, get_byte(bytes, 0) # 1)
    WHERE number = 0 AND digest IN (SELECT digest FROM lockgate_artifacts.files WHERE path LIKE '%/lightgbm.txt')
"""


def has_stack(clone: Clone) -> Iterator[Clone]:
    try:
        yield clone
    finally:
        clone.lockgate("down")


@pytest.fixture(scope="module")
def kept(first_run: Clone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A stack of its own, artifacts in the database, in which version 1 is in Production."""
    copied = first_run.copy(tmp_path_factory.mktemp("kept") / "a clone", "kept")
    clone = Clone(copied.folder, {})
    for _ in has_stack(clone):
        clone.lockgate("up", "--artifacts", "database")
        clone.run("python", "pipelines/register.py", "data/prepared", "build", "build/version.json")
        outcome = ("build/version.json", "build/verdict.json", "build/report.md")
        clone.run("python", "pipelines/validate.py", "data/prepared", "build", *outcome)
        clone.lockgate("promote", "1", "--reason", "the first", "--yes")
        yield clone


@pytest.fixture(scope="module")
def server(kept: Clone) -> str:
    return str(kept.read(".lockgate/stack.json")["tracking_uri"])


@pytest.fixture(scope="module")
def registered(server: str) -> str:
    """The folder of the version in Production, as the artifact API names it."""
    asked = {"name": "kept-ensemble", "version": "1"}
    found = requests.get(f"{server}/api/2.0/mlflow/model-versions/get-download-uri", params=asked, timeout=30)
    return str(found.json()["artifact_uri"]).removeprefix("mlflow-artifacts:/")


def files(server: str, path: str) -> str:
    return f"{server}/api/2.0/mlflow-artifacts/artifacts/{path}"


def listed(server: str, path: str) -> list[dict[str, Any]]:
    address = f"{server}/api/2.0/mlflow-artifacts/artifacts"
    return list(requests.get(address, params={"path": path}, timeout=30).json().get("files", []))


def test_the_files_are_in_the_database_and_the_folder_is_empty(kept: Clone, server: str, registered: str) -> None:
    assert {"MLmodel", "artifacts"} <= {entry["path"] for entry in listed(server, registered)}
    assert list((kept.folder / ".lockgate" / "artifacts").iterdir()) == []


def test_a_registered_file_is_neither_written_over_nor_deleted(server: str, registered: str) -> None:
    """By nobody who may speak to the server: HTTP 409 with the reason."""
    address = files(server, f"{registered}/MLmodel")
    before = requests.get(address, timeout=30).content
    other = requests.put(address, data=b"flavors: {}", timeout=30)
    assert (other.status_code, other.json()["message"].partition("MLmodel ")[2]) == (
        409,
        "was logged before with other content; files of a logged model are written once: log the changed model anew",
    )
    gone = requests.delete(address, json={}, timeout=30)
    assert gone.status_code == 409
    assert "belongs to version 1 of kept-ensemble; delete that version first" in gone.json()["message"]
    assert requests.put(address, data=before, timeout=30).status_code == 200
    assert requests.get(address, timeout=30).content == before


def test_other_artifacts_are_deleted_over_http(server: str) -> None:
    for name in ("deep/a b.txt", "ü.txt"):
        assert requests.put(files(server, f"0/run/artifacts/{name}"), data=b"x", timeout=30).status_code == 200
    assert [entry["path"] for entry in listed(server, "0/run/artifacts")] == ["deep", "ü.txt"]
    assert requests.delete(files(server, "0/run"), json={}, timeout=30).status_code == 200
    assert listed(server, "0/run/artifacts") == []
    assert requests.get(files(server, "0/run/artifacts/ü.txt"), timeout=30).status_code == 404


def test_an_upload_that_breaks_off_leaves_nothing(server: str) -> None:
    connection = http.client.HTTPConnection(server.removeprefix("http://"), timeout=30)
    connection.putrequest("PUT", files("", "0/broken/artifacts/half.bin"))
    connection.putheader("Content-Length", "2000000")
    connection.endheaders()
    connection.send(bytes(1_000_000))
    connection.close()
    assert requests.get(files(server, "0/broken/artifacts/half.bin"), timeout=30).status_code == 404
    assert listed(server, "0/broken/artifacts") == []


def test_the_server_offers_no_transfer_past_itself(server: str) -> None:
    told = requests.get(f"{server}/api/3.0/mlflow/server-info", timeout=30).json()
    assert (told["multipart_uploads_enabled"], told["multipart_downloads_enabled"]) == (False, False)
    asked = {"path": "a.bin", "num_parts": 2}
    address = f"{server}/api/2.0/mlflow-artifacts/mpu/create/0/run/artifacts/a.bin"
    assert requests.post(address, json=asked, timeout=30).status_code == 501


def test_a_backup_restored_into_a_new_stack_predicts_the_same_numbers(
    kept: Clone, first_run: Clone, tmp_path: Path
) -> None:
    kept.lockgate("predict", "--input", INPUT, "--output", "before.csv")
    kept.run("bash", "-c", commands("Backup"))
    history = kept.lockgate("history", "--json").out

    other = Clone(first_run.copy(tmp_path / "elsewhere", "kept").folder, {})
    shutil.rmtree(other.folder / "build")
    shutil.copytree(kept.folder.parent / "lockgate-backup", other.folder.parent / "lockgate-backup")
    for _ in has_stack(other):
        other.lockgate("up", "--artifacts", "database")
        other.run("bash", "-c", commands("Restore"), timeout=400)
        assert list((other.folder / ".lockgate" / "artifacts").iterdir()) == []
        status = other.lockgate("status", "--json").json()
        assert (status["serving"]["version"], status["broken"]) == (1, [])
        other.lockgate("ledger", "verify")
        assert other.lockgate("history", "--json").out == history
        other.lockgate("predict", "--input", INPUT, "--output", "after.csv")
        assert (other.folder / "after.csv").read_bytes() == (kept.folder / "before.csv").read_bytes()


def test_a_chunk_that_somebody_changed_is_noticed_before_it_is_used(kept: Clone) -> None:
    """The last test: there is no way back but a backup."""
    assert kept.lockgate("predict", "--input", INPUT, "--output", "ok.csv").code == 0
    psql = [embedded_postgres.binary("psql"), "--set", "ON_ERROR_STOP=1", "--command", CHANGE_A_CHUNK]
    changed = kept.run("bash", "-c", 'eval "$(lockgate env)"; exec "$@"', "bash", *psql)
    assert changed.out == "UPDATE 1\n"
    refused = kept.lockgate("predict", "--input", INPUT, "--output", "bad.csv", code=7)
    assert "sha256 differs" in refused.err
    assert not (kept.folder / "bad.csv").exists()
