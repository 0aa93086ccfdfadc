"""MLflow's artifacts in Postgres, by the role that MLflow's server has: whole or not at all, shared, written once."""

import asyncio
import io
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.artifact import artifact_repo
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from sqlalchemy import text

from lockgate.database import artifacts
from lockgate.database.artifacts import BLOCK_BYTES, CHUNK_BYTES
from lockgate.database.connection import Database
from lockgate.errors import IntegrityBroken, LockgateError, StateConflict, Unavailable
from lockgate.registry.artifact_repository import DatabaseArtifactRepository
from lockgate.registry.server_database import BACKEND_STORE_VARIABLE
from lockgate.stack import embedded_postgres
from lockgate.system.service_urls import ARTIFACTS_IN_DATABASE

MODEL_FILE = "1/models/m-0123456789abcdef0123456789abcdef/artifacts/MLmodel"
BAD_PATHS = ["../up", "a/../b", "a/..", "/absolute", "a//b", "a/./b", ".", "x" * 1025]
DIGEST_OF = "SELECT digest FROM lockgate_artifacts.files WHERE path = :path"
DAMAGES = [
    "UPDATE lockgate_artifacts.chunks SET bytes = set_byte(bytes, 7, get_byte(bytes, 7) # 1)"
    " WHERE digest = :digest AND number = 1",
    "DELETE FROM lockgate_artifacts.chunks WHERE digest = :digest AND number = 2",
    "DELETE FROM lockgate_artifacts.chunks WHERE digest = :digest",
    "UPDATE lockgate_artifacts.chunks SET number = 9 WHERE digest = :digest AND number = 0",
    "INSERT INTO lockgate_artifacts.chunks VALUES (:digest, 3, 'x')",
]
FORBIDDEN_TO_MLFLOW = [
    "DELETE FROM lockgate_artifacts.files",
    "UPDATE lockgate_artifacts.files SET digest = digest",
    "INSERT INTO lockgate_artifacts.files VALUES ('a', 'b')",
    "DELETE FROM lockgate_artifacts.blobs",
    "UPDATE lockgate_artifacts.chunks SET bytes = bytes",
    "TRUNCATE lockgate_artifacts.files",
    "SELECT lockgate_artifacts.let_go()",
    "CREATE TABLE lockgate_artifacts.mine ()",
    "SELECT FROM lockgate.ledger",
]
RUN_FILE = "1/0123456789abcdef0123456789abcdef/artifacts/candidates.json"


@pytest.fixture
def mlflow_url(home: Path, database_url: str) -> str:
    """This test's database, as MLflow's server connects to it."""
    return embedded_postgres.url(home, embedded_postgres.MLFLOW_ROLE, database_url.split("@/")[1].split("?")[0])


@pytest.fixture
def store(mlflow_url: str) -> Database:
    return Database(mlflow_url)


@pytest.fixture
def repository(mlflow_url: str, monkeypatch: pytest.MonkeyPatch) -> DatabaseArtifactRepository:
    """The repository that MLflow makes for its own server's destination."""
    monkeypatch.setenv(BACKEND_STORE_VARIABLE, mlflow_url)
    repository_of_uri = get_artifact_repository(ARTIFACTS_IN_DATABASE)
    assert isinstance(repository_of_uri, DatabaseArtifactRepository)
    return repository_of_uri


@pytest.fixture
def log(store: Database, tmp_path: Path) -> Callable[[str, bytes], None]:
    """Log some bytes under a path."""

    def log_bytes(path: str, content: bytes) -> None:
        source = tmp_path / f"source {threading.get_ident()}"
        source.write_bytes(content)
        artifacts.log(store, path, source)

    return log_bytes


@pytest.fixture
def read(store: Database, tmp_path: Path) -> Callable[[str], bytes | None]:
    """Read a path; None if there is no such file."""

    def read_bytes(path: str) -> bytes | None:
        target = tmp_path / f"target {threading.get_ident()}"
        return target.read_bytes() if artifacts.fetch(store, path, target) else None

    return read_bytes


@pytest.fixture
def count(database: Database) -> Callable[[], tuple[int, int, int]]:
    """How many files, blobs and chunks there are."""
    query = "SELECT " + ", ".join(
        f"(SELECT count(*) FROM lockgate_artifacts.{table})" for table in ("files", "blobs", "chunks")
    )

    def counted() -> tuple[int, int, int]:
        with database.transaction() as connection:
            files, blobs, chunks = connection.execute(text(query)).one()
        return files, blobs, chunks

    return counted


# --- whole and verified ----------------------------------------------------------------------------------------------


def test_what_was_logged_comes_back(log, read, count) -> None:
    """Of any size: none, one byte, and about what one chunk holds."""
    for size in (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES):
        content = os.urandom(size)
        log("1/run/artifacts/weights.bin", content)
        assert read("1/run/artifacts/weights.bin") == content
        assert count() == (1, 1, -(-size // CHUNK_BYTES))


def test_bytes_that_were_changed_in_the_database_are_found_and_not_left_behind(
    log, store: Database, database: Database, tmp_path: Path
) -> None:
    """Nor does a file that is logged now come to share them."""
    for number, damage in enumerate(DAMAGES):
        content = os.urandom(3 * CHUNK_BYTES)
        log(f"{number}/weights", content)
        with database.transaction() as connection:
            (digest,) = connection.execute(text(DIGEST_OF), {"path": f"{number}/weights"}).one()
            assert connection.execute(text(damage), {"digest": digest}).rowcount >= 1
        with pytest.raises(IntegrityBroken, match="sha256 differs"):
            artifacts.fetch(store, f"{number}/weights", tmp_path / "target")
        assert not (tmp_path / "target").exists()
        with pytest.raises(IntegrityBroken, match="sha256 differs"):
            log(f"{number}/the same weights", content)


def test_memory_stays_flat(mlflow_url: str, tmp_path: Path) -> None:
    """96 blocks go in and come out again; the process grows by less than ten."""
    (tmp_path / "in").write_bytes(os.urandom(BLOCK_BYTES) * 96)
    script = """
import resource, sys
from pathlib import Path
from lockgate.database import artifacts
from lockgate.database.connection import Database
database, (small, source, target) = Database(sys.argv[1]), map(Path, sys.argv[2:])
small.write_bytes(b"x")
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1 if sys.platform == "linux" else 1024)
for path in (small, source):
    artifacts.log(database, path.name, path)
    artifacts.log(database, path.name, path)
    artifacts.fetch(database, path.name, target)
    print(peak())
"""
    words = [sys.executable, "-c", script, mlflow_url, *(str(tmp_path / name) for name in ("small", "in", "out"))]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
    before, after = map(int, said.split())
    assert (tmp_path / "out").stat().st_size == 96 * BLOCK_BYTES
    assert (after - before) * 1024 < 10 * BLOCK_BYTES


def test_chunks_of_the_size_of_earlier_servers_are_read(database: Database, store: Database, log, read) -> None:
    content = os.urandom(3 * (1 << 20) + 7)
    log("a/file", content)
    with database.transaction() as connection:
        digest = connection.scalar(text(DIGEST_OF), {"path": "a/file"})
        connection.execute(text("DELETE FROM lockgate_artifacts.chunks WHERE digest = :digest"), {"digest": digest})
        for number in range(4):
            chunk = content[number << 20 : number + 1 << 20]
            row = {"digest": digest, "number": number, "bytes": chunk}
            connection.execute(text("INSERT INTO lockgate_artifacts.chunks VALUES (:digest, :number, :bytes)"), row)
    assert read("a/file") == content


def test_a_disk_that_is_full_leaves_no_file_and_a_store_that_works(mlflow_url: str, log, tmp_path: Path) -> None:
    log("large", os.urandom(2 * BLOCK_BYTES))
    script = f"""
import resource, signal, sys
from pathlib import Path
from lockgate.database import artifacts
from lockgate.database.connection import Database
database, target = Database(sys.argv[1], keep_connections=True), Path(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({BLOCK_BYTES}, {4 * BLOCK_BYTES}))
try:
    artifacts.fetch(database, "large", target)
except OSError as error:
    print(target.exists())
resource.setrlimit(resource.RLIMIT_FSIZE, ({4 * BLOCK_BYTES}, {4 * BLOCK_BYTES}))
print(artifacts.fetch(database, "large", target), target.stat().st_size)
"""
    words = [sys.executable, "-c", script, mlflow_url, str(tmp_path / "target")]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
    assert said.split() == ["False", "True", str(2 * BLOCK_BYTES)]


def test_a_killed_upload_leaves_nothing_to_be_seen(
    database: Database, mlflow_url: str, log, read, count, tmp_path: Path
) -> None:
    """Killed when all its chunks are in the database and only the file's name is not."""
    content = os.urandom(2 * CHUNK_BYTES)
    (tmp_path / "source").write_bytes(content)
    script = (
        "import sys; from pathlib import Path; from lockgate.database import artifacts, connection;"
        "artifacts.log(connection.Database(sys.argv[1]), 'a/file', Path(sys.argv[2]))"
    )
    with database.transaction() as connection:
        connection.execute(text("SELECT lockgate_artifacts.alone()"))
        upload = subprocess.Popen([sys.executable, "-c", script, mlflow_url, str(tmp_path / "source")])
        wait_for_a_waiting_one(database, "keep")
        upload.send_signal(signal.SIGKILL)
        assert upload.wait() == -signal.SIGKILL
    assert (read("a/file"), count()) == (None, (0, 0, 0))
    log("a/file", content)
    assert read("a/file") == content


def wait_for_a_waiting_one(database: Database, what: str) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE :what"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with database.transaction() as connection:
            if connection.scalar(text(query), {"what": f"%artifacts.{what}(%"}):
                return
        time.sleep(0.02)
    pytest.fail(f"nobody waits in {what}")


# --- content that is shared ------------------------------------------------------------------------------------------


def test_files_of_the_same_content_share_it_until_the_last_one_goes(log, store: Database, read, count) -> None:
    content = os.urandom(2 * CHUNK_BYTES)
    for version in ("a", "b", "c"):
        log(f"{version}/weights", content)
    assert count() == (3, 1, 2)
    assert artifacts.remove(store, "a") == 1
    assert artifacts.remove(store, "b/weights") == 1
    assert (read("a/weights"), read("c/weights")) == (None, content)
    assert artifacts.remove(store, "c") == 1
    assert (artifacts.remove(store, "c"), count()) == (0, (0, 0, 0))


def test_uploads_of_the_same_content_at_once_store_it_once(log, read, count) -> None:
    content = os.urandom(3 * CHUNK_BYTES)
    paths = [f"{number}/weights" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: log(path, content), paths))
    assert count() == (8, 1, 3)
    assert {read(path) for path in paths} == {content}


def test_content_that_an_upload_has_found_is_not_taken_away_under_it(log, store: Database, read, count) -> None:
    content = b"the same"
    log("old", content)
    with store.unchecked_transaction(20) as connection:
        (digest,) = connection.execute(text("SELECT digest FROM lockgate_artifacts.blobs")).one()
        assert not connection.scalar(text("SELECT lockgate_artifacts.claim(:digest, 8)"), {"digest": digest})
        assert artifacts.remove(store, "old") == 1
        connection.execute(text("SELECT lockgate_artifacts.keep('new', :digest)"), {"digest": digest})
    assert (read("old"), read("new"), count()) == (None, content, (1, 1, 1))


def test_content_that_a_failed_upload_kept_alive_goes_with_the_next_removal(log, store: Database, count) -> None:
    log("old", b"the same")
    with pytest.raises(RuntimeError), store.unchecked_transaction(20) as connection:
        (digest,) = connection.execute(text("SELECT digest FROM lockgate_artifacts.blobs")).one()
        connection.execute(text("SELECT lockgate_artifacts.claim(:digest, 8)"), {"digest": digest})
        artifacts.remove(store, "old")
        raise RuntimeError
    assert count() == (0, 1, 1)
    artifacts.remove(store, "anything")
    assert count() == (0, 0, 0)


def test_uploads_and_removals_that_race_leave_every_file_readable(log, store: Database, read, count) -> None:
    contents = [b"one", b"two"]

    def work(number: int) -> None:
        for turn in range(12):
            log(f"run/{number}", contents[(number + turn) % 2])
            if turn % 3 == 2:
                artifacts.remove(store, f"run/{number}")
            elif turn % 3 == 1:
                artifacts.remove(store, f"run/{(number + 1) % 4}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    log("run/last", contents[0])
    assert {read(f"run/{entry.name}") for entry in artifacts.entries(store, "run")} <= set(contents)
    artifacts.remove(store, "run")
    assert count() == (0, 0, 0)


# --- written once ----------------------------------------------------------------------------------------------------


def test_a_file_of_a_logged_model_is_written_once(log, read) -> None:
    log(MODEL_FILE, b"as registered")
    log(MODEL_FILE, b"as registered")
    with pytest.raises(StateConflict, match=f"{MODEL_FILE} was logged before with other content") as refusal:
        log(MODEL_FILE, b"something else")
    assert refusal.value.hint == "files of a logged model are written once: log the changed model anew"
    assert read(MODEL_FILE) == b"as registered"


def test_a_file_of_a_run_may_be_written_over_and_its_old_content_goes(log, read, count) -> None:
    log(RUN_FILE, b"one table")
    log(RUN_FILE, b"two tables")
    assert (read(RUN_FILE), count()) == (b"two tables", (1, 1, 1))


def test_files_that_a_registered_version_points_to_neither_change_nor_go(
    log, store: Database, database: Database, read
) -> None:
    """However they got there; when the version is deleted, they may."""
    file = "1/run/artifacts/model/deep/file"
    log(file, b"as registered")
    log("1/run/artifacts/model/MLmodel", b"flavors")
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO public.registered_models (name) VALUES ('chain')"))
        connection.execute(
            text(
                "INSERT INTO public.model_versions (name, version, current_stage, source)"
                " VALUES ('chain', 3, 'None', 'mlflow-artifacts:/1/run/artifacts/model')"
            )
        )
    for place in ("1", "1/run/artifacts/model", file):
        with pytest.raises(StateConflict, match=f"{place} belongs to version 3 of chain"):
            artifacts.remove(store, place)
    with pytest.raises(StateConflict, match=f"{file} belongs to version 3 of chain"):
        log(file, b"something else")
    for extra in ("1/run/artifacts/model/extra", "1/run/artifacts/model/deep/extra"):
        with pytest.raises(StateConflict, match=f"{extra} belongs to version 3 of chain"):
            log(extra, b"more")
    log("1/run/artifacts/model2/file", b"a neighbour")
    assert artifacts.remove(store, "1/run/artifacts/model2") == 1
    assert read(file) == b"as registered"
    with database.transaction() as connection:
        connection.execute(text("DELETE FROM public.model_versions"))
    assert artifacts.remove(store, "1/run") == 2


def test_a_file_and_a_folder_cannot_have_one_name(log, read) -> None:
    log("1/a", b"file")
    with pytest.raises(StateConflict, match="1/a/b/c lies under a file"):
        log("1/a/b/c", b"inside")
    with pytest.raises(StateConflict, match="1 is a folder"):
        log("1", b"over it")
    log("1/a.b", b"a neighbour")
    assert read("1/a") == b"file"


# --- rights ----------------------------------------------------------------------------------------------------------


def test_mlflows_role_has_no_more_rights_than_it_needs(store: Database) -> None:
    for statement in FORBIDDEN_TO_MLFLOW:
        with pytest.raises(Unavailable, match="permission denied"), store.unchecked_transaction(20) as connection:
            connection.execute(text(statement))


def test_no_other_role_has_any(home: Path, database_url: str, psql: Callable[..., str]) -> None:
    name = database_url.split("@/")[1].split("?")[0]
    psql("CREATE ROLE stranger LOGIN")
    try:
        stranger = Database(embedded_postgres.url(home, "stranger", name))
        with pytest.raises(Unavailable, match="permission denied for schema lockgate_artifacts"):
            artifacts.entries(stranger, "")
    finally:
        psql("DROP ROLE stranger")


# --- as MLflow sees it -----------------------------------------------------------------------------------------------


def test_a_tree_of_files_goes_in_and_comes_out(repository: DatabaseArtifactRepository, tmp_path: Path) -> None:
    files = {"MLmodel": b"", "data/größe 1 % #2.txt": b"3", "data/deep/\N{SNOWMAN}.bin": b"4", "a'b\"c": b"5"}
    tree, back = tmp_path / "tree", tmp_path / "back"
    for name, content in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(content)
    (back).mkdir()
    repository.log_artifacts(str(tree), "1/my model")
    where = Path(repository.download_artifacts("1/my model", str(back)))
    assert {
        path.relative_to(where).as_posix(): path.read_bytes() for path in where.rglob("*") if path.is_file()
    } == files


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES + 1, 5 * BLOCK_BYTES])
def test_the_body_of_a_request_is_kept_as_it_comes(repository: DatabaseArtifactRepository, read, size: int) -> None:
    """MLflow's servers hand it on as a stream, one of them asynchronously."""
    content = os.urandom(size)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 65_536):
            yield content[start : start + 65_536]

    repository.log_artifact_from_stream(io.BytesIO(content), "b/stream", "a")
    asyncio.run(repository.log_artifact_from_async_stream(chunks(), "later", "a"))
    assert (read("a/stream"), read("a/later")) == (content, content)


def test_a_file_is_fetched_without_a_look_at_its_folder(repository: DatabaseArtifactRepository, log, tmp_path) -> None:
    log("a/b/file", b"content")
    found = repository.download_artifacts("a/b/file", str(tmp_path))
    assert (found, Path(found).read_bytes()) == (str(tmp_path / "a/b/file"), b"content")
    with pytest.raises(MlflowException, match="No such artifact: 'a/b/other'"):
        repository.download_artifacts("a/b/other", str(tmp_path))


def test_a_server_keeps_its_connections(repository: DatabaseArtifactRepository) -> None:
    pids = set()
    for _ in range(5):
        with repository._database.unchecked_transaction(10) as connection:
            pids.add(connection.scalar(text("SELECT pg_backend_pid()")))
    assert len(pids) == 1


def test_a_connection_that_was_ended_meanwhile_is_replaced(
    repository: DatabaseArtifactRepository, psql: Callable[..., str], log, tmp_path: Path
) -> None:
    log("file", b"content")
    repository.download_artifacts("file", str(tmp_path))
    psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mlflow' AND datname LIKE 'test_%'")
    assert Path(repository.download_artifacts("file", str(tmp_path))).read_bytes() == b"content"


def test_folders_and_sizes_are_listed(repository: DatabaseArtifactRepository, log) -> None:
    for path, content in {"1/b/x": b"12", "1/b/y": b"123", "1/a": b"1", "1/b.txt": b"", "10/z": b"9"}.items():
        log(path, content)
    listed = [(each.path, each.is_dir, each.file_size) for each in repository.list_artifacts("1")]
    assert listed == [("1/a", False, 1), ("1/b", True, None), ("1/b.txt", False, 0)]
    assert [each.path for each in repository.list_artifacts()] == ["1", "10"]
    assert [each.path for each in repository.list_artifacts("1/b/")] == ["1/b/x", "1/b/y"]
    assert repository.list_artifacts("1/a") == repository.list_artifacts("absent") == []


def test_a_folder_of_thousands_is_listed_whole(repository: DatabaseArtifactRepository, database: Database, log) -> None:
    log("many/0", b"")
    with database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO lockgate_artifacts.files (path, digest)"
                " SELECT 'many/' || number, digest FROM lockgate_artifacts.blobs, generate_series(1, 2500) AS number"
            )
        )
    assert len({each.path for each in repository.list_artifacts("many")}) == 2501


def test_a_trace_has_a_repository_below_the_root(repository: DatabaseArtifactRepository, log, read) -> None:
    log("1/traces/tr-1/artifacts/other", b"stays away")
    trace = get_artifact_repository(f"{ARTIFACTS_IN_DATABASE}1/traces/tr-1/artifacts")
    trace.upload_trace_data('{"spans": []}')
    assert trace.download_trace_data() == {"spans": []}
    assert [each.path for each in trace.list_artifacts()] == ["other", "traces.json"]
    trace.delete_artifacts()
    assert read("1/traces/tr-1/artifacts/other") is None


def test_a_path_that_is_not_a_plain_relative_one_is_refused(
    repository: DatabaseArtifactRepository, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    acts: list[Callable[[str], object]] = [
        lambda path: repository.log_artifact(str(tmp_path / "file"), path),
        repository.list_artifacts,
        repository.delete_artifacts,
        lambda path: repository._download_file(path, str(tmp_path / "target")),
    ]
    for path, act in itertools.product([*BAD_PATHS, "nul\0byte", "\udcff"], acts):
        with pytest.raises(MlflowException) as refusal:
            act(path)
        assert refusal.value.get_http_status_code() == 400
    assert not (tmp_path / "target").exists()


def test_the_database_takes_no_such_path_either(database: Database, log) -> None:
    log("good", b"x")
    for path in [*BAD_PATHS, "", "a/"]:
        with pytest.raises(LockgateError, match="files_path_check"), database.transaction() as connection:
            insert = "INSERT INTO lockgate_artifacts.files SELECT :path, digest FROM lockgate_artifacts.blobs"
            connection.execute(text(insert), {"path": path})


def test_what_is_not_there_is_not_found_and_its_removal_no_error(
    repository: DatabaseArtifactRepository, tmp_path: Path
) -> None:
    with pytest.raises(MlflowException, match="No such artifact: 'absent/file'") as refusal:
        repository.download_artifacts("absent/file", str(tmp_path))
    assert refusal.value.get_http_status_code() == 404
    repository.delete_artifacts("absent")


def test_everything_at_once_is_not_removed(repository: DatabaseArtifactRepository, log, read) -> None:
    log("1/file", b"x")
    with pytest.raises(MlflowException, match="give a file or a folder"):
        repository.delete_artifacts()
    assert read("1/file") == b"x"


def test_the_ways_past_the_server_stay_off(repository: DatabaseArtifactRepository) -> None:
    """MLflow offers multipart and presigned transfers only where a repository says that it can."""
    mixins = (
        artifact_repo.MultipartUploadMixin,
        artifact_repo.MultipartDownloadMixin,
        artifact_repo.PresignedUploadMixin,
    )
    assert not isinstance(repository, mixins)


def test_a_database_that_is_away_is_told_without_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BACKEND_STORE_VARIABLE, f"postgresql+psycopg2://ann:s3cret@/x?host={tmp_path}")
    with pytest.raises(MlflowException) as refusal:
        get_artifact_repository(ARTIFACTS_IN_DATABASE).list_artifacts("1")
    assert refusal.value.get_http_status_code() == 503
    assert str(refusal.value) == "no database listens there; start it: lockgate up"


def test_only_a_server_opens_it_and_only_on_its_own_database(mlflow_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for elsewhere in ("", "sqlite:///mlflow.db"):
        monkeypatch.setenv(BACKEND_STORE_VARIABLE, elsewhere)
        with pytest.raises(MlflowException, match="its clients use mlflow-artifacts:/"):
            get_artifact_repository(ARTIFACTS_IN_DATABASE)
    monkeypatch.setenv(BACKEND_STORE_VARIABLE, mlflow_url)
    with pytest.raises(MlflowException, match="write lockgate-artifacts:/, not lockgate-artifacts://elsewhere"):
        get_artifact_repository("lockgate-artifacts://elsewhere")
