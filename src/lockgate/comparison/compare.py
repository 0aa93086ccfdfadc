"""Compares two versions: their records, and their forecasts of the same rows."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.comparison import agreement as agreements
from lockgate.comparison.agreement import Agreement
from lockgate.comparison.pairs import Pairs
from lockgate.comparison.parts import Background, parts
from lockgate.comparison.records import Record, Side, record
from lockgate.data import dataset, ingest
from lockgate.data.data_card import Part
from lockgate.errors import BadData, StateConflict
from lockgate.evaluation.slices import MOST_VALUES
from lockgate.models import baselines
from lockgate.operations import load_version
from lockgate.operations.workspace import Workspace
from lockgate.problem.columns import ColumnKind, Decimal, Whole
from lockgate.problem.description import Bins, Problem
from lockgate.problem.metrics import METRICS
from lockgate.problem.target_values import target_values
from lockgate.reports.record_diff import (
    ImportanceChange,
    MetricPair,
    RecordDiff,
    diff,
    importance_changes,
    metric_pairs,
)

Floats = NDArray[np.float64]

TWO = 2  # classes: the forecast is one probability a row


@dataclass(frozen=True)
class ForecastRows:
    """Rows that both are asked to forecast, with the target (missing where unknown), and the file that they come from.

    `known` holds what the slices need beside the rows, as far as it is at hand in data/prepared.
    """

    rows: pd.DataFrame
    source: str
    known: Background


@dataclass(frozen=True)
class LeftOut:
    """The rows that a version cannot forecast, and how many of them for a value in which column."""

    version: int
    rows: int
    columns: Mapping[str, int]


@dataclass(frozen=True)
class ForecastComparison:
    """The rows that both were asked for, and how their forecasts agree; `agreement` is None if no row is left."""

    source: str
    asked: int
    left_out: tuple[LeftOut, ...]
    agreement: Agreement | None


@dataclass(frozen=True)
class Comparison:
    """Two versions side by side. None where one of them has nothing to compare; `notes` say why."""

    model: str
    metric: str
    first: Side
    second: Side
    metrics: tuple[MetricPair, ...]
    params: RecordDiff | None
    importances: tuple[ImportanceChange, ...] | None
    lineage: RecordDiff | None
    trial: ForecastComparison | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Compared:
    """The comparison, and row by row what both forecast; None if nothing was forecast."""

    comparison: Comparison
    pairs: Pairs | None


@dataclass(frozen=True)
class VersionForecast:
    """A version's forecasts of the rows given, NaN for those that it cannot forecast."""

    forecast: Floats
    left_out: LeftOut
    classes: tuple[str, ...]
    cutoff: int | None  # of a panel: the number of the last training period
    beyond_horizon: int


def read_rows(problem: Problem, source: Path | None, folder: Path) -> ForecastRows | None:
    """The rows of a file, as `lockgate predict` reads it; without one the holdout in `folder`, None if it is not there.

    Raises BadData for rows that cannot be forecast, or targets out of range.
    """
    has_rows = dataset.place(folder, "rows").exists()
    known = Background(_part(folder, "static"), dataset.by_part(folder, "rows") if has_rows else None)
    if source:
        rows = ingest.read_forecast_rows(problem, source, ingest.RAW)
        return ForecastRows(rows.assign(**{problem.target: _targets(problem, rows, source)}), str(source), known)
    holdout = _part(folder, "holdout")
    return None if holdout is None else ForecastRows(holdout, str(dataset.place(folder, "holdout")), known)


def _part(folder: Path, name: Part) -> pd.DataFrame | None:
    return dataset.read(folder, name) if dataset.place(folder, name).exists() else None


def compare(workspace: Workspace, first: int, second: int, given: ForecastRows | None, problem: Problem) -> Compared:
    """Put two versions side by side, and let both forecast the rows given, which the problem's metric scores.

    Raises StateConflict if there is no such version, IntegrityBroken if the bytes of one are not those registered.
    """
    records = record(workspace, first), record(workspace, second)
    reason = _why_not_forecast(records, given)
    if given is None or reason:
        return Compared(_comparison(workspace, records, problem, None, [reason]), None)
    answers = [_forecast(workspace, version, given.rows, problem) for version in (first, second)]
    _require_same_classes(answers)
    pairs = _pairs(problem, given, *answers)
    trial = ForecastComparison(
        given.source,
        len(given.rows),
        tuple(answer.left_out for answer in answers),
        agreements.agreement(pairs, METRICS[problem.metric]) if len(pairs) else None,
    )
    remarks = [*_remarks(answers, pairs), *_missing_slices(problem, pairs)]
    return Compared(_comparison(workspace, records, problem, trial, remarks), pairs)


def _comparison(
    workspace: Workspace,
    records: tuple[Record, Record],
    problem: Problem,
    trial: ForecastComparison | None,
    remarks: list[str],
) -> Comparison:
    one, other = records
    return Comparison(
        model=workspace.model,
        metric=problem.metric,
        first=one.side,
        second=other.side,
        metrics=metric_pairs(one.scores, other.scores),
        params=None if one.params is None or other.params is None else diff(one.params, other.params),
        importances=None
        if one.importances is None or other.importances is None
        else importance_changes(one.importances, other.importances),
        lineage=None if one.lineage is None or other.lineage is None else diff(one.lineage, other.lineage),
        trial=trial,
        notes=(*one.missing, *other.missing, *_unlike_verdicts(one.side, other.side), *remarks),
    )


def _unlike_verdicts(first: Side, second: Side) -> Iterator[str]:
    if first.verdict and second.verdict:
        if first.verdict.holdout_digest != second.verdict.holdout_digest:
            yield "the two verdicts looked at different holdouts: their metrics are of different days or rows"
        if first.verdict.policy_digest != second.verdict.policy_digest:
            yield "the two verdicts were given under different policies"


def _why_not_forecast(records: tuple[Record, Record], given: ForecastRows | None) -> str:
    """Why the forecasts cannot be compared; empty if they can."""
    unknown = [record.side.version for record in records if record.side.bundle_digest is None]
    if unknown:
        return f"version {unknown[0]} has no digest on record and is not opened: the forecasts are not compared"
    return "" if given else "no rows are at hand: the forecasts are not compared; name a file with --input"


def _forecast(workspace: Workspace, version: int, rows: pd.DataFrame, problem: Problem) -> VersionForecast:
    with load_version.opened(
        workspace, load_version.recorded(workspace, workspace.state().find(version).version)
    ) as opened:
        forecaster = opened.forecaster
        why_not: dict[int, str] = {}
        for each in forecaster.problems(rows):
            why_not.setdefault(each.row, each.column)
        covered = np.setdiff1d(np.arange(len(rows)), list(why_not))
        classes: tuple[str, ...] = forecaster.classes
        forecast = np.full((len(rows), len(classes)) if len(classes) > TWO else len(rows), np.nan)
        beyond = 0
        if covered.size:
            forecast[covered] = forecaster.predict(rows.iloc[covered])
            beyond = forecaster.check(rows.iloc[covered]).beyond_horizon
        why_not |= {int(row): "prediction" for row in covered if not np.isfinite(forecast[row]).all()}
        left_out = LeftOut(version, len(why_not), dict(Counter(why_not.values()).most_common()))
        cutoff = forecaster.window.cutoff if forecaster.window else None
        return VersionForecast(forecast, left_out, classes, cutoff, beyond)


def _require_same_classes(answers: list[VersionForecast]) -> None:
    first, second = answers
    if first.classes != second.classes:
        raise StateConflict(
            f"version {first.left_out.version} forecasts the classes {', '.join(first.classes) or 'of no task'}, and"
            f" version {second.left_out.version} {', '.join(second.classes) or 'numbers'}",
            hint="compare two versions of the same task and classes",
        )


def _pairs(problem: Problem, given: ForecastRows, first: VersionForecast, second: VersionForecast) -> Pairs:
    """The rows that both forecast; the week is counted from the later of the two cutoffs."""
    both = _is_finite(first.forecast) & _is_finite(second.forecast)
    rows = given.rows[both]
    cutoffs = [each.cutoff for each in (first, second) if each.cutoff is not None]
    known = replace(given.known, cutoff=max(cutoffs, default=None))
    target = target_values(problem, rows[problem.target], first.classes)
    unit = baselines.units_of(problem, METRICS[problem.metric], known.history, rows)
    return Pairs(problem, rows, target, first.forecast[both], second.forecast[both], parts(problem, rows, known), unit)


def _is_finite(forecast: Floats) -> NDArray[np.bool_]:
    finite = np.isfinite(forecast)
    return finite if finite.ndim == 1 else np.asarray(finite.all(axis=1))


def _missing_slices(problem: Problem, pairs: Pairs) -> Iterator[str]:
    ways = [way.column if isinstance(way, Bins) else way for way in problem.slices]
    found = {part.by for part, _ in pairs.parts}
    if len(pairs) and (missing := [way for way in ways if way not in found]):
        yield f"no slices by {', '.join(missing)}: unknown for these rows, or more than {MOST_VALUES} values"


def _remarks(answers: list[VersionForecast], pairs: pd.DataFrame) -> Iterator[str]:
    for answer in answers:
        version = answer.left_out.version
        if answer.left_out.rows:
            columns = ", ".join(f"{column} in {rows}" for column, rows in answer.left_out.columns.items())
            yield f"version {version} cannot forecast {answer.left_out.rows} of {len(answer.forecast)} rows: {columns}"
        if answer.beyond_horizon:
            yield f"{answer.beyond_horizon} rows lie after the days on which the gate judges version {version}"
    if not len(pairs):
        yield "no row can be forecast by both: the forecasts are not compared"
    elif np.isnan(pairs.target).all():
        yield f"the rows hold no {pairs.problem.target}: whose forecasts are better is not known"


def _targets(problem: Problem, rows: pd.DataFrame, source: Path) -> "pd.Series[Any]":
    """The targets of a file that was not meant to have any, missing where it says nothing; BadData for a wrong one."""
    target = problem.target
    if target not in rows:
        return pd.Series(np.nan, index=rows.index)
    given = rows[target].replace("", np.nan)
    if problem.task != "regression":
        return given
    values = pd.to_numeric(given, errors="coerce").astype("float64")
    low, high = _range(problem.column(target).kind)
    bad = given.notna() & ~(np.isfinite(values) & (values >= low) & (values <= high))
    if bad.any():
        place = int(np.flatnonzero(bad)[0])
        raise BadData(
            f"{target} is {ascii(str(given.iloc[place]))[:40]}",
            where=f"{source}, row {place}",
            hint=f"write {target} as a number from {low:g} to {high:g}, or leave it empty",
        )
    return values


def _range(kind: ColumnKind) -> tuple[float, float]:
    return (kind.low, kind.high) if isinstance(kind, Whole | Decimal) else (-np.inf, np.inf)
