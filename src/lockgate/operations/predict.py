"""`lockgate predict`: reads rows, writes the same rows with forecasts."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from lockgate.data import ingest
from lockgate.errors import BadData
from lockgate.forecaster.answers import answers
from lockgate.forecaster.interface import RowCounts
from lockgate.lifecycle.stages import Stage
from lockgate.operations import answering_version
from lockgate.operations.answering_version import DEFAULT_TERMS, AnsweringVersion, Degraded, FallbackTerms
from lockgate.operations.load_version import Opened
from lockgate.operations.workspace import Workspace
from lockgate.problem.description import Problem
from lockgate.system.output_file import OutFile

STREAM = Path("-")
DEGRADED = "degraded"  # the column that says so, only if the verified copy has answered


@dataclass(frozen=True)
class Order:
    """The problem, the file to read, the file to write (`-`: standard input and output), the confidence of bounds."""

    problem: Problem
    source: Path
    target: Path
    force: bool
    confidence: float
    fallback: FallbackTerms = DEFAULT_TERMS


@dataclass(frozen=True)
class Done:
    """The number of forecast rows, the version, and remarks for the reader of the forecasts.

    `degraded`: the verified copy of the version has answered.
    """

    rows: int
    version: int
    remarks: tuple[str, ...]
    degraded: Degraded | None = None


def predict(workspace: Workspace, order: Order, chosen: Stage | int) -> Done:
    """Forecast the rows of a file with the version in a stage, or with the given version.

    The target holds the columns and rows of the source in their order, with the answers (`forecaster/answers.py`) and
    `model_version`; it is replaced in one step. Raises BadData for rows that cannot be forecast, WrongUsage for
    a confidence out of range, StateConflict if there is no such version. Covariates of side tables that the source
    lacks are joined from data/raw.
    """
    target = OutFile(order.target, order.force)
    if order.target != STREAM:
        target.check((".csv", ".csv.gz", ".parquet"), order.source)
    rows = _read(order.problem, order.source)
    version = answering_version.load(workspace, chosen, order.fallback)
    found = answers(version.forecaster, rows, order.confidence)
    checked = version.forecaster.check(rows)
    notes = (*version.remarks, *_on_bounds(version, found), *remarks(version.opened, order.problem, checked))
    forecasts = rows.assign(**{str(name): found[name].to_numpy() for name in found}, model_version=version.version)
    if version.degraded:
        forecasts[DEGRADED] = str(version.degraded)
    if order.target == STREAM:
        forecasts.to_csv(sys.stdout, index=False)
    else:
        _write(forecasts, target)
    return Done(len(rows), version.version, notes, version.degraded)


def _on_bounds(version: AnsweringVersion, found: pd.DataFrame) -> Iterator[str]:
    if "lower" in found and found["lower"].isna().any():
        yield f"version {version.version} is an external model without bounds: lower and upper are empty"


def remarks(version: Opened, problem: Problem, counts: RowCounts) -> Iterator[str]:
    """Remarks on the checked rows, for the reader of the forecasts."""
    if counts.open_missing and problem.where:
        name = problem.where.column
        yield f"{counts.open_missing} rows have no {name}: {problem.column(name).missing}"
    if counts.beyond_horizon and (window := version.forecaster.window):
        horizon, until = problem.period.plural(window.horizon), window.trained_until(problem.period)
        yield (
            f"{counts.beyond_horizon} rows lie more than {horizon} after {until}, the last training"
            f" {problem.period.word} of version {version.version}; the gate judged it on the first {horizon} only"
        )
    if counts.little_history:
        yield f"{counts.little_history} rows are of values of {' and '.join(problem.keys)} with little or no history"


def _read(problem: Problem, source: Path) -> pd.DataFrame:
    if source != STREAM:
        return ingest.read_forecast_rows(problem, source, ingest.RAW)
    with TemporaryDirectory(prefix="lockgate-") as folder:
        received = Path(folder, "standard input")
        with received.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        try:
            return ingest.read_forecast_rows(problem, received, ingest.RAW)
        except BadData as refusal:
            refusal.where = refusal.where.removeprefix(f"{folder}/")
            raise


def _write(rows: pd.DataFrame, target: OutFile) -> None:
    with target.replacing() as partial:
        if target.path.suffix == ".parquet":
            rows.to_parquet(partial, index=False)
        else:
            compression = {"method": "gzip", "mtime": 1} if target.path.suffix == ".gz" else None
            rows.to_csv(partial, index=False, compression=compression)
