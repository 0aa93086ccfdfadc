"""`lockgate predict` into a folder: a parquet file of forecasts for each part of the input, and one manifest."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pyarrow.parquet

from lockgate import digests
from lockgate.data import bad_rows, ingest, readers, row_parts
from lockgate.data.row_parts import SAME_PATH, RowPart
from lockgate.engine.engine import Engine, InProcess, Progress, silent
from lockgate.errors import BadConfiguration
from lockgate.lifecycle.stages import Stage
from lockgate.operations import answering_version, forecast_folder, forecast_part
from lockgate.operations.answering_version import AnsweringVersion
from lockgate.operations.batch_log import BatchLog
from lockgate.operations.forecast_chunks import Counts
from lockgate.operations.forecast_folder import Staging, WrittenPart
from lockgate.operations.forecast_part import BAD, MARK, RECORDS, PartDone, PartOrder
from lockgate.operations.predict import Done, Order, check_bad_rows_file, no_row, remarks
from lockgate.operations.workspace import Workspace
from lockgate.prediction_log import record_file
from lockgate.prediction_log.record import Role
from lockgate.system import progress
from lockgate.system.output_file import OutFile


def predict(workspace: Workspace, order: Order, chosen: Stage | int, engine: Engine) -> Done:
    """Forecast the parts of a folder, or one file, into the folder `order.target`.

    A part of the target has the name and the rows of a part of the source, as `predict.predict` writes them to parquet.
    The target appears in one step, whole and with its manifest, after all rows are forecast and logged. Raises what
    `predict.predict` does; of states also BadData for a key whose rows are in several parts. The workers of the engine
    need the input and the output under the same path, and neither MLflow nor Postgres.
    """
    parts = readable_parts(order, engine)
    with TemporaryDirectory(prefix="lockgate-") as private:
        bundle = None if isinstance(engine, InProcess) else Path(private, "bundle")
        version = answering_version.load(workspace, chosen, order.fallback, bundle)
        log = BatchLog.into(order.spool, workspace, version, order.confidence) if order.spool else None
        found = PartsRun(order, parts, version, log).forecast(engine, bundle)
    counts = sum((each.counts for each in found), Counts())
    notes = (*version.remarks, *remarks(version, order.problem, counts))
    set_aside = sum(each.set_aside for each in found)
    drained = log.drain() if log else None
    return Done(counts.rows, version.version, notes, version.degraded, set_aside, drained, version.production_since)


def readable_parts(order: Order, engine: Engine) -> tuple[RowPart, ...]:
    """The parts of the source, after a check of the outputs, of the first rows, and of the keys of states."""
    forecast_folder.check(order.target, order.force, order.source)
    check_bad_rows_file(order)
    parts, raw = row_parts.row_parts(order.source), ingest.RAW.resolve()
    if order.bad is None:
        next(next(part for part in parts if not part.empty).open(order.problem, raw).parts())
    if order.problem.kind == "state" and len(parts) > 1:
        keys = engine.map(forecast_part.keys_of_part, parts, "reading keys", shared=(order.problem, raw))
        row_parts.refuse_split_keys(order.problem, parts, keys, raw)
    return parts


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on a terminal; elsewhere nothing, because there may be thousands of parts."""
    if not sys.stderr.isatty():
        yield silent
        return
    with progress.watch("forecasting") as show:
        yield show


@dataclass(frozen=True)
class PartsRun:
    """One run: its order, the parts, the version, and the log."""

    order: Order
    parts: Sequence[RowPart]
    version: AnsweringVersion
    log: BatchLog | None

    def forecast(self, engine: Engine, bundle: Path | None) -> list[PartDone]:
        """Write the target, and return what became of each part with rows.

        The folder `bundle` has the files that the workers of the engine open; without it, the open version forecasts.
        """
        files = {path.name: path.read_bytes() for path in bundle.iterdir()} if bundle else self.version.forecaster
        with forecast_folder.replaced(self.order.target) as staging, _progress() as show:
            found = engine.map(
                forecast_part.forecast_part, [part for part in self.parts if not part.empty], "forecasting",
                shared=(self._part_order(staging), engine.scatter(files)), progress=show,
            )  # fmt: skip
            self._complete(found, staging)
        return found

    def _part_order(self, staging: Staging) -> PartOrder:
        order, degraded, mark = self.order, self.version.degraded, uuid4().hex
        (staging.shared / MARK).write_text(mark, encoding="utf-8")
        return PartOrder(
            order.problem, self.version.scorer(Role.BATCH), str(degraded) if degraded else None, order.confidence,
            ingest.RAW.resolve(), staging.shared, mark, order.bad is not None, self.log is not None,
        )  # fmt: skip

    def _complete(self, found: Sequence[PartDone], staging: Staging) -> None:
        """Put all forecasts in place and their rows on record, then write the manifest.

        Raises BadData if no row was forecast, StorageFull if the spool has no room for the records.
        """
        full = [each for each in found if each.counts.rows]
        if not full:
            raise no_row(self.order, next((each.first_bad for each in found if each.first_bad), None))
        for each in full:
            readers.refuse_other_columns(each.part.path, each.columns, full[0].columns)
        written = list(self._written(found, staging))
        with self._bad_rows([staging.shared / f"{each.file}{BAD}" for each in found]):
            if self.log:
                for each in found:
                    self.log.keep_records(
                        record_file.records(staging.shared / f"{each.file}{RECORDS}"), each.counts.rows
                    )
            scorer = self.version.scorer(Role.BATCH)
            forecast_folder.write_manifest(staging.final, scorer, self.order.confidence, written)

    def _written(self, found: Sequence[PartDone], staging: Staging) -> Iterator[WrittenPart]:
        """Each part in its place. A part without forecasts has the columns of the others, and no row."""
        full = {each.part: each for each in found if each.counts.rows}
        refused = {each.part: each.set_aside for each in found}
        schema = pyarrow.parquet.read_schema(_seen(staging.shared / next(iter(full.values())).file))
        for part in self.parts:
            file = staging.final / part.name
            if done := full.get(part):
                _seen(staging.shared / done.file).rename(file)
                yield WrittenPart(part.name, done.counts.rows, done.set_aside, done.sha256)
            else:
                pyarrow.parquet.write_table(schema.empty_table(), file)
                yield WrittenPart(part.name, 0, refused.get(part, 0), digests.of_file(file))

    @contextmanager
    def _bad_rows(self, parts: Sequence[Path]) -> Iterator[None]:
        """Write the rows that were set aside, if they are; the file appears at the end of the block."""
        if self.order.bad is None:
            yield
            return
        with OutFile(self.order.bad, self.order.force).replacing() as partial:
            bad_rows.join(parts, partial)
            yield


def _seen(file: Path) -> Path:
    """A file that a worker has written. Raises BadConfiguration if it is not in the folder of this process."""
    if not file.is_file():
        raise BadConfiguration("a worker has written a part that is not here", where=str(file), hint=SAME_PATH)
    return file
