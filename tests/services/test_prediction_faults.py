"""An acknowledged prediction is never lost or doubled: killed writers, a killed Postgres, one that refuses to write."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import dask_processes
import logged
import pytest
from sqlalchemy import text

from lockgate.database import predictions, versions
from lockgate.database.connection import Database
from lockgate.database.versions import Registration
from lockgate.errors import IntegrityBroken, StateConflict, Unavailable
from lockgate.operations import drain_log, retain_log
from lockgate.prediction_log import own_spool
from lockgate.prediction_log.spool import FILE, Spool
from lockgate.serving.drain import Way, _Drained
from lockgate.stack import embedded_postgres

WRITER = Path(__file__).with_name("logging_process.py")
STORED = """
    SELECT request_id::text, count(*), count(DISTINCT "row"), max("row") + 1 FROM lockgate.predictions GROUP BY 1
"""
Psql = Callable[..., str]


@pytest.fixture
def own_postgres(home: Path, tmp_path: Path) -> Iterator[Path]:
    """The `.lockgate` of a Postgres with schema lockgate that this test alone may kill. It waits for its disk."""
    own = tmp_path / ".lockgate"
    (own / "logs").mkdir(parents=True)
    embedded_postgres.start(own, time.monotonic() + 120)
    words = ["--host", str(embedded_postgres.socket_folder(home)), "--username", embedded_postgres.OWNER]
    dump = [embedded_postgres.binary("pg_dump"), *words, "migrated"]
    schema = subprocess.run(dump, capture_output=True, text=True, timeout=60, check=True).stdout
    embedded_postgres.psql(own, schema, embedded_postgres.DATABASE, time.monotonic() + 60)
    yield own
    embedded_postgres.stop(own, 60)


def kill_postgres(home: Path) -> None:
    """As `pg_ctl stop -m immediate`: every session ends at once, and the next start recovers from the log."""
    server = embedded_postgres.running(home)
    assert server is not None
    server.send_signal(signal.SIGQUIT)
    server.wait(30)


def acknowledged(writers: "subprocess.Popen[str]", file: Path, seconds: float, fault: Callable[[], None]) -> list[str]:
    """The ids that a writer acknowledged; after some seconds of work the fault comes, and then the writer is killed."""
    assert writers.stdin is not None and writers.stdout is not None
    print(file, file=writers.stdin, flush=True)
    writer = int(writers.stdout.readline())
    dask_processes.wait_for(lambda: file.exists() and file.stat().st_size > 0)  # it works
    time.sleep(seconds)
    fault()
    os.kill(writer, signal.SIGKILL)
    assert writers.stdout.readline() == "ended\n"
    lines = file.read_text().splitlines(keepends=True)
    return [line.strip() for line in lines if line.endswith("\n")]  # a line that was cut was not acknowledged


def rounds(own: Path, spool: Path, count: int) -> None:
    url = embedded_postgres.url(own, embedded_postgres.OWNER)
    dice, known = random.Random(count), set()
    words = [sys.executable, str(WRITER), str(spool), url]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writers:
        for number in range(count):
            file, seconds = spool.with_name(f"acknowledged-{number}"), dice.uniform(0, 0.3)
            if number % 2:
                known |= set(acknowledged(writers, file, seconds, lambda: None))
            else:
                known |= set(acknowledged(writers, file, seconds, lambda: kill_postgres(own)))
                embedded_postgres.start(own, time.monotonic() + 120)
    database = Database(url, 30.0)
    drain_log.drain(Spool(spool), database)
    with database.transaction() as connection:
        stored = {row[0]: tuple(row[1:]) for row in connection.execute(text(STORED))}
    assert len(known) > count
    assert known - set(stored) == set()
    assert [each for each in stored.values() if len(set(each)) > 1] == []  # rows = different rows = all rows


def test_killed_ten_times_everything_acknowledged_is_stored_once(own_postgres: Path, tmp_path: Path) -> None:
    rounds(own_postgres, tmp_path / "spool", 10)


@pytest.mark.long
def test_killed_a_hundred_times_everything_acknowledged_is_stored_once(own_postgres: Path, tmp_path: Path) -> None:
    rounds(own_postgres, tmp_path / "spool", 100)


def test_what_postgres_cannot_take_waits_in_the_spool(database: Database, database_url: str, tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([logged.request()])
    away = Database(database_url.replace("test_", "not_there_"), 2.0)
    with pytest.raises(Unavailable):
        drain_log.drain(spool, away)
    spool.append([logged.request()])
    assert drain_log.drain(spool, database) == drain_log.Drained(2, 2)


REFUSING = {
    "read-only": (
        "ALTER DATABASE {name} SET default_transaction_read_only = on", "the database is read-only",
        "ALTER DATABASE {name} SET default_transaction_read_only = off",
    ),
    "disk full": (
        """
        CREATE FUNCTION public.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION USING ERRCODE = 'disk_full', MESSAGE = 'could not extend file: No space left on device';
        END $$;
        CREATE TRIGGER full_disk AFTER INSERT ON lockgate.predictions EXECUTE FUNCTION public.full_disk()
        """,
        "the database's disk is full",
        "DROP TRIGGER full_disk ON lockgate.predictions",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSING)
def test_what_postgres_refuses_stays_whole_in_the_spool(
    database: Database, database_url: str, psql: Psql, tmp_path: Path, fault: str
) -> None:
    name = database_url.split("@/")[1].split("?")[0]
    break_it, message, mend_it = (each.format(name=name) for each in REFUSING[fault])
    spool = Spool(tmp_path)
    spool.append([logged.request(*[logged.row()] * 3), logged.request()])
    psql(break_it, name if fault == "disk full" else "postgres")
    with pytest.raises(Unavailable, match=message):
        drain_log.drain(spool, database)
    psql(mend_it, name if fault == "disk full" else "postgres")
    assert drain_log.drain(spool, database) == drain_log.Drained(2, 4)


def test_a_drain_that_was_killed_after_the_commit_doubles_nothing(database: Database, tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([logged.request(), logged.request()])
    batch = spool.batch(10)
    assert batch is not None
    predictions.insert_records(database, batch.records)  # here the process ended
    assert drain_log.drain(Spool(tmp_path), database) == drain_log.Drained(2, 0)


def test_two_drains_at_once_double_nothing(database_url: str, tmp_path: Path) -> None:
    spool, other = Spool(tmp_path), Spool(tmp_path)
    spool.append([logged.request() for _ in range(3_000)])
    workers = [Database(database_url), Database(database_url)]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(drain_log.drain, [spool, other], workers))
    assert sum(each.rows for each in done) == 3_000
    assert spool.oldest() is None


def test_what_a_server_that_is_gone_left_is_moved_and_the_spool_of_a_living_one_is_not_touched(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """Servers in one folder: the first lives and drains, the second was killed, the third lives."""
    for number in (2, 3):
        Spool(tmp_path / f"serve-{number}").append([logged.request()])
    served = logged.SERVED
    versions.record_version(database, Registration(served.model, served.version, served.digest, "run", {}))
    with own_spool.own(tmp_path) as first, own_spool.held(tmp_path / "serve-3") as third:
        assert (first.name, third) == ("serve-1", True)
        assert _Drained(Way(first, database_url, 10.0)).once()
        assert [Spool(tmp_path / f"serve-{number}").oldest() is None for number in (2, 3)] == [True, False]
    assert _Drained(Way(tmp_path / "serve-4", database_url, 10.0)).once()
    assert Spool(tmp_path / "serve-3").oldest() is None


def test_a_damaged_spool_does_not_keep_others_from_postgres(database: Database, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders[1:]:
        Spool(folder).append([logged.request()])
    folders[0].mkdir()
    (folders[0] / FILE).write_bytes(b"no database " * 1000)
    with pytest.raises(IntegrityBroken, match="damaged"):
        drain_log.drain_all(folders, database)
    assert [Spool(folder).oldest() for folder in folders[1:]] == [None, None]


def test_a_month_that_a_query_reads_is_dropped_later(database: Database, database_url: str) -> None:
    predictions.insert(database, [logged.request()])
    moment, [month] = retain_log.plan(database, timedelta(days=1))
    hasty = Database(database_url, 3.0)
    with database.transaction() as reader:
        reader.execute(text("SELECT count(*) FROM lockgate.predictions"))
        with pytest.raises(Unavailable, match="another session uses the table"):
            retain_log.retain(hasty, moment, [month])
    assert len(predictions.last(database, logged.MODEL, {}, ["shop"], 10)) == 1
    retain_log.retain(hasty, moment, [month])
    assert predictions.last(database, logged.MODEL, {}, ["shop"], 10) == []


def test_rows_on_record_are_not_changed(database: Database) -> None:
    predictions.insert(database, [logged.request()])
    for statement in ("UPDATE lockgate.predictions SET prediction = 1", "TRUNCATE lockgate.predictions"):
        with pytest.raises(StateConflict, match="append-only"), database.transaction() as connection:
            connection.execute(text(statement))
