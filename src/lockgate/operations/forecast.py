"""`lockgate forecast`: the next periods of keys, from rows that it makes itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
import pyarrow as pa

from lockgate.data import row_writer
from lockgate.data.row_writer import CsvWriter, ParquetRowWriter
from lockgate.forecaster.answers import answers
from lockgate.lifecycle.stages import Stage
from lockgate.operations import answering_version, forecast_output, forecast_table, predict
from lockgate.operations.answering_version import DEFAULT_TERMS, AnsweringVersion, FallbackTerms
from lockgate.operations.batch_log import BatchLog
from lockgate.operations.forecast_chunks import Counts
from lockgate.operations.forecast_rows import Future, future_rows
from lockgate.operations.predict import Done
from lockgate.operations.workspace import Workspace
from lockgate.problem.description import Problem

ROWS_AT_ONCE = 10_000  # that exist as Python objects


@dataclass(frozen=True)
class Order:
    """The problem, the rows to come, the file to write (None: the rows are returned), the confidence of bounds.

    `spool`: the folder of the prediction log's spool; without it, nothing is logged.
    """

    problem: Problem
    future: Future
    target: Path | None
    force: bool
    confidence: float
    fallback: FallbackTerms = DEFAULT_TERMS
    spool: Path | None = None


@dataclass
class Collected:
    """The tables of rows with their answers."""

    tables: list[pa.Table] = field(default_factory=list)

    def write(self, table: pa.Table) -> None:
        """Take the rows of a table."""
        self.tables.append(table)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows as JSON has them, made as they are asked for."""
        for table in self.tables:
            for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE):
                yield from batch.to_pylist()


def forecast(workspace: Workspace, order: Order, chosen: Stage | int) -> tuple[Done, Collected]:
    """Forecast the next periods with the version in a stage, or with the given version.

    The rows are those of `future_rows`, with the answers and `model_version`. The target is replaced in one step, after
    all rows are forecast and logged; without a target, the rows are returned. Raises the errors of `future_rows`,
    WrongUsage for a confidence out of range, StateConflict if there is no such version.
    """
    if order.target:
        forecast_output.check(order.target, order.force)
    version = answering_version.load(workspace, chosen, order.fallback)
    rows = future_rows(order.problem, version.forecaster, order.future)
    log = BatchLog.into(order.spool, workspace, version, order.confidence) if order.spool else None
    counts, collected = Counts(), Collected()
    with _writer(order, collected) as writer:
        for part in rows.parts():
            started = perf_counter()
            found = answers(version.forecaster, part, order.confidence)
            if log:
                log.add(part, found, perf_counter() - started)
            counts.add(version.forecaster.check(part), found)
            writer.write(_table(part, found, version))
        if log:
            log.keep()
    remarks = (*rows.remarks, *version.remarks, *predict.remarks(version, order.problem, counts))
    logged = log.drain() if log else None
    since = version.production_since
    return Done(counts.rows, version.version, remarks, version.degraded, 0, logged, since), collected


@contextmanager
def _writer(order: Order, collected: Collected) -> Iterator[CsvWriter | ParquetRowWriter | Collected]:
    if order.target is None:
        yield collected
        return
    with (
        forecast_output.replaced(order.target, order.force) as partial,
        row_writer.into(partial, order.target.name) as writer,
    ):
        yield writer


def _table(part: pd.DataFrame, found: pd.DataFrame, version: AnsweringVersion) -> pa.Table:
    columns = {str(name): pa.array(part[name], from_pandas=True) for name in part}
    return pa.table({**columns, **forecast_table.answer_columns(found, version)})
