"""The forecasts of one part of a dataset, in this process or on a worker; needs neither MLflow nor Postgres.

The part becomes a parquet file in a folder that the client shares with all workers. A part that is forecast twice,
because its worker was lost, has two files: the client takes the one that the answer names.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from uuid import uuid4

import numpy as np
import pyarrow.parquet
from numpy.typing import NDArray

from lockgate import digests
from lockgate.bundle import store
from lockgate.data import bad_rows, row_writer
from lockgate.data.bad_rows import BadRow, BadRowsFile
from lockgate.data.readers import PARQUET
from lockgate.data.row_parts import SAME_PATH, RowPart
from lockgate.errors import BadConfiguration
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.operations.forecast_chunks import ChunkForecasts, Counts
from lockgate.prediction_log import record_file
from lockgate.prediction_log.batch import BatchRequests
from lockgate.prediction_log.record import Scorer
from lockgate.prediction_log.record_file import RecordWriter
from lockgate.problem.description import Problem

MARK = "mark"  # a file of the shared folder
RECORDS, BAD = ".records", ".bad"  # the ends of the names of the files beside a part
BundleFiles = Mapping[str, bytes]  # by name, as a worker gets them


@dataclass(frozen=True)
class PartOrder:
    """The same for all parts: the problem, the version, the confidence of bounds, the folder of side tables.

    The forecasts are written into the folder `shared`; `mark` is the text of its file MARK. `degraded`: why the
    verified copy answers; None if it does not. `skip_bad`: rows that cannot be forecast are set aside. `logs`: the
    records of the prediction log are made.
    """

    problem: Problem
    scorer: Scorer
    degraded: str | None
    confidence: float
    raw: Path
    shared: Path
    mark: str
    skip_bad: bool
    logs: bool


@dataclass(frozen=True)
class PartDone:
    """The forecasts of a part: the name of their file in the shared folder, its SHA-256 and columns, and the counts.

    A part without forecasts has no file. Files beside it have the rows that were set aside and the records of the log.
    """

    part: RowPart
    file: str
    sha256: str
    columns: tuple[str, ...]
    counts: Counts
    set_aside: int
    first_bad: BadRow | None


@dataclass(frozen=True)
class _Answerer:
    """The version on a worker (`forecast_table.Answerer`)."""

    version: int
    forecaster: ForecasterProtocol
    degraded: str | None


def forecast_part(part: RowPart, order: PartOrder, bundle: BundleFiles | ForecasterProtocol) -> PartDone:
    """Forecast a part with the files of a bundle, which are verified by digest first, or with the open forecaster.

    Raises IntegrityBroken for other files than those of the digest, BadData for rows that cannot be forecast, and
    BadConfiguration on a worker that has another folder under the path of the shared one.
    """
    _refuse_other_folder(order)
    forecaster = _opened(bundle, order.scorer.digest) if isinstance(bundle, Mapping) else bundle
    answerer = _Answerer(order.scorer.version, forecaster, order.degraded)
    chunks = ChunkForecasts(order.problem, answerer, order.confidence, typed=True)
    requests = BatchRequests(order.scorer, forecaster, order.confidence)
    file = order.shared / f"{part.name.removesuffix(PARQUET)}.{uuid4().hex}"
    with _beside(order, file) as (bad, records), row_writer.into(file, PARQUET) as writer:
        if records:
            chunks.log = lambda rows, found, seconds: records.add(requests.of(rows, found, seconds))
        set_aside = bad.add if bad else None
        for chunk in part.open(order.problem, order.raw).parts(set_aside):
            for table in chunks.tables(chunk, set_aside):
                writer.write(table)
            if bad:
                bad.write()
    return _done(part, file, chunks.counts, bad)


def keys_of_part(part: RowPart, problem: Problem, raw: Path) -> NDArray[np.int64]:
    """The keys of a part as numbers (`RowFile.keys`)."""
    return np.empty(0, dtype=np.int64) if part.empty else part.open(problem, raw).keys()


def _done(part: RowPart, file: Path, counts: Counts, bad: BadRowsFile | None) -> PartDone:
    sha256 = digests.of_file(file) if counts.rows else ""
    columns = tuple(pyarrow.parquet.read_schema(file).names) if counts.rows else ()
    return PartDone(part, file.name, sha256, columns, counts, bad.rows if bad else 0, bad.first if bad else None)


@contextmanager
def _beside(order: PartOrder, file: Path) -> Iterator[tuple[BadRowsFile | None, RecordWriter | None]]:
    """The files beside the forecasts of a part, as the order wants them."""
    with ExitStack() as stack:
        bad = stack.enter_context(bad_rows.into(file.with_name(f"{file.name}{BAD}"))) if order.skip_bad else None
        records = stack.enter_context(record_file.into(file.with_name(f"{file.name}{RECORDS}"))) if order.logs else None
        yield bad, records


def _refuse_other_folder(order: PartOrder) -> None:
    try:
        same = (order.shared / MARK).read_text(encoding="utf-8") == order.mark
    except OSError:
        same = False
    if not same:
        what = "the worker does not see the folder of the output"
        raise BadConfiguration(what, where=str(order.shared), hint=SAME_PATH)


_lock = Lock()
_kept: dict[str, ForecasterProtocol] = {}  # the forecaster of the last bundle, by its digest


def _opened(files: BundleFiles, digest: str) -> ForecasterProtocol:
    """The forecaster of the bundle with this digest, opened once a process."""
    with _lock:
        if digest not in _kept:
            with TemporaryDirectory(prefix="lockgate-") as folder:
                for name, content in files.items():
                    Path(folder, name).write_bytes(content)
                forecaster = store.load(Path(folder), digest)
            _kept.clear()
            _kept[digest] = forecaster
        return _kept[digest]
