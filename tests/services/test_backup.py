"""`lockgate backup` and `restore`: the same state again, or a refusal that changes nothing."""

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import served_versions
from free_port import free_port

from lockgate.database import guard, ledger, snapshot
from lockgate.database.connection import Database
from lockgate.database.versions import stages
from lockgate.doctor import checks
from lockgate.doctor.context import Site
from lockgate.operations import backup, backup_manifest, restore, rollback, status
from lockgate.operations.backup_manifest import DUMP, Manifest
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import Params
from lockgate.stack import embedded_postgres, mlflow_server
from lockgate.system.service_urls import FOLDER_SCHEME, Addresses

Run = Callable[..., "subprocess.CompletedProcess[str]"]
MODEL = "kept_safe-ensemble"
NOWHERE = "http://127.0.0.1:9"


def command(url: str, *words: str, folder: Path, limit: int | None = None) -> "subprocess.CompletedProcess[str]":
    """A command of Lockgate on a database; `limit` is the size of the largest file that it may write."""
    named = {"LOCKGATE_DATABASE_URL": url, "MLFLOW_TRACKING_URI": NOWHERE}

    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    call = [sys.executable, "-m", "lockgate", *words]
    return subprocess.run(
        call, cwd=folder, env=os.environ | named, capture_output=True, text=True, timeout=120, check=False,
        preexec_fn=limited,
    )  # fmt: skip


@pytest.fixture(scope="module")
def workspace(stack: Addresses) -> Workspace:
    """A model of this file on the session's server; version 1 is in Production."""
    found = Workspace(MODEL, stack, Database(stack.database_url), "anna", 10.0)
    served_versions.put_in_production(found, 1)
    return found


@pytest.fixture(scope="module")
def kept(workspace: Workspace, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of the session's stack."""
    folder = tmp_path_factory.mktemp("backups") / "first"
    source = backup.Source(workspace.addresses.database_url, 30.0, home / "artifacts")
    backup.take(source, folder, lambda name, done, total: None)
    return folder


@pytest.fixture
def empty_url(home: Path, psql: Callable[..., str]) -> Iterator[str]:
    """An empty database."""
    psql("CREATE DATABASE restored")
    yield embedded_postgres.url(home, embedded_postgres.OWNER, "restored")
    psql("DROP DATABASE restored WITH (FORCE)")


def test_a_restored_backup_is_the_same_state(workspace: Workspace, kept: Path, empty_url: str, tmp_path: Path) -> None:
    place = tmp_path / "artifacts"
    done = command(empty_url, "restore", str(kept), "--artifacts", str(place), "--yes", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    restored = replace(workspace, database=Database(empty_url))
    assert ledger.read(restored.database, MODEL) == ledger.read(workspace.database, MODEL)
    assert ledger.missing_tail(restored.database, MODEL) == []
    assert stages(restored.database, MODEL) == stages(workspace.database, MODEL)
    assert guard.status(restored.database).faults == ()
    assert status.status(restored).broken == ()
    manifest = backup_manifest.read(kept)
    files = {f"artifacts/{path.relative_to(place)}" for path in place.rglob("*") if path.is_file()}
    assert files == set(manifest.files) - {DUMP}
    assert [path.name for path in tmp_path.iterdir()] == ["artifacts"]


def test_a_target_with_versions_is_refused_and_stays_as_it_is(workspace: Workspace, kept: Path, tmp_path: Path) -> None:
    before = ledger.read(workspace.database, MODEL)
    words = ("restore", str(kept), "--artifacts", str(tmp_path / "artifacts"), "--yes")
    refused = command(workspace.addresses.database_url, *words, folder=tmp_path)
    assert refused.returncode == 5
    assert "the target is not empty: public.model_versions, public.runs" in refused.stderr
    assert ledger.read(workspace.database, MODEL) == before


def test_what_is_there_is_replaced_on_request(
    workspace: Workspace, kept: Path, empty_url: str, tmp_path: Path, psql: Callable[..., str]
) -> None:
    """Tables and data that the backup does not have are gone; a second restore changes nothing."""
    psql(
        "CREATE TABLE runs (a integer); INSERT INTO runs VALUES (1); CREATE TABLE alembic_version (a integer)",
        "restored",
    )
    place = tmp_path / "artifacts"
    (place / "old").mkdir(parents=True)
    (place / "old" / "file").write_text("of before")
    words = ("restore", str(kept), "--artifacts", str(place), "--yes")
    assert "public.runs" in command(empty_url, *words, folder=tmp_path).stderr
    done = command(empty_url, *words, "--replace", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (place / "old").exists()
    assert ledger.read(Database(empty_url), MODEL) == ledger.read(workspace.database, MODEL)


def test_a_dry_run_writes_nothing(workspace: Workspace, kept: Path, empty_url: str, tmp_path: Path, home: Path) -> None:
    url = workspace.addresses.database_url
    words = ("backup", str(tmp_path / "b"), "--artifacts", str(home / "artifacts"), "--dry-run")
    done = command(url, *words, folder=tmp_path)
    assert (done.returncode, done.stdout.startswith("would back up")) == (0, True), done.stderr
    words = ("restore", str(kept), "--artifacts", str(tmp_path / "a"), "--dry-run")
    done = command(empty_url, *words, folder=tmp_path)
    assert (done.returncode, done.stdout.startswith("would restore")) == (0, True), done.stderr
    assert list(tmp_path.iterdir()) == []
    assert snapshot.has_table(Database(empty_url), "public.runs") is False


def damaged(kept: Path, tmp_path: Path, change: Callable[[Path], object]) -> Path:
    """A copy of the backup with a change."""
    copy = tmp_path / "damaged"
    subprocess.run(["cp", "-r", str(kept), str(copy)], check=True)
    change(copy)
    return copy


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file is cut off": (lambda folder: shorten(folder / DUMP), "database.dump was changed or cut off"),
    "a file is missing": (lambda folder: (folder / DUMP).unlink(), "database.dump is missing"),
    "the manifest was changed": (
        lambda folder: (folder / "manifest.json").write_text(
            (folder / "manifest.json").read_text().replace('"postgres"', '"Postgres"')
        ),
        "the manifest of the backup was changed",
    ),
    "the manifest is missing": (lambda folder: (folder / "manifest.json").unlink(), "this is no whole backup"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_backup_is_refused_before_anything_is_changed(kept: Path, tmp_path: Path, name: str) -> None:
    change, said = DAMAGE[name]
    folder = damaged(kept, tmp_path, change)
    refused = command("postgresql+psycopg2://nobody@127.0.0.1:9/x", "restore", str(folder), folder=tmp_path)
    assert (refused.returncode, said in refused.stderr) == (7, True), refused.stderr


def test_a_dump_whose_ledger_ends_earlier_is_not_committed(kept: Path, empty_url: str, tmp_path: Path) -> None:
    """The heads in the manifest anchor the ledger: here the manifest knows one row more."""

    def move_heads(folder: Path) -> None:
        manifest = backup_manifest.read(folder)
        heads = tuple(replace(head, seq=head.seq + 1) for head in manifest.heads)
        (folder / "manifest.json").write_text(Manifest.text(replace(manifest, heads=heads)))

    folder = damaged(kept, tmp_path, move_heads)
    words = ("restore", str(folder), "--artifacts", str(tmp_path / "artifacts"), "--yes")
    refused = command(empty_url, *words, folder=tmp_path)
    assert refused.returncode == 7
    assert "the ledger does not end where the backup says; nothing was changed" in refused.stderr
    assert snapshot.tables_with_data(Database(empty_url)) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged"]


def test_roles_that_the_server_lacks_are_named(kept: Path, empty_url: str, tmp_path: Path) -> None:
    def name_another(folder: Path) -> None:
        manifest = backup_manifest.read(folder)
        (folder / "manifest.json").write_text(replace(manifest, roles=("lockgate", "nobody_here")).text())

    folder = damaged(kept, tmp_path, name_another)
    refused = command(empty_url, "restore", str(folder), "--artifacts", str(tmp_path / "a"), "--yes", folder=tmp_path)
    assert refused.returncode == 5
    assert "CREATE ROLE nobody_here LOGIN" in refused.stderr


def test_a_backup_that_fails_leaves_nothing(workspace: Workspace, home: Path, tmp_path: Path) -> None:
    url, place = workspace.addresses.database_url, str(home / "artifacts")
    full = command(url, "backup", str(tmp_path / "b"), "--artifacts", place, folder=tmp_path, limit=20_000)
    assert full.returncode == 9, full.stderr
    absent = embedded_postgres.url(home, "nobody_here")
    assert command(absent, "backup", str(tmp_path / "b"), "--artifacts", place, folder=tmp_path).returncode == 6
    nothing_said = command(url, "backup", str(tmp_path / "b"), folder=tmp_path)
    assert (nothing_said.returncode, "--artifacts FOLDER" in nothing_said.stderr) == (8, True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_no_target(workspace: Workspace, home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("a file")
    words = ("backup", str(tmp_path), "--artifacts", str(home / "artifacts"))
    assert command(workspace.addresses.database_url, *words, folder=tmp_path).returncode == 5
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_folder_among_the_artifacts_is_no_target(workspace: Workspace, home: Path, tmp_path: Path) -> None:
    words = ("backup", str(home / "artifacts/b"), "--artifacts", str(home / "artifacts"))
    for more in ((), ("--dry-run",)):
        refused = command(workspace.addresses.database_url, *words, *more, folder=tmp_path)
        assert (refused.returncode, "is in the folder of the artifacts" in refused.stderr) == (2, True), refused.stderr
    assert not (home / "artifacts/b").exists()


def test_a_backup_is_private_and_says_where_each_ledger_ends(workspace: Workspace, kept: Path) -> None:
    assert {oct(path.stat().st_mode & 0o777) for path in [kept, kept / DUMP, kept / "manifest.json"]} == {
        "0o700",
        "0o600",
    }
    last = ledger.read(workspace.database, MODEL)[-1]
    heads = {head["model"]: head for head in json.loads((kept / "manifest.json").read_text())["heads"]}
    assert (heads[MODEL]["seq"], heads[MODEL]["hash"]) == (last.seq, last.hash)


@pytest.mark.long
def test_backups_during_registrations_and_promotions_restore_to_a_sound_state(
    workspace: Workspace, home: Path, tmp_path: Path, psql: Callable[..., str], params: Params
) -> None:
    """Each backup is restored with its files and examined by the doctor, with every version's files."""
    busy, ended, failures = replace(workspace, model="busy-ensemble"), threading.Event(), []

    def work() -> None:
        try:
            served_versions.put_in_production(busy, 1)
            for seed in (2, 3, 4):
                served_versions.put_in_production(busy, seed)
                rollback.rollback(busy, served_versions.YES, None)
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=work)
    thread.start()
    source, folders = backup.Source(busy.addresses.database_url, 60.0, home / "artifacts"), []
    while not ended.is_set():
        moves = len(ledger.read(busy.database, busy.model))
        folders.append(tmp_path / f"backup {len(folders)}")
        made = backup.take(source, folders[-1], lambda name, done, total: None)
        assert not [version for version in made.without_files if version.endswith(busy.model)]
        while not ended.is_set() and len(ledger.read(busy.database, busy.model)) == moves:
            time.sleep(0.05)  # until there is something new to back up
    thread.join()
    assert failures == []
    rows = [
        next((head.seq for head in backup_manifest.read(folder).heads if head.model == busy.model), 0)
        for folder in folders
    ]
    changing = [folder for folder, before, seq in zip(folders, [0, *rows], rows, strict=False) if seq > before]
    assert changing, rows
    for folder in (changing[0], changing[-1]):
        examine(busy, folder, home, tmp_path / f"{folder.name} restored", psql, params)


def examine(busy: Workspace, folder: Path, home: Path, place: Path, psql: Callable[..., str], params: Params) -> None:
    """Restore a backup beside the stack, with an MLflow server of its own, and ask status, ledger and doctor."""
    psql("CREATE DATABASE examined")
    url = embedded_postgres.url(home, embedded_postgres.OWNER, "examined")
    (place / "logs").mkdir(parents=True)
    words = ("restore", str(folder), "--artifacts", str(place / "artifacts"), "--yes")
    done = command(url, *words, folder=place)
    assert done.returncode == 0, done.stderr
    port = free_port()
    served_from = f"{FOLDER_SCHEME}://{(place / 'artifacts').as_uri().removeprefix('file://')}"
    server_url = embedded_postgres.url(home, embedded_postgres.MLFLOW_ROLE, "examined")
    try:
        assert mlflow_server.start(place, server_url, served_from, port, time.monotonic() + 120)
        restored = replace(
            busy, addresses=Addresses(mlflow_server.uri(port), url), database=Database(url), home=place / "empty"
        )
        assert status.status(restored).broken == ()
        rows = ledger.read(restored.database, restored.model)
        assert (list(ledger.breaks(rows)), ledger.missing_tail(restored.database, restored.model)) == ([], [])
        names = (
            "files are whole",
            "records are in MLflow",
            "ledger is whole",
            "guard is whole",
            "schema lockgate fits",
        )
        some = {name: checks.CHECKERS[name] for name in names}
        found = checks.examine(Site(place, params, restored, every_version=True), repair=False, checkers=some)
        assert [
            (each.name, each.findings, each.refusal) for each in found.checked if each.findings or each.refusal
        ] == []
    finally:
        mlflow_server.stop(place, 20)
        psql("DROP DATABASE examined WITH (FORCE)")


def test_a_version_whose_files_are_missing_does_not_stop_the_backup_of_the_others(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "artifacts").mkdir()
    words = ("backup", str(tmp_path / "b"), "--artifacts", str(tmp_path / "artifacts"))
    made = command(workspace.addresses.database_url, *words, folder=tmp_path)
    assert made.returncode == 5
    assert f"version 1 of {MODEL}" in made.stderr
    assert f"version 1 of {MODEL}" in restore.verified(tmp_path / "b").without_files
