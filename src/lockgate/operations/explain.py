"""`lockgate explain`: what moved the forecasts of some rows of a file, or of a logged request."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data.cells import request_type
from lockgate.data.column_types import CellFault, TextForm
from lockgate.data.row_file import RowFile
from lockgate.database import predictions
from lockgate.database.predictions import StoredRow
from lockgate.errors import StateConflict, WrongUsage
from lockgate.forecaster import explain as explanations
from lockgate.forecaster.explanation_records import Record, explained, plain
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.lifecycle.stages import Stage
from lockgate.operations import answering_version
from lockgate.operations.answering_version import DEFAULT_TERMS, AnsweringVersion, Degraded, FallbackTerms
from lockgate.operations.workspace import Workspace
from lockgate.prediction_log import segments
from lockgate.problem.description import Problem

MOST_ROWS = 1_000  # explained at once
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Chosen:
    """The rows to explain: their numbers in the file or request, from 1; the values of each key column; the period.

    None: all.
    """

    numbers: tuple[int, ...] = ()
    keys: Mapping[str, tuple[str, ...]] | None = None
    time: str | None = None


@dataclass(frozen=True)
class Order:
    """The problem, the file of rows or the id of a logged request, the rows of it, and the fallback."""

    problem: Problem
    source: Path | None
    request: str | None
    chosen: Chosen
    fallback: FallbackTerms = DEFAULT_TERMS


@dataclass(frozen=True)
class ExplainedRow:
    """A row by its number, from 1, its values, and the record of its forecast (`explanation_records`)."""

    number: int
    inputs: Mapping[str, Any]
    record: Record


@dataclass(frozen=True)
class Done:
    """The explained rows, the version that forecasts them, and remarks for the reader."""

    version: int
    rows: tuple[ExplainedRow, ...]
    remarks: tuple[str, ...]
    degraded: Degraded | None = None


def explain(workspace: Workspace, order: Order, chosen: Stage | int) -> Done:
    """Explain rows of a file by a version in a stage or by its number, or of a request by the version that answered.

    Nothing is logged. Raises BadData for rows that cannot be forecast, WrongUsage for an external model, for no such
    row and for more than MOST_ROWS, StateConflict if there is no such version or request.
    """
    if order.request:
        logged = _logged(workspace, order.request)
        version = answering_version.load(workspace, logged[0].scorer.version, order.fallback)
        done = _done(version, order, [pd.DataFrame([row.logged.features for row in logged])])
        return replace(done, remarks=(*done.remarks, *_other_answers(done, logged)))
    version = answering_version.load(workspace, chosen, order.fallback)
    if order.source is None:
        raise WrongUsage("no rows are named", hint="name a file: --input FILE, or a logged request: --request ID")
    return _done(version, order, (part.rows for part in RowFile.open(order.problem, order.source).parts()))


def _done(version: AnsweringVersion, order: Order, parts: Iterable[pd.DataFrame]) -> Done:
    forecaster = version.forecaster
    if not explanations.can_explain(forecaster):
        raise WrongUsage(f"version {version.version}: {explanations.UNKNOWN}", hint=explanations.INSTEAD)
    rows = tuple(_explained(forecaster, order.chosen, parts))
    if not rows:
        raise WrongUsage("no row is chosen", hint="see the rows and keys of the file; rows are numbered from 1")
    return Done(version.version, rows, version.remarks, version.degraded)


def _explained(forecaster: ForecasterProtocol, chosen: Chosen, parts: Iterable[pd.DataFrame]) -> Iterator[ExplainedRow]:
    first = count = 0
    problem = forecaster.problem
    keys = {name: segments.keys_of_texts(problem, name, texts) for name, texts in (chosen.keys or {}).items()}
    for rows in parts:
        places = np.flatnonzero(segments.with_keys(problem, rows, keys) & _chosen(problem, chosen, rows, first))
        count += len(places)
        if count > MOST_ROWS:
            raise WrongUsage(f"more than {MOST_ROWS:,} rows are chosen", hint="choose some: --row N, --key KEY=VALUE")
        if len(places):
            kept, at = explanations.with_history(forecaster.problem, rows, places)
            records, inputs = explained(forecaster, kept, at, with_features=True), _inputs(problem, rows.iloc[places])
            for place, given, record in zip(places.tolist(), inputs, records, strict=True):
                yield ExplainedRow(first + place + 1, given, record)
        first += len(rows)


def _chosen(problem: Problem, chosen: Chosen, rows: pd.DataFrame, first: int) -> NDArray[np.bool_]:
    """The rows with a chosen number and period; `first` rows came before."""
    kept = np.ones(len(rows), dtype=np.bool_)
    if chosen.numbers:
        kept &= np.isin(np.arange(first + 1, first + len(rows) + 1), chosen.numbers)
    if chosen.time is not None:
        kept &= segments.periods(problem, rows) == _period(problem, chosen.time)
    return kept


def _period(problem: Problem, text: str) -> int:
    """The number of the period of a text. Raises WrongUsage for a text that is no time."""
    if not problem.time:
        raise WrongUsage(f"{problem.name} has no time", hint="choose rows by --row or --key")
    try:
        value = request_type(problem, problem.column(problem.time_name), TextForm()).value(text)
    except CellFault as fault:
        raise WrongUsage(f"--date is {text!r}: {fault.why}", hint=fault.hint) from None
    return int(problem.period.number(np.array([value]))[0])


def _inputs(problem: Problem, rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The columns of a request, row by row, as JSON has them."""
    names = [column.name for column in problem.request if column.name in rows]
    columns = (map(plain, rows[name].tolist()) for name in names)
    return (dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True))


def _logged(workspace: Workspace, request: str) -> list[StoredRow]:
    """The rows of a logged request that were answered, in their order."""
    try:
        wanted = str(uuid.UUID(request))
    except ValueError:
        raise WrongUsage(
            f"{request!r} is no id of a request", hint="the header X-Lockgate-Request-Id of an answer has it"
        ) from None
    found = predictions.of_request(workspace.database, workspace.model, wanted)
    if not found:
        raise StateConflict(
            f"no answered request {wanted} of {workspace.model} is on record",
            hint="its rows may still be in the spool of this machine: lockgate log drain",
        )
    return found


def _other_answers(done: Done, logged: Sequence[StoredRow]) -> Iterator[str]:
    """A remark on each explained row whose logged answer was another one, as that of another machine may be."""
    for row in done.rows:
        answered = logged[row.number - 1].logged.prediction
        if answered is not None and not np.isclose(answered, row.record["forecast"], rtol=1e-6):
            yield f"row {row.number} was answered with {answered:.6g}, and this machine forecasts another number"
