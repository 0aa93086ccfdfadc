"""The spool keeps logged requests on disk until Postgres has them."""

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import logged
import pytest

from lockgate.errors import BadData, IntegrityBroken, StorageFailed, StorageFull
from lockgate.prediction_log import own_spool
from lockgate.prediction_log.encoding import ROWS_OF_ONE_RECORD, encoded
from lockgate.prediction_log.record import LoggedRequest
from lockgate.prediction_log.spool import FILE, Spool

ALL = 1_000_000


def ids(spool: Spool) -> list[str]:
    """The request_ids that the spool has, oldest first."""
    batch = spool.batch(ALL)
    return [logged.head(record)["request_id"] for record in batch.records] if batch else []


def test_what_was_appended_is_there_after_the_process(tmp_path: Path) -> None:
    requests = [logged.request(minutes=minutes) for minutes in range(3)]
    Spool(tmp_path).append(requests)
    assert ids(Spool(tmp_path)) == [request.request_id for request in requests]
    assert Spool(tmp_path).oldest() == logged.START


def test_every_commit_waits_for_the_disk(tmp_path: Path) -> None:
    """synchronous 2 is FULL: the write-ahead log is synced before a commit returns."""
    connection = Spool(tmp_path)._connection
    found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert found == ["wal", 2]


def test_a_batch_is_there_until_it_is_forgotten(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    requests = [logged.request() for _ in range(5)]
    spool.append(requests)
    first = spool.batch(2)
    assert first is not None
    assert spool.batch(2) == first
    spool.forget(first)
    assert ids(spool) == [request.request_id for request in requests[2:]]


def test_forgetting_a_batch_twice_forgets_nothing_that_came_later(tmp_path: Path) -> None:
    spool, other = Spool(tmp_path), Spool(tmp_path)
    spool.append([logged.request()])
    batch = spool.batch(ALL)
    assert batch is not None
    other.forget(batch)
    later = logged.request()
    spool.append([later])
    spool.forget(batch)
    assert ids(spool) == [later.request_id]


def test_the_limit_refuses_all_requests_of_a_call(tmp_path: Path) -> None:
    spool = Spool(tmp_path, limit_bytes=100_000)
    kept = 0
    with pytest.raises(StorageFull, match="full: its limit is 100,000 bytes"):
        while True:
            spool.append([logged.request() for _ in range(20)])
            kept += 20
    assert len(ids(spool)) == kept > 100
    assert spool.size() <= 100_000


def test_a_spool_that_was_drained_has_room_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path, limit_bytes=100_000)
    for _ in range(10):
        spool.append([logged.request() for _ in range(100)])
        batch = spool.batch(ALL)
        assert batch is not None
        spool.forget(batch)
    assert spool.size() < 10_000


def test_threads_and_processes_append_to_one_folder(tmp_path: Path) -> None:
    spools = [Spool(tmp_path), Spool(tmp_path)]

    def write(spool: Spool) -> None:
        for _ in range(5):
            spool.append([logged.request()])

    threads = [threading.Thread(target=write, args=(spool,)) for spool in spools for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids(spools[0]))) == 30


def test_a_damaged_file_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database " * 1000)
    with pytest.raises(IntegrityBroken, match="damaged: file is not a database"):
        Spool(tmp_path)
    assert (tmp_path / FILE).read_bytes().startswith(b"no database")


def test_a_record_that_was_changed_on_disk_is_refused(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([logged.request()])
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("UPDATE texts SET text = CAST(replace(text, '100.5', '100.6') AS BLOB)")
    connection.close()
    with pytest.raises(IntegrityBroken, match="record 1 differs"):
        spool.batch(ALL)


def test_another_database_in_its_place_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("CREATE TABLE notes (text)")
    connection.close()
    with pytest.raises(IntegrityBroken, match="not a spool"):
        Spool(tmp_path)


def test_a_file_in_place_of_the_folder_is_a_failure_of_storage(tmp_path: Path) -> None:
    (tmp_path / "spool").touch()
    with pytest.raises(StorageFailed, match="cannot be made: File exists"):
        Spool(tmp_path / "spool")


def test_a_folder_that_is_no_file_is_a_failure_of_storage(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(StorageFailed, match="cannot be used"):
        Spool(tmp_path)


def test_a_folder_that_may_not_be_written_is_a_failure_of_storage(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    own = os.geteuid()
    os.seteuid(own or 65_534)  # root may write everywhere
    try:
        with pytest.raises(StorageFailed) as refused:
            Spool(tmp_path)
    finally:
        os.seteuid(own)
    assert refused.value.exit_code == 9


def test_a_full_disk_refuses_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([logged.request()])
    spool._connection.execute("PRAGMA max_page_count = 8")  # SQLite's own error of a full disk
    kept = 1
    with pytest.raises(StorageFull, match="the disk is full"):
        while True:
            spool.append([logged.request()])
            kept += 1
    assert len(ids(spool)) == kept


BAD: dict[str, tuple[LoggedRequest, str]] = {
    "NUL in a feature": (logged.request(logged.row(features={"name": "a\0b"})), "NUL"),
    "half a surrogate pair": (logged.request(caller_id="\ud800"), "surrogate"),
    "a long key": (logged.request(logged.row(segment={"shop": "x" * 1000})), "row 0: its key columns have"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_request_that_postgres_cannot_hold_is_refused_before_it_is_kept(tmp_path: Path, name: str) -> None:
    request, message = BAD[name]
    spool = Spool(tmp_path)
    with pytest.raises(BadData, match=message):
        spool.append([logged.request(), request])
    assert ids(spool) == []


def test_a_backslash_before_u0000_is_no_nul() -> None:
    assert len(list(encoded(logged.request(caller_id="\\u0000")))) == 1


def test_a_large_request_becomes_several_records() -> None:
    rows = [logged.row()] * (2 * ROWS_OF_ONE_RECORD + 1)
    found = [logged.head(record) for record in encoded(logged.request(*rows))]
    assert [(each["first"], each["count"]) for each in found] == [(0, 5000), (5000, 5000), (10_000, 1)]


def test_a_spool_of_the_earlier_form_is_taken_over(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    request = logged.request()
    spool.append([request])
    spool._connection.execute("PRAGMA user_version = 1")
    spool.close()
    again = Spool(tmp_path)
    assert ids(again) == [request.request_id]
    assert again._connection.execute("PRAGMA user_version").fetchone() == (2,)


def test_each_server_of_a_folder_has_its_own_spool_and_the_next_one_takes_that_of_a_dead_one(
    tmp_path: Path,
) -> None:
    with own_spool.own(tmp_path) as first:
        with own_spool.own(tmp_path) as second:
            Spool(second).append([logged.request()])
            assert (first.name, second.name) == ("serve-1", "serve-2")
            assert list(own_spool.left(tmp_path)) == []
        assert list(own_spool.left(tmp_path)) == [second]
    with own_spool.own(tmp_path) as again:
        assert again == first


def test_the_operating_system_gives_back_the_spool_of_a_killed_server(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib; from lockgate.prediction_log import own_spool\n"
        "with own_spool.own(pathlib.Path(sys.argv[1])) as folder: print(folder.name, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout and server.stdout.readline() == "serve-1\n"
        with own_spool.own(tmp_path) as other:
            assert other.name == "serve-2"
        server.kill()
        server.wait()
        with own_spool.own(tmp_path) as next_one:
            assert next_one.name == "serve-1"


def test_a_spool_that_cannot_be_locked_is_named(tmp_path: Path) -> None:
    (tmp_path / "serve-1" / own_spool.LOCK).mkdir(parents=True)
    with pytest.raises(StorageFailed, match="cannot be locked"), own_spool.own(tmp_path):
        pass
