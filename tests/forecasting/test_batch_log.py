"""The records of a batch reach the spool in their order, however many commits they take."""

from pathlib import Path
from typing import cast

import pytest

from lockgate.database.connection import Database
from lockgate.errors import StorageFull
from lockgate.operations.batch_log import COMMIT_BYTES, BatchLog
from lockgate.prediction_log.batch import BatchRequests
from lockgate.prediction_log.spool import Kept, Spool

NOWHERE = "postgresql+psycopg2://nobody@127.0.0.1:9/none"
RECORDS = [Kept(float(place), bytes([place]) * (COMMIT_BYTES // 3)) for place in range(10)]  # four commits


def test_all_records_are_on_disk_once_and_in_order(tmp_path: Path) -> None:
    log = _log(Spool(tmp_path))
    log.keep_records(iter(RECORDS), 10)
    kept: list[bytes] = []
    while batch := log.spool.batch(100):
        kept += batch.records
        log.spool.forget(batch)
    assert kept == [each.record for each in RECORDS]
    assert log.rows == 10


def test_no_record_is_no_commit(tmp_path: Path) -> None:
    log = _log(Spool(tmp_path))
    log.keep_records(iter([]), 0)
    assert log.spool.newest() == 0


def test_a_full_spool_is_refused_in_a_later_commit_too(tmp_path: Path) -> None:
    log = _log(Spool(tmp_path, limit_bytes=2 * COMMIT_BYTES))
    with pytest.raises(StorageFull):
        log.keep_records(iter(RECORDS), 10)


def _log(spool: Spool) -> BatchLog:
    """A log whose records are made already, so that no version is asked."""
    return BatchLog(cast(BatchRequests, None), spool, Database(NOWHERE, 1.0))
