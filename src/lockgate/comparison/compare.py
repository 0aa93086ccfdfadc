"""Compares two versions: their records, and their forecasts of the same rows."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.comparison import agreement as agreements
from lockgate.comparison.agreement import Agreement
from lockgate.comparison.record_diff import (
    ImportanceChange,
    MetricPair,
    RecordDiff,
    diff,
    importance_changes,
    metric_pairs,
)
from lockgate.comparison.records import Record, Side, record
from lockgate.data import dataset, ingest
from lockgate.errors import BadData
from lockgate.evaluation import slices
from lockgate.features.store_panel.store_attributes import StoreAttributes
from lockgate.operations import load_version
from lockgate.operations.workspace import Workspace
from lockgate.problem.columns import KEY, OPEN, TARGET, TIME
from lockgate.problem.metrics import Metric

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ForecastRows:
    """Rows that both are asked to forecast, with target (NaN where unknown), and the file that they come from.

    `store_sizes` holds the size of each store, as the gate slices by it; empty if the past sales are not known.
    """

    rows: pd.DataFrame
    source: str
    store_sizes: Mapping[int, str]


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
    """The comparison, and row by row what both forecast (see `agreement`); None if nothing was forecast."""

    comparison: Comparison
    pairs: pd.DataFrame | None


@dataclass(frozen=True)
class VersionForecast:
    """A version's forecasts of the rows given, NaN for those that it cannot forecast."""

    forecast: Floats
    left_out: LeftOut
    origin: date
    attributes: StoreAttributes
    beyond_horizon: int


def read_rows(source: Path | None, folder: Path) -> ForecastRows | None:
    """The rows of a file, as `lockgate predict` reads it; without one the holdout in `folder`, None if it is not there.

    The sizes of the stores come from the rows before the holdout in `folder`. Raises BadData for rows that cannot be
    forecast, or sales that are none.
    """
    if source:
        rows = ingest.read_forecast_rows(source)
        return ForecastRows(rows.assign(**{TARGET: _sales(rows, source)}), str(source), _store_sizes(folder))
    if not (folder / "holdout.parquet").is_file():
        return None
    holdout = dataset.read(folder, "holdout")
    rows = holdout.astype({TARGET: "float64"})
    return ForecastRows(rows, str(folder / "holdout.parquet"), _store_sizes(folder))


def _store_sizes(folder: Path) -> Mapping[int, str]:
    if not (folder / "rows.parquet").is_file():
        return {}
    sizes = slices.store_sizes(dataset.read(folder, "rows"))
    return dict(zip(sizes.index, sizes, strict=True))


def compare(workspace: Workspace, first: int, second: int, given: ForecastRows | None, metric: Metric) -> Compared:
    """Put two versions side by side, and let both forecast the rows given, which the metric scores.

    Raises StateConflict if there is no such version, IntegrityBroken if the bytes of one are not those registered.
    """
    records = record(workspace, first), record(workspace, second)
    reason = _why_not_forecast(records, given)
    if given is None or reason:
        return Compared(_comparison(workspace, records, None, [reason]), None)
    answers = [_forecast(workspace, version, given.rows) for version in (first, second)]
    pairs = _pairs(given, *answers)
    trial = ForecastComparison(
        given.source,
        len(given.rows),
        tuple(answer.left_out for answer in answers),
        agreements.agreement(pairs, metric) if len(pairs) else None,
    )
    remarks = [*_remarks(answers, pairs)]
    if not given.store_sizes:
        remarks.append("the past sales in data/prepared are not at hand: no slices of large and small stores")
    return Compared(_comparison(workspace, records, trial, remarks), pairs)


def _comparison(
    workspace: Workspace, records: tuple[Record, Record], trial: ForecastComparison | None, remarks: list[str]
) -> Comparison:  # fmt: skip
    one, other = records
    return Comparison(
        model=workspace.model,
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


def _forecast(workspace: Workspace, version: int, rows: pd.DataFrame) -> VersionForecast:
    with load_version.opened(
        workspace, load_version.recorded(workspace, workspace.state().find(version).version)
    ) as opened:
        forecaster = opened.forecaster
        why_not: dict[int, str] = {}
        for problem in forecaster.problems(rows):
            why_not.setdefault(problem.row, problem.column)
        forecast = np.full(len(rows), np.nan)
        covered = np.setdiff1d(np.arange(len(rows)), list(why_not))
        beyond = 0
        if covered.size:
            forecast[covered] = forecaster.predict(rows.iloc[covered])
            beyond = forecaster.check(rows.iloc[covered]).beyond_horizon
        why_not |= {int(row): "prediction" for row in covered if not np.isfinite(forecast[row])}
        left_out = LeftOut(version, len(why_not), dict(Counter(why_not.values()).most_common()))
        return VersionForecast(forecast, left_out, forecaster.origin, forecaster.attributes, beyond)


def _letters(stores: NDArray[np.int32], codes: NDArray[np.int8]) -> dict[int, str]:
    """The letter of each store, by store id."""
    return {int(store): chr(ord("a") + code) for store, code in zip(stores, codes, strict=True)}


def _pairs(given: ForecastRows, first: VersionForecast, second: VersionForecast) -> pd.DataFrame:
    """The rows that both forecast; the week is counted from the later of the two cutoffs."""
    both = np.isfinite(first.forecast) & np.isfinite(second.forecast)
    kept, attributes = given.rows[both], second.attributes
    return pd.DataFrame(
        {
            KEY: kept[KEY],
            TIME: kept[TIME],
            OPEN: kept[OPEN],
            "Promo": kept["Promo"],
            "StoreType": kept[KEY].map(_letters(attributes.store_ids, attributes.kind)),
            "Assortment": kept[KEY].map(_letters(attributes.store_ids, attributes.assortment)),
            "size": kept[KEY].map(given.store_sizes),
            "week": slices.week(kept[TIME], pd.Timestamp(max(first.origin, second.origin))),
            "first": first.forecast[both],
            "second": second.forecast[both],
            TARGET: kept[TARGET],
        }
    )


def _remarks(answers: list[VersionForecast], pairs: pd.DataFrame) -> Iterator[str]:
    for answer in answers:
        version = answer.left_out.version
        if answer.left_out.rows:
            columns = ", ".join(f"{column} in {rows}" for column, rows in answer.left_out.columns.items())
            yield f"version {version} cannot forecast {answer.left_out.rows} of {len(answer.forecast)} rows: {columns}"
        if answer.beyond_horizon:
            yield f"{answer.beyond_horizon} rows lie after the days on which the gate judges version {version}"
    if pairs.empty:
        yield "no row can be forecast by both: the forecasts are not compared"
    elif pairs[TARGET].isna().all():
        yield "the rows hold no sales: whose forecasts are better is not known"


def _sales(rows: pd.DataFrame, source: Path) -> "pd.Series[float]":
    """The sales of a file that was not meant to have any, NaN where it says nothing; BadData for what is no number."""
    if TARGET not in rows:
        return pd.Series(np.nan, index=rows.index)
    given = rows[TARGET].replace("", np.nan)
    sales = pd.to_numeric(given, errors="coerce").astype("float64")
    bad = (given.notna() & sales.isna()) | (sales < 0) | np.isinf(sales)
    if bad.any():
        place = int(np.flatnonzero(bad)[0])
        raise BadData(
            f"{TARGET} is {ascii(str(given.iloc[place]))[:40]}",
            where=f"{source}, row {place}",
            hint="write sales as numbers from 0, or leave them empty",
        )
    return sales
